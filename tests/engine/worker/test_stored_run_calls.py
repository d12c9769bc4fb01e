"""Runs as things one has: exported, imported, copied, listed, deleted; told about when they cannot be saved."""

import errno
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, UnknownRun
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.records.history import MAX_BYTES
from moe_viz.training import Trainer
from moe_viz.training.files.checkpoint import CHECKSUM, KEY, _crc
from tests.engine.fake import FakeTrainer
from tests.training.conftest import small
from tests.training.test_determinism import assert_same, fingerprint


@pytest.fixture
def host(tmp_path, clock):
    return Host(
        Trainer, RunStore(tmp_path / "runs"), Limits(history_bytes=2_000_000, import_bytes=400_000), clock=clock
    )


def steps(host, run, n):
    for _ in range(n):
        host.step_once(run)


def trainer_of(host, run):
    return host._runs[run].trainer


@pytest.mark.parametrize("task", ["clusters", "domains", "digits", "plane"])
def test_an_imported_run_takes_the_same_next_20_steps(task, host):
    run = host.open(small(task), playing=False)
    steps(host, run, 5)
    host.read(run)
    host.set(run, lr=0.01)
    host.rename(run, "my run")
    data = host.export(run)
    assert len(data) <= 400_000
    other = host.import_run(data)
    assert other != run and len(other) >= 22
    (kept,) = host.describe([other])
    assert (kept.name, kept.step, kept.playing) == ("my run", 5, False)
    assert host.read(other).history.equals(host.read(run).history)
    for each in (run, other):
        steps(host, each, 20)
    assert_same(fingerprint(trainer_of(host, run)), fingerprint(trainer_of(host, other)))
    assert host.read(other).snapshot.config["lr"] == 0.01


def test_the_file_says_what_it_holds(host):
    run = host.open(small(), playing=False)
    steps(host, run, 2)
    data = host.export(run)
    about = header(data)
    assert about["config"] == small().flat() and about["step"] == 2 and about["said"]["version"]
    assert {"loss", "load_entropy"} <= about["said"]["metrics"].keys()
    assert load(data)["history.rows"][:, 2].tolist() == [1, 2]


def test_a_long_history_is_thinned_until_the_file_may_be_imported(host):
    run = host.open(small(), playing=False)
    trainer = trainer_of(host, run)
    trainer.history.budget(MAX_BYTES)
    columns, rows = trainer.history.columns or ["loss"], np.arange(1, 4001)
    trainer.history.append(columns, rows, np.ones((4000, 1)) * rows[:, None])
    assert len(trainer.checkpoint()) > 100_000
    data = trainer.exported(100_000)
    assert len(data) <= 100_000
    seen = host.read(host.import_run(data)).history["step"]
    assert seen.iloc[0] == 1 and seen.iloc[-1] == 4000 and len(seen) > 50


def test_a_copy_goes_its_own_way(host):
    run = host.open(small(), playing=False)
    steps(host, run, 3)
    copy = host.copy(run)
    steps(host, copy, 2)
    assert trainer_of(host, run).step_number == 3 and trainer_of(host, copy).step_number == 5


def test_a_deleted_run_is_gone_and_its_group_goes_on(host):
    one, two = host.open_group([small(seed=1), small(seed=2)], playing=False)
    host.delete(one)
    assert not host.describe([one, "../../etc/passwd"])
    with pytest.raises(UnknownRun):
        host.read(one)
    steps(host, two, 2)
    host.delete(one)
    host.delete("../../etc/passwd")
    assert host.describe([two, two])[0].step == 2


def test_names_are_one_short_line(host):
    run = host.open(small(), playing=False)
    host.rename(run, "  two\nlines \u202eevil" + "x" * 500)
    name = host.describe([run])[0].name
    assert len(name) == 60 and name.startswith("two lines evilx") and "\u202e" not in name


def test_listing_wakes_nobody_and_renews_nothing(host, clock):
    run = host.open(small(), playing=True)
    seen = host._runs[run].seen
    clock.now += 10
    assert host.describe([run])[0].playing and host._runs[run].seen == seen
    clock.now += 25
    assert not host.describe([run])[0].playing, "unread for longer than its lease: it stands still"
    host._roster.let_go(host._runs[run])
    assert host.describe([run])[0].step == 0 and run not in host._runs


def test_pinned_runs_can_fill_half_of_the_room(tmp_path):
    host = Host(FakeTrainer, RunStore(tmp_path / "runs", max_bytes=10_000))
    run = host.open(small(), playing=False)
    host.pin(run, True)
    (tmp_path / "runs" / run / "ballast").write_bytes(b"x" * 6000)
    with pytest.raises(EngineError, match="half"):
        host.pin(run, True)
    host.pin(run, False)
    assert not host.describe([run])[0].pinned


def test_a_full_disk_is_told_once_and_so_is_its_end(host, clock, monkeypatch):
    run = host.open(small(), playing=True)
    host.read(run)
    real = Trainer.save

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Trainer, "save", full)
    told = []
    for _ in range(5):
        clock.now += 4.5
        host.tick(budget_s=-1)
        told.append(host.read(run).notices)
    assert "disk is full" in told[1][0] and told[2:] == [[], [], []], "nothing was new at first"
    assert trainer_of(host, run).step_number >= 5, "it goes on"
    monkeypatch.setattr(Trainer, "save", real)
    clock.now += 4.5
    host.tick(budget_s=-1)
    assert "saved on the server again" in host.read(run).notices[0]
    again = Host(Trainer, RunStore(host._roster.store.root))
    assert again.read(run).snapshot.step >= 5


def test_many_runs_share_the_room_for_histories(host):
    first = host.open(small(), playing=False)
    steps(host, first, 300)
    for _ in range(40):
        steps(host, first, 1)
        host.read(first)
    wide = trainer_of(host, first).history
    before = wide.rows(limit=None)["step"]
    others = [host.open(small(), playing=False) for _ in range(9)]
    assert all(trainer_of(host, run).history.keyframes.max_bytes == 150_000 for run in [first, *others])
    assert wide.nbytes <= 260_000
    after, frames = wide.rows(limit=None)["step"], [step for _, step in wide.keyframes.steps()]
    assert after.iloc[0] == before.iloc[0] and after.iloc[-1] == before.iloc[-1]
    assert frames[0] == 301 and frames[-1] == 340


def remade(data, tensors=None, **entries):
    """The file with other tensors and header entries, and a checksum that fits them."""
    arrays = {**load(data), **(tensors or {})}
    about = header(data) | entries
    text = json.dumps(about)
    return save(arrays, {KEY: text, CHECKSUM: str(_crc(text, arrays))})


@pytest.fixture(scope="module")
def good():
    trainer = Trainer(small())
    trainer.run(3)
    trainer.snapshot()
    return trainer.exported(400_000)


@pytest.fixture(scope="module")
def importer(tmp_path_factory):
    return Host(Trainer, RunStore(tmp_path_factory.mktemp("runs")), Limits(max_runs=4, import_bytes=400_000))


def header(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"][KEY])


def tensor(start, change):
    """Change the first tensor whose name begins so."""

    def make(arrays, about):
        name = next(
            name for name in arrays if (name.startswith(start) and arrays[name].dtype != np.int64) or name == start
        )
        return {name: change(arrays[name])}, {}

    return make


def frame(column, value):
    def change(frames):
        changed = frames.copy()
        changed[:, column] = value
        return changed

    return tensor("history.frames", change)


def told(**changes):
    return lambda arrays, about: ({}, {"history": about["history"] | changes})


HOSTILE = {
    "nan": tensor("model.", lambda a: np.full_like(a, np.nan)),
    "shape": tensor("model.", lambda a: a[:1]),
    "moment": lambda arrays, about: ({"optimizer.exp_avg.nothing": np.zeros(3, np.float32)}, {}),
    "odd moment": lambda arrays, about: ({"optimizer.zzz.head.weight": np.zeros(3, np.float32)}, {}),
    "far": lambda arrays, about: ({}, {"step": 10**12}),
    "negative": lambda arrays, about: ({}, {"step": -1}),
    "text": lambda arrays, about: ({}, {"step": "7"}),
    "range": lambda arrays, about: ({}, {"config": about["config"] | {"k": 99}}),
    "word": lambda arrays, about: ({}, {"config": about["config"] | {"zzz": "../../x"}}),
    "no config": lambda arrays, about: ({}, {"config": [1]}),
    "column": lambda arrays, about: told(columns=["<img src=x>", *about["history"]["columns"][1:]])(arrays, about),
    "columns": told(columns=["loss"]),
    "limits": told(limits=[0, 0]),
    "stride": told(stride=0),
    "epoch": told(epoch=10**12),
    "rows": tensor("history.rows", lambda a: a[::-1].copy()),
    "infinite": tensor("history.values", lambda a: np.full_like(a, np.inf)),
    "bomb": frame(5, 2**40),
    "experts": frame(7, 3),
    "capacity": frame(4, 2**40),
    "batch": frame(8, 77),
    "router": frame(3, 5),
    "layer": frame(2, 9),
    "payload": tensor("history.payloads", np.zeros_like),
    "cut payload": tensor("history.payloads", lambda a: a[:-1]),
    "labels": lambda arrays, about: told(keyframes=about["history"]["keyframes"] | {"batches": {"1": {"tokens": 5}}})(
        arrays, about
    ),
    "no keyframes": told(keyframes=None),
    "said": lambda arrays, about: ({}, {"said": 5}),
}
"""Files that are whole and well-formed, but could not have come from a run here."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_could_not_have_come_from_a_run_is_refused(kind, good, importer):
    arrays, entries = HOSTILE[kind](load(good), header(good))
    held = set(importer._runs)
    with pytest.raises(EngineError, match="cannot be imported") as caught:
        importer.import_run(remade(good, arrays, **entries))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert set(importer._runs) == held


def test_too_large_a_file_is_refused_before_it_is_read(importer):
    with pytest.raises(EngineError, match=r"0\.4 MB; a run that is imported can have at most 0 MB"):
        importer.import_run(b"x" * 400_001)


def test_strangers_words_stay_out(good, importer):
    run = importer.import_run(remade(good, stopped="<b>Click here</b>", said={"name": "a\nb" * 99}))
    snapshot = importer.read(run).snapshot
    assert snapshot.state == "diverged" and "Click" not in snapshot.message
    assert "\n" not in importer.describe([run])[0].name


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10**6), noise=st.binary(max_size=40), at=st.integers(0, 10**6))
def test_no_bytes_raise_anything_but_a_refusal(good, importer, cut, noise, at):
    place = at % len(good)
    data = (good[:place] + noise + good[place + len(noise) :])[: len(good) - cut % len(good)]
    if data != good:
        with pytest.raises(EngineError, match="cannot be imported"):
            importer.import_run(data)

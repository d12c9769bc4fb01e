"""Runs on disk: atomic, falling back on what is whole, bounded, indifferent to clocks, and closed to ids that are paths."""

import errno
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from moe_viz.engine.storage import run_store as module
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.records import files
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.engine.fake import FakeTrainer
from tests.training.conftest import small

RUN = "run-0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def trainer_at(step):
    trainer = FakeTrainer(RunConfig(task="clusters"))
    trainer.step_number = step
    return trainer


def newest(store, run=RUN):
    return store.root / run / f"{store._numbers(run, module.CHECKPOINT)[0]}{module.CHECKPOINT}"


@pytest.fixture(scope="module")
def grown():
    """A real run in four stages: the trainer, and at each stage its step and all it knows of its past."""
    trainer = Trainer(small())
    trainer.run(3)
    trainer.snapshot()
    return trainer


def test_newest_comes_back(store):
    for step in (1, 2, 3):
        store.save(RUN, trainer_at(step), playing=step == 3)
    found = store.load(RUN, FakeTrainer.load)
    assert (found.trainer.step_number, found.playing) == (3, True) and RUN in store
    assert sorted(os.listdir(store.root / RUN)) == ["2.safetensors", "3.safetensors", "run.json"]


def test_a_real_run_is_json_parquet_and_safetensors_and_goes_on_exactly(store, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "TAIL_BYTES", 4000)
    trainer = Trainer(small())
    for _ in range(6):
        trainer.run(7)
        trainer.snapshot()
        store.save(RUN, trainer, playing=True)
    store.save(RUN, trainer, playing=True, for_long=True)
    kinds = {name.split(".", 1)[1] for name in os.listdir(store.root / RUN)}
    assert kinds == {"json", "safetensors", "history.parquet", "history.keyframes.parquet"}
    assert json.loads((store.root / RUN / "run.json").read_text())["config"] == trainer.config.flat()
    tables = [pq.read_table(path) for path in sorted((store.root / RUN).glob("*.history.parquet"))]
    assert tables[-1]["step"].to_pylist() == list(range(1, 43))
    back = RunStore(store.root).load(RUN, Trainer.load)
    assert back.trainer.history.rows(limit=None).equals(trainer.history.rows(limit=None))
    assert back.trainer.history.keyframes.steps() == trainer.history.keyframes.steps()
    assert back.notice == module.Stored.notice
    assert back.trainer.history.nearest_keyframe(14).traces[0].expert.tolist() == (
        trainer.history.nearest_keyframe(14).traces[0].expert.tolist()
    )


def test_a_checkpoint_carries_only_what_is_new(store):
    trainer = Trainer(small())
    trainer.run(500)
    trainer.snapshot()
    store.save(RUN, trainer, playing=True, for_long=True)
    whole = len(trainer.checkpoint())
    trainer.run(1)
    store.save(RUN, trainer, playing=True)
    without = len(trainer.checkpoint(history=False))
    assert newest(store).stat().st_size - without < 0.25 * (whole - without)


@pytest.mark.parametrize("tenth", range(10))
def test_a_cut_file_of_any_kind_costs_no_more_than_itself(tenth, store, grown):
    """Each file of a run cut to so many tenths, alone: the run is found with what is whole, and never an exception."""
    trainer = Trainer.from_bytes(grown.checkpoint())
    store.save(RUN, trainer, playing=False, for_long=True)
    first = trainer.step_number
    trainer.run(2)
    trainer.snapshot()
    store.save(RUN, trainer, playing=False)
    checkpoint, about = newest(store), store.root / RUN / "run.json"
    (base,) = (store.root / RUN).glob("*.history.parquet")
    for path in (checkpoint, about, base):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * tenth // 10])
        fresh = RunStore(store.root)
        found = fresh.load(RUN, Trainer.load)
        path.write_bytes(whole)
        fresh.describe(RUN)
        assert found.config == trainer.config.flat()
        if path is checkpoint:
            assert found.trainer.step_number == first and f"step {first}" in found.notice
        elif path is about:
            assert found.trainer.step_number == first + 2 and found.trainer.history.rows().equals(
                trainer.history.rows()
            )
        else:
            assert found.trainer.step_number == first + 2 and "curves" in found.notice
            assert found.trainer.history.rows()["step"].tolist() == [first, first + 1, first + 2]
    for path in store.root.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * tenth // 10])
    found = RunStore(store.root).load(RUN, Trainer.load)
    assert found.trainer is None and found.config == trainer.config.flat() and "step 0" in found.notice
    about.write_bytes(b"[1]")
    found = RunStore(store.root).load(RUN, Trainer.load)
    assert found is None or found.config == trainer.config.flat()


def test_a_broken_checkpoint_is_not_what_the_next_falls_back_on(store):
    for step in (1, 2):
        store.save(RUN, trainer_at(step), playing=True)
    newest(store).write_bytes(b"\x00garbage")
    assert store.load(RUN, FakeTrainer.load).trainer.step_number == 1
    store.save(RUN, trainer_at(3), playing=True)
    newest(store).write_bytes(b"\x00garbage")
    assert store.load(RUN, FakeTrainer.load).trainer.step_number == 1


def writes(monkeypatch, fail_at):
    """Let the write number `fail_at` fail for want of room, wherever it happens; the list of those that happened."""
    seen = []

    def hooked(owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            seen.append(name)
            if len(seen) - 1 == fail_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    import moe_viz.training.files.checkpoint as checkpoint

    hooked(files.os, "fsync")
    hooked(files.os, "replace")
    hooked(checkpoint, "save_file")
    hooked(pq, "write_table")
    hooked(files.Path, "write_bytes")
    hooked(files.Path, "mkdir")
    return seen


def test_a_full_disk_at_any_write_leaves_the_previous_checkpoint_whole(store, grown):
    trainer = Trainer.from_bytes(grown.checkpoint())
    store.save(RUN, trainer, playing=True)
    before = trainer.step_number
    trainer.run(1)
    for fail_at in range(100):
        with pytest.MonkeyPatch.context() as patch:
            seen = writes(patch, fail_at)
            try:
                store.save(RUN, trainer, playing=bool(fail_at % 2), for_long=True)
                break
            except OSError as error:
                assert module.is_full(error)
        assert not list(store.root.rglob(".*"))
        found = RunStore(store.root).load(RUN, Trainer.load)
        assert found.trainer.step_number == before and found.notice == module.Stored.notice
        assert found.trainer.history.rows()["step"].tolist() == list(range(1, before + 1))
    assert seen.count("replace") == 4, "json, two tables and a checkpoint: each written, synced and renamed"
    assert fail_at == len(seen) >= 12
    assert RunStore(store.root).load(RUN, Trainer.load).trainer.step_number == before + 1


def test_ids_cannot_be_paths(store):
    for bad in ("../../../../etc/passwd", "..", "", "a/b" * 8, "short"):
        assert bad not in store and store.load(bad, FakeTrainer.load) is None and store.describe(bad) is None
        for call, *more in ((store.save, trainer_at(1), True), (store.delete,), (store.pin, True)):
            with pytest.raises(ValueError, match="run id"):
                call(bad, *more)


def store_with_runs(tmp_path, clock, n=6, max_bytes=250_000):
    """A store whose runs, of 50 kB each, were used in the order of their numbers while the clock said what it said."""
    store = RunStore(tmp_path / "runs", max_bytes=max_bytes)
    names = [f"{RUN}-{i}" for i in range(n)]
    for i, name in enumerate(names):
        store.save(name, trainer_at(i), playing=True)
        (store.root / name / "ballast").write_bytes(b"x" * 50_000)
        for path in (newest(store, name), store.root / name):
            os.utime(path, (clock[i], clock[i]))
    return store, names


CLOCKS = {"steady": range(6), "back a year": [3e7, 3e7, 3e7, 0, 1, 2], "far ahead and back": [1, 2, 4e9, 4e9, 3, 4]}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_eviction_goes_by_use_whatever_the_clock_said(clock, tmp_path):
    store, names = store_with_runs(tmp_path, clock)
    store.prune(keep=set())
    assert sorted(os.listdir(store.root)) == names[2:] and not store.is_over
    again = RunStore(store.root, max_bytes=250_000)
    again.save(names[2], trainer_at(9), playing=True)
    (store.root / names[3] / "more").write_bytes(b"x" * 60_000)
    again.prune(keep=set())
    assert names[3] not in os.listdir(store.root) and names[2] in os.listdir(store.root)


def test_pinned_and_hosted_runs_stay(tmp_path):
    store, names = store_with_runs(tmp_path, range(6), max_bytes=150_000)
    assert store.pin(names[0], True) and not store.pin(names[1], True), "at most half of the room can be pinned"
    store.prune(keep={names[1]})
    assert sorted(os.listdir(store.root)) == [names[0], names[1]]
    store.pin(names[0], False)
    store.max_bytes = 60_000
    store.prune(keep={names[1]})
    assert os.listdir(store.root) == [names[1]]


def test_a_small_disk_makes_the_store_smaller(tmp_path, monkeypatch):
    store, names = store_with_runs(tmp_path, range(6), max_bytes=10**9)
    store.prune(keep=set())
    assert len(os.listdir(store.root)) == 6
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 0}))
    store.prune(keep=set())
    assert sorted(os.listdir(store.root)) == names[2:]


def test_a_run_is_described_named_and_deleted(store, grown):
    store.save(RUN, grown, playing=True)
    store.rename(RUN, "a name")
    store.pin(RUN, True)
    kept = RunStore(store.root).describe(RUN)
    assert (kept.name, kept.pinned, kept.playing, kept.step) == ("a name", True, True, grown.step_number)
    assert kept.config == grown.config.flat() and kept.bytes > 10_000
    store.delete(RUN)
    assert RUN not in store and store.describe(RUN) is None and not os.listdir(store.root)


def test_what_a_kill_left_half_written_goes_when_it_is_old(store):
    store.save(RUN, trainer_at(1), playing=True)
    left, fresh = (store.root / RUN / f".{n}.safetensors.1{files.PART}" for n in (1, 2))
    for path in (left, fresh):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    store.prune(keep=set())
    assert not left.exists() and fresh.exists() and RUN in store


def test_values_of_another_width_are_kept_apart(store):
    """A run that was restarted with more experts has columns that its older rows lack."""
    trainer = trainer_at(0)
    trainer.history.append(["loss"], [1, 2], np.ones((2, 1)))
    base = store.root / "h.parquet"
    trainer.history.to_parquet(base)
    mark = trainer.history.mark
    trainer.history.restart()
    trainer.history.append(["loss", "load.0.0"], [1], np.zeros((1, 2)))
    from moe_viz.records.history import History

    back = History.from_parquet(base)
    assert back.extend(History.from_arrays(*trainer.history.to_arrays(mark)))
    assert back.rows(limit=None).equals(trainer.history.rows(limit=None))

"""Copies of the runs' folders: what is sent, what is kept of it, and that nothing leads out of a run's folder."""

import shutil
from dataclasses import replace

import pytest

from moe_viz.engine.storage import replication
from moe_viz.engine.storage.replication import Copies, Outbox, RunDelta, unpack


def test_a_copy_that_was_on_its_way_when_its_run_was_deleted_is_dropped(tmp_path, monkeypatch):
    run, other = "r" * 22, "s" * 22
    now = [0.0]
    monkeypatch.setattr(replication.time, "monotonic", lambda: now[0])
    copies = Copies(tmp_path, 10**9)
    late = RunDelta(run, {"1.safetensors": b"one"}, frozenset(["1.safetensors"]))
    copies.keep(late)
    assert run in copies
    copies.delete(run)
    for is_birth in (False, True):
        copies.keep(late, is_birth)
    assert run not in copies and not (tmp_path / run).exists()
    now[0] += replication.LATE_S
    copies.delete(other)
    assert list(copies._deleted) == [other], "and not remembered for ever"


def test_an_outbox_remembers_nothing_of_a_deleted_run(tmp_path):
    run = "r" * 22
    (tmp_path / run).mkdir()
    (tmp_path / run / "1.safetensors").write_bytes(b"one")
    outbox = Outbox(tmp_path)
    outbox.pack(run)
    shutil.rmtree(tmp_path / run)
    assert not outbox.pack(run).present and not outbox._sent


def test_copies_follow_what_they_copy(tmp_path):
    run = "r" * 22
    source, copies = tmp_path / "source", Copies(tmp_path / "copies", 10**9)
    (source / run / "milestones").mkdir(parents=True)
    outbox = Outbox(source)
    for name, data in {"run.json": b"{}", "1.safetensors": b"one", "milestones/0-25": b"early"}.items():
        (source / run / name).write_bytes(data)
    birth = outbox.pack(run)
    copies.keep(birth, is_birth=True)
    assert not outbox.pack(run).files
    (source / run / "1.safetensors").unlink()
    (source / run / "2.safetensors").write_bytes(b"two")
    (source / run / ".3.safetensors.7.part").write_bytes(b"unfinished")
    delta = outbox.pack(run)
    assert delta.files == {"2.safetensors": b"two"}
    copies.keep(delta)
    copies.keep(birth, is_birth=True)  # it was overtaken
    kept = {path.relative_to(copies.root / run).as_posix() for path in (copies.root / run).rglob("*") if path.is_file()}
    assert kept == {"run.json", "2.safetensors", "milestones/0-25"}
    outbox.forget(run)
    assert set(outbox.pack(run).files) == kept


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../../out"])
def test_deltas_stay_in_their_folder(tmp_path, name):
    delta = RunDelta("r" * 22, {name: b"x"}, frozenset([name]))
    with pytest.raises(ValueError, match="leads out"):
        unpack(tmp_path, delta)
    with pytest.raises(ValueError, match="not a run id"):
        unpack(tmp_path, replace(delta, run_id="../evil/../../x" * 2))

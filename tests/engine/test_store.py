"""Checkpoints on disk: atomic, falling back on the one before, bounded, and closed to ids that are paths."""

import os

import pytest

from moe_viz.engine.store import RunStore
from moe_viz.spec import RunConfig
from tests.engine.fake import FakeTrainer

RUN = "run-0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def trainer_at(step):
    trainer = FakeTrainer(RunConfig(task="clusters"))
    trainer.step_number = step
    return trainer


def test_newest_comes_back(store):
    for step in (1, 2, 3):
        store.save(RUN, trainer_at(step), playing=step == 3)
    found = store.load(RUN, FakeTrainer.load)
    assert (found.trainer.step_number, found.playing) == (3, True) and RUN in store
    assert len(os.listdir(store.root / RUN)) == 2


def test_unreadable_checkpoint_falls_back_on_the_one_before(store):
    for step in (1, 2):
        store.save(RUN, trainer_at(step), playing=True)
    (store.root / RUN / "1" / "trainer").write_bytes(b"\x00garbage")
    assert store.load(RUN, FakeTrainer.load).trainer.step_number == 1
    (store.root / RUN / "0" / "trainer").unlink()
    found = store.load(RUN, FakeTrainer.load)
    assert found.trainer is None and found.config == RunConfig(task="clusters").flat()


def test_failed_save_leaves_what_was_there(store):
    store.save(RUN, trainer_at(1), playing=True)
    bad = trainer_at(2)
    bad.save = lambda path: (path.write_text("half"), 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.save(RUN, bad, playing=True)
    assert os.listdir(store.root / RUN) == ["0"]
    assert store.load(RUN, FakeTrainer.load).trainer.step_number == 1


def test_ids_cannot_be_paths(store):
    for bad in ("../../../../etc/passwd", "..", "", "a/b" * 8, "short"):
        assert bad not in store and store.load(bad, FakeTrainer.load) is None
        with pytest.raises(ValueError, match="run id"):
            store.save(bad, trainer_at(1), playing=True)


def test_prune_removes_the_oldest_beyond_the_budget_but_no_hosted_run(tmp_path):
    store = RunStore(tmp_path / "runs", max_bytes=250_000)
    names = [f"{RUN}-{i}" for i in range(5)]
    for i, name in enumerate(names):
        store.save(name, trainer_at(i), playing=True)
        (store.root / name / "0" / "ballast").write_bytes(b"x" * 100_000)
        os.utime(store.root / name, (i, i))
    store.prune(keep={names[0]})
    left = sorted(os.listdir(store.root))
    assert names[0] in left and names[-1] in left and names[1] not in left
    size = sum(f.stat().st_size for f in store.root.rglob("*") if f.is_file())
    assert size <= 250_000

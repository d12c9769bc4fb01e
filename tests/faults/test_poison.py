"""A run that kills the training process each time it is started: the class goes on, that run is refused after a few deaths."""

import time

import pytest

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.protocol import EngineError, RunRefused, WorkerLost
from moe_viz.engine.worker.crash_record import MOST
from tests.faults.fakes import POISON
from tests.faults.harness import children, clusters, settings, wait


@pytest.fixture
def engine(tmp_path):
    engine = LocalEngine(settings(tmp_path, "tests.faults.fakes:Poison"))
    yield engine
    engine.close()


def dies(engine, run):
    """Read until the process has died of it."""
    for _ in range(500):
        try:
            engine.read(run)
        except WorkerLost:
            return True
        time.sleep(0.01)
    return False


def test_a_run_that_kills_the_process_is_refused_in_the_end(engine):
    good, bad = engine.open(clusters(seed=1)), engine.open(clusters(seed=POISON))
    deaths = 0
    while True:
        assert dies(engine, bad)
        deaths += 1
        engine.resume(good)
        try:
            engine.resume(bad)
        except RunRefused as refused:
            assert "several times" in str(refused)
            break
    assert deaths == MOST
    before = engine.read(good).snapshot.step
    wait(lambda: engine.read(good).snapshot.step > before + 20)
    for _ in range(3):
        with pytest.raises(RunRefused):
            engine.read(bad)
    assert engine.read(good).playing and len(children()) == 1


def test_a_run_that_dies_elsewhere_each_time_is_not_blamed(engine):
    """Killed from outside, however often: what was at work at that moment can do nothing for it.

    It may begin again at the same step each time, so each death comes clearly later than the one before.
    """
    run = engine.open(clusters(seed=1))
    for death in range(1, MOST + 3):
        before = engine.read(run).snapshot.step
        wait(lambda end=before + 50 * death: engine.read(run).snapshot.step > end)
        engine._worker.process.kill()
        assert dies(engine, run)
        engine.resume(run)
    before = engine.read(run).snapshot.step
    wait(lambda: engine.read(run).snapshot.step > before)


def test_an_orderly_end_blames_nobody(tmp_path):
    for _ in range(MOST + 1):
        engine = LocalEngine(settings(tmp_path, "tests.engine.fake:SlowTrainer"))
        engine.open(clusters())
        engine.close()
    assert not list((tmp_path / "runs").glob("at-work.*")) and not (tmp_path / "runs" / "crashes.json").exists()


@pytest.mark.parametrize("seed", [POISON, POISON + 1])
def test_half_an_answer_and_what_is_none(tmp_path, seed):
    """Readers learn that the process is lost, and the others' runs come back with the next one."""
    engine = LocalEngine(settings(tmp_path, "tests.faults.fakes:Babbling"))
    try:
        good = engine.open(clusters(seed=1))
        for _ in range(2):
            bad = engine.open(clusters(seed=seed))
            start = time.monotonic()
            with pytest.raises(EngineError):
                while time.monotonic() < start + 10:
                    engine.read(bad)
            assert dies(engine, good) or engine.read(good)
            engine.resume(good)
            assert engine.read(good).snapshot.step >= 0
    finally:
        engine.close()
    assert not children()

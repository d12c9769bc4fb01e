"""The training process and its client: answers, pace on the real clock, death on either side, many threads at once."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from moe_viz.engine.calls import Request
from moe_viz.engine.client import LocalEngine
from moe_viz.engine.limits import Limits, WorkerSettings
from moe_viz.engine.protocol import EngineError, UnknownRun, WorkerLost
from moe_viz.spec import RunConfig
from tests.engine.fake import STUCK

ROOT = Path(__file__).parents[3]


def config(**fields):
    return RunConfig(task="clusters", **fields)


def settings(folder, trainer="SlowTrainer", **fields):
    name = trainer if ":" in trainer else f"tests.engine.fake:{trainer}"
    return WorkerSettings(store=str(folder / "runs"), trainer=name, **fields)


@pytest.fixture
def engine(tmp_path):
    engine = LocalEngine(settings(tmp_path))
    yield engine
    engine.close()


def wait(condition, seconds=20.0, every=0.02):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(every)
    return value


def steps(engine, run):
    return engine.read(run).snapshot.step


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_run_goes_on_between_reads_and_takes_knobs(engine):
    run = engine.open(config())
    wait(lambda: steps(engine, run) > 20)
    assert engine.set(run, balance_coef=0.5) == ["balance_coef is now 0.5"]
    assert engine.read(run).snapshot.config["balance_coef"] == 0.5
    engine.play(run, False)
    at = steps(engine, run)
    engine.step_once(run)
    update = engine.read(run, since=(0, at))
    assert update.snapshot.step == at + 1 and update.history.step.tolist() == [at + 1] and not update.playing
    engine.reset(run)
    assert (steps(engine, run), engine.read(run).epoch) == (0, 1)
    status = engine.status()
    assert status["pid"] == engine.pid and status["rss_mb"] > 10


def test_errors_arrive_as_engine_errors_and_break_nothing(engine):
    run = engine.open(config())
    with pytest.raises(EngineError, match="lr = 7"):
        engine.set(run, lr=7)
    with pytest.raises(UnknownRun):
        engine.read("../../../../../etc/passwd")
    with pytest.raises(EngineError, match="could not do this"):
        engine.read(run, "since when?")
    with pytest.raises(EngineError, match="not a call"):
        engine.carry(Request("close"))
    broken = engine.open(config(seed=100))
    wait(lambda: engine.read(broken).snapshot.state == "failed")
    before = steps(engine, run)
    wait(lambda: steps(engine, run) > before)


@pytest.mark.parametrize("speed", [5, 20])
def test_pace_by_the_wall_clock(tmp_path, speed):
    """Beside a greedy neighbour and on a busy machine: see test_host, whose clock no other process can hold up."""
    engine = LocalEngine(replace(settings(tmp_path), niceness=0))
    try:
        run = engine.open(config(speed=speed))
        wait(lambda: steps(engine, run) > 2)
        start, first = time.monotonic(), steps(engine, run)
        wait(lambda: steps(engine, run) >= first + 4 * speed, every=0.1)
        done, seconds = steps(engine, run) - first, time.monotonic() - start
        said = engine.read(run).steps_per_second
    finally:
        engine.close()
    # a whole step may fall on either side of the window
    assert abs(done - speed * seconds) <= 0.05 * speed * seconds + 1
    assert said == pytest.approx(speed, abs=0.1 * speed + 0.5), "what the page says is what the wall clock sees"


def test_twelve_runs_are_served_alike(engine):
    runs = [engine.open(config(seed=i)) for i in range(12)]

    def now():
        """Of all at one moment, and unread: a snapshot is charged to the run that asked for it."""
        told = engine.status()["runs"]
        return [told[run[:6]]["step"] for run in runs]

    wait(lambda: min(now()) > 0, every=0.1)
    first = now()
    wait(lambda: max(now()) >= max(first) + 60, seconds=120, every=0.1)
    reached = [after - before for before, after in zip(first, now())]
    assert min(reached) >= 0.7 * max(reached)


def test_twenty_threads_each_get_their_own_answers(engine):
    problems = []

    def session(number):
        try:
            run = engine.open(config(seed=1000 + number, speed=100))
            since = None
            for i in range(30):
                engine.set(run, balance_coef=number / 100)
                update = engine.read(run, since)
                assert update.snapshot.config["seed"] == 1000 + number
                assert update.snapshot.config["balance_coef"] == number / 100
                if since:
                    assert (update.history.step > since[1]).all()
                since = (update.epoch, update.snapshot.step)
                if i % 10 == 0:
                    with pytest.raises(EngineError):
                        engine.set(run, lr=-1)
            engine.release(run)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=session, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not problems and not any(thread.is_alive() for thread in threads)
    wait(lambda: not engine._worker._waiting)  # no request is forgotten


@pytest.fixture
def often(tmp_path):
    """An engine that keeps a checkpoint each half second; that the usual one is never older than five is said in test_host."""
    engine = LocalEngine(settings(tmp_path, limits=Limits(checkpoint_s=0.5)))
    yield engine
    engine.close()


def test_killed_worker_is_noticed_at_once_and_resumed(often):
    engine, read_at, asked = often, {}, 1.5
    run, other = engine.open(config(speed=100)), engine.open(config(speed=100))

    def read():
        read_at[time.monotonic()] = steps(engine, run)
        return max(read_at) - min(read_at) > 2 * asked and min(read_at.values()) < max(read_at.values())

    wait(read, every=0.1)
    killed = time.monotonic()
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match="signal 9"):
        while True:
            engine.read(run)
    assert time.monotonic() - killed < 1
    for call in (engine.ready, engine.status, lambda: engine.set(run, lr=0.1)):
        with pytest.raises(WorkerLost):
            call()
    engine.release(run)  # a session that ends now is not disturbed
    engine.resume(run)
    update = engine.read(run)
    before = max(step for at, step in read_at.items() if at <= killed - asked)
    assert update.snapshot.step >= before > 0 and update.playing
    wait(lambda: steps(engine, run) > update.snapshot.step)
    assert steps(engine, other) >= before  # nobody has to resume twice
    engine.resume(run)


def test_threads_that_wait_learn_of_the_death(tmp_path):
    engine = LocalEngine(settings(tmp_path, "tests.engine.fake:StuckTrainer"))
    try:
        outcome = []

        def ask():
            try:
                engine.status()
            except EngineError as error:
                outcome.append(error)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait(lambda: len(engine._worker._waiting) == 1 + len(threads))  # the start, too, is waited for
        os.kill(engine.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(timeout=1)
        assert len(outcome) == 5 and all(isinstance(error, WorkerLost) for error in outcome)
    finally:
        engine.close()


def test_new_reader_gets_a_new_worker(engine):
    engine.open(config())
    os.kill(engine.pid, signal.SIGKILL)
    wait(lambda: gone(engine._worker.process.pid))
    assert steps(engine, engine.open(config())) >= 0


def test_worker_that_cannot_start_says_so(tmp_path):
    engine = LocalEngine(settings(tmp_path, "tests.engine.fake:NoSuchTrainer"))
    try:
        with pytest.raises(WorkerLost):
            while True:
                engine.ready()
                time.sleep(0.05)
        assert "NoSuchTrainer" in (tmp_path / "worker.log").read_text()
    finally:
        engine.close()


def test_close_saves_and_leaves_nothing(tmp_path):
    engine = LocalEngine(settings(tmp_path))
    run = engine.open(config())
    wait(lambda: steps(engine, run) > 5)
    reached, pid, threads = steps(engine, run), engine.pid, threading.active_count()
    engine.close()
    engine.close()
    assert gone(pid) and threading.active_count() == threads - 1
    with pytest.raises(WorkerLost):
        engine.read(run)
    again = LocalEngine(settings(tmp_path))
    try:
        assert steps(again, run) >= reached
    finally:
        again.close()


PARENT = """
    import sys, time
    from moe_viz.engine.client import LocalEngine
    from moe_viz.engine.limits import WorkerSettings
    from moe_viz.spec import RunConfig
    engine = LocalEngine(WorkerSettings(store=sys.argv[1], trainer="tests.engine.fake:" + sys.argv[2]))
    if sys.argv[2] != "StuckTrainer":
        engine.open(RunConfig(task="clusters"))
    print(engine.pid, flush=True)
    {then}
"""


def parent(folder, trainer, then="time.sleep(60)"):
    code = textwrap.dedent(PARENT).format(then=then)
    command = [sys.executable, "-c", code, str(folder / "runs"), trainer]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("trainer", ["SlowTrainer", "StuckTrainer"])
def test_worker_follows_a_killed_parent(tmp_path, trainer):
    """Also out of a step that lasts a minute."""
    process, worker = parent(tmp_path, trainer)
    if trainer == "StuckTrainer":
        wait(lambda: STUCK in (tmp_path / "worker.log").read_text())
    assert not gone(worker)
    process.kill()
    process.wait()
    wait(lambda: gone(worker), seconds=10)


def test_worker_follows_a_parent_that_just_ends(tmp_path):
    process, worker = parent(tmp_path, "SlowTrainer", then="pass")
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0 and not errors
    wait(lambda: gone(worker), seconds=10)


def test_after_an_error_of_the_device_the_worker_comes_back_by_itself_and_the_other_runs_go_on(tmp_path):
    with_saves = Limits(checkpoint_s=0.2)
    engine = LocalEngine(settings(tmp_path, "FakeTrainer", limits=with_saves))
    try:
        other = engine.open(config(speed=50))
        wait(lambda: steps(engine, other) > 20)
        before, pid = steps(engine, other), engine.pid
        guilty = engine.open(config(seed=105))
        wait(lambda: gone(pid))
        wait(lambda: _goes_on(engine, other, before))
        with pytest.raises(EngineError, match="reported an error in this run"):
            engine.read(guilty)
    finally:
        engine.close()


def _goes_on(engine, run, before):
    try:
        return steps(engine, run) > before
    except EngineError:
        return False

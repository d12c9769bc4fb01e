"""A disk that is full, or fails at any one write, and checkpoints that are damaged: runs go on, what was kept stays, the reader is told."""

import errno
import random
import resource
import time
from contextlib import contextmanager

import psutil
import pytest
import torch

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.training import Trainer
from tests.faults import MESSAGE_S, TIMES
from tests.faults.harness import children, clusters, losses, settings, stored, unfinished, wait

pytestmark = pytest.mark.timeout(900)
torch.set_num_threads(1)


class Clock:
    """A host's clock that goes a millisecond whenever it is looked at, and jumps when it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        self.now += 0.001
        return self.now


@pytest.fixture
def harness(tmp_path):
    """A host with two runs, of which a checkpoint is kept, and its clock."""
    clock = Clock()
    host = Host(Trainer, RunStore(tmp_path / "runs"), clock=clock, cpu_clock=clock)
    runs = [host.open(clusters(seed=i)) for i in (1, 2)]
    yield host, runs, clock
    host.close()


def train(host, clock, runs, steps=3, seconds=5.0):
    """Steps of every run and, `seconds` later, the checkpoints that are due by then."""
    for run in runs:
        for _ in range(steps):
            host.step_once(run)
    clock.now += seconds
    for run in runs:
        host.read(run)
    for _ in runs:
        host._roster.keep_house(clock.now)


def steps_kept(host, runs):
    return [stored(host._roster.store.root, run).trainer.step_number for run in runs]


# ---- every write in turn ----


@contextmanager
def failing_write(monkeypatch, at):
    """The write number `at` finds the disk full: files opened for writing, bytes that are written, renames, folders. Counts them all."""
    import builtins
    import os
    from pathlib import Path

    from moe_viz.training.files import checkpoint

    done = []

    def guard(real):
        def call(*args, **kwargs):
            if real is builtins_open and not set("wax+") & set(args[1] if len(args) > 1 else kwargs.get("mode", "r")):
                return real(*args, **kwargs)
            done.append(real)
            if len(done) - 1 == at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return call

    builtins_open = builtins.open
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", guard(builtins.open))
        for name in ("fsync", "replace", "rename"):
            patch.setattr(os, name, guard(getattr(os, name)))
        for name in ("mkdir", "write_bytes", "write_text"):
            patch.setattr(Path, name, guard(getattr(Path, name)))
        patch.setattr(checkpoint, "save_file", guard(checkpoint.save_file))
        yield done


def test_any_one_write_may_fail(harness, monkeypatch):
    host, runs, clock = harness
    train(host, clock, runs)
    with failing_write(monkeypatch, at=-1) as writes:
        train(host, clock, runs)
    assert len(writes) >= 6
    kept = steps_kept(host, runs)
    for at in range(max(TIMES, len(writes))):
        with failing_write(monkeypatch, at % len(writes)):
            train(host, clock, runs)  # must not raise: nobody's page does either
        told = [note for run in runs for note in host.read(run).notices]
        assert all(update.playing and update.snapshot.state == "running" for update in map(host.read, runs))
        now = steps_kept(host, runs)
        assert all(new in (old, old + 3) for new, old in zip(now, kept, strict=True))
        assert now == [old + 3 for old in kept] or told, "a checkpoint that cannot be written is said at once"
        train(host, clock, runs, steps=0)  # the disk has room again
        host.read(runs[0]), host.read(runs[1])
        kept = [host.read(run).snapshot.step for run in runs]
        assert steps_kept(host, runs) == kept and not unfinished(host._roster.store.root)


# ---- a real worker that may write no more than some bytes ----


def test_full_disk_under_a_running_worker(tmp_path):
    """RLIMIT_FSIZE on the living process: its writes end half-way with an error, as on a full disk. Then there is room again."""
    engine = LocalEngine(settings(tmp_path))
    store = tmp_path / "runs"
    try:
        runs = [engine.open(clusters(seed=i, speed=40)) for i in (1, 2)]
        wait(lambda: engine.read(runs[0]).snapshot.step > 5)
        save(engine, *runs)
        told, draw = [], random.Random(0)
        for i in range(TIMES):
            run = runs[i % 2]
            kept = stored(store, run).trainer.step_number
            wait(lambda run=run, kept=kept: engine.read(run).snapshot.step > kept)
            resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (draw.randrange(0, 40_000), resource.RLIM_INFINITY))
            start = time.monotonic()
            save(engine, run)
            notices = wait(lambda run=run: engine.read(run).notices)
            told.append(time.monotonic() - start)
            assert any("save" in str(notice) for notice in notices), notices
            assert stored(store, run).trainer.step_number == kept
            resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            reached = engine.read(run).snapshot.step
            save(engine, run)
            assert engine.read(run).playing
            assert stored(store, run).trainer.step_number >= reached
        assert max(told) <= MESSAGE_S
        print(f"\ndisk full {len(told)} times: told {max(told):.2f} s")
        goes_on_exactly(engine, store, runs[0])
    finally:
        engine.close()
    assert not children() and not unfinished(store)


def save(engine, *runs):
    """As when their pages close, once that has been dealt with."""
    for run in runs:
        engine.release(run)
    engine.status()


def goes_on_exactly(engine, store, run):
    """Nothing of all this has touched the run itself."""
    engine.play(run, False)
    save(engine, run)
    lived = stored(store, run).trainer
    straight = Trainer(lived.config)
    straight.run(lived.step_number)
    rows = losses(lived.history.rows(limit=None))
    assert len(rows) == lived.step_number and rows == losses(straight.history.rows(limit=None))


# ---- damaged files ----


def damage(path, draw):
    """One of the ways in which a file comes back wrong: cut off, emptied, a bit flipped, a block of zeros, gone."""
    data, kind = bytearray(path.read_bytes()), draw.choice(["cut", "empty", "bit", "zeros", "gone"])
    place = draw.randrange(len(data) or 1)
    if kind == "gone":
        path.unlink()
        return kind
    if kind == "bit" and data:
        data[place] ^= 1 << draw.randrange(8)
    elif kind == "zeros":
        block = data[place : place + 4096]
        data[place : place + 4096] = b"\xff" * len(block) if not any(block) else bytes(len(block))
    path.write_bytes(data[: {"cut": place, "empty": 0}.get(kind, len(data))])
    return kind


def test_damaged_checkpoints(harness):
    """The newest checkpoint is damaged: the run goes on exactly from the one before. Both are: it starts again, and says so."""
    host, runs, clock = harness
    draw, store, (run, other) = random.Random(0), host._roster.store.root, runs
    train(host, clock, runs)
    train(host, clock, runs)
    for _ in range(TIMES):
        before = host.read(run).snapshot.step
        train(host, clock, [run])
        untouched = host.read(other).snapshot.step
        newest, older = sorted((store / run).glob("*.safetensors"), key=lambda path: -int(path.stem))[:2]
        assert Trainer.load(older).step_number == before
        damage(newest, draw)
        del host._runs[run]  # as after a restart
        update = host.read(run)
        assert update.snapshot.step == before and update.notices and update.playing
        straight = Trainer.load(older)
        straight.run(3)
        for _ in range(3):
            host.step_once(run)
        host.read(run)
        assert losses(host._runs[run].trainer.history.rows(limit=5)) == losses(straight.history.rows(limit=5))
        train(host, clock, [run], steps=0)
        assert host.read(other).snapshot.step == untouched
    for path in (store / run).glob("*.safetensors"):
        path.write_bytes(b"")
    del host._runs[run]
    update = host.read(run)
    assert (update.snapshot.step, update.snapshot.config["seed"]) == (0, 1) and update.notices


def test_nothing_in_the_store_can_stop_the_process(harness):
    """Whatever lies in a run's folder or beside it: no exception leaves the host, and the other run trains on."""
    host, (run, other), clock = harness
    draw, store = random.Random(1), host._roster.store.root
    for _ in range(TIMES):
        train(host, clock, [run, other])
        files = [path for path in (store / run).rglob("*") if path.is_file()]
        for path in draw.sample(files, draw.randint(1, len(files))):
            if path.exists():
                damage(path, draw)
        (store / "crashes.json").write_bytes(draw.randbytes(20))
        host._runs.pop(run, None)
        before = host.read(other).snapshot.step
        try:
            host.read(run)
        except Exception as error:
            assert type(error).__name__ in ("UnknownRun", "EngineError"), repr(error)
            run = host.open(clusters(seed=1))
        host.tick()
        host._roster.store.prune(keep={run, other})
        host.step_once(other)
        assert host.read(other).snapshot.step > before


def test_files_and_memory_do_not_pile_up(harness):
    host, runs, clock = harness
    train(host, clock, runs)
    files = psutil.Process().num_fds()
    for _ in range(TIMES):
        train(host, clock, runs)
        for run in runs:
            del host._runs[run]
    assert psutil.Process().num_fds() <= files
    names = [path.name for path in host._roster.store.root.rglob("*.safetensors")]
    assert len(names) == 2 * len(runs)

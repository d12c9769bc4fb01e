"""The training process is killed in the middle of a step, of a checkpoint, of an answer, of opening a run, and once it has been up for long.

Readers learn of it at once, nothing is lost beyond the last checkpoint, and a run that was killed all the time has the very history
of one that never was.
"""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.training import Trainer
from tests.faults import CHECKPOINT_S, KILLS, MESSAGE_S
from tests.faults.harness import (
    PACE,
    Seen,
    Worked,
    asking,
    children,
    clusters,
    kill,
    losses,
    newest_write,
    settings,
    stored,
    told_of_the_death,
    unfinished,
    wait,
)

pytestmark = pytest.mark.timeout(900)
MOMENTS = ("step", "checkpoint", "answer", "opening", "late", "checkpoint", "step", "answer", "opening", "checkpoint")


class Killed:
    """One engine with a run at full speed, a paced one, a paused one and a pair in lock-step; killed again and again."""

    def __init__(self, folder, seed):
        self.store = folder / "runs"
        self.engine = LocalEngine(settings(folder))
        self.worked = Worked(lambda: self.engine.pid)
        self.draw, self.seen, self.opened = random.Random(seed), Seen(), []
        self.fast, self.paced = self.engine.open(clusters(seed=1)), self.engine.open(clusters(seed=2, speed=PACE))
        self.paused = self.engine.open(clusters(seed=3))
        self.pair = self.engine.open_group([clusters(seed=4), clusters(seed=4, lr=0.01)])
        self.up_since = time.time()
        wait(lambda: self.engine.read(self.paused).snapshot.step > 20)
        self.engine.play(self.paused, False)
        self.paused_at = self.engine.read(self.paused).snapshot.step
        wait(lambda: self.engine.read(self.paced).snapshot.step > 5)
        wait(lambda: not RunStore(self.store).describe(self.paused).playing)  # the pause is kept

    def once(self, moment):
        killed = self._kill_at(moment)
        start = time.monotonic()
        told_of_the_death(self.engine, self.paced)
        self.seen.told.append(time.monotonic() - start)
        kept = {run: stored(self.store, run).trainer for run in (self.fast, self.paced, self.paused, *self.pair)}
        written = min(newest_write(self.store / run) for run in (self.fast, self.paced, *self.pair))
        since = max(written, self.up_since)
        self.seen.age.append(killed - since)
        self.seen.lost.append(self.worked.since(since))
        assert kept[self.paused].step_number == self.paused_at

        start = time.monotonic()
        self.engine.resume(self.fast)
        self.up_since = time.time()
        for thread in self.opened:
            thread.join()
        updates = {run: self.engine.read(run, (0, kept[run].step_number)) for run in (self.fast, self.paced)}
        assert all(updates[run].snapshot.step >= kept[run].step_number for run in updates)
        least = min(kept[run].step_number for run in self.pair)
        wait(lambda: self._level() >= least)  # where only one had its checkpoint written, the other catches up first
        wait(lambda: self.engine.read(self.fast).snapshot.step > kept[self.fast].step_number)
        self.seen.back.append(time.monotonic() - start)
        self._goes_on_exactly(self.fast, kept[self.fast])

    def _kill_at(self, moment):
        engine = self.engine
        if moment == "checkpoint":
            engine.release(self.fast)  # which saves it
            with suppress(AssertionError):  # over before we saw it, on a busy machine
                wait(lambda: unfinished(self.store), seconds=0.5, every=0)
        elif moment == "answer":
            with asking(engine, self.fast):
                time.sleep(self.draw.uniform(0.05, 0.4))
                return self._kill()
        elif moment == "opening":
            self.opened.append(threading.Thread(target=lambda: engine.open(clusters(seed=9), playing=False)))
            self.opened[-1].start()
            time.sleep(self.draw.uniform(0, 0.03))
        else:
            time.sleep(self.draw.uniform(0.1, 0.5) if moment == "step" else self.draw.uniform(5.5, 7))
        return self._kill()

    def _kill(self):
        self.worked.look()
        return kill(self.engine.pid)

    def _level(self):
        """The step of the pair, -1 while one has to catch up."""
        one, two = (update.snapshot.step for update in self.engine.read_group(self.pair))
        return one if one == two else -1

    def _goes_on_exactly(self, run, trainer):
        """The first steps after the return are those that the checkpoint leads to, bit for bit."""
        first = trainer.step_number
        there = losses(self.engine.read(run, (trainer.epoch, first)).history)
        trainer.run(3)
        here = losses(trainer.history.rows((trainer.epoch, first)))
        same = here.keys() & there.keys()
        assert all(here[key] == there[key] for key in same)


@pytest.mark.slow
def test_nothing_is_lost_beyond_the_last_checkpoint(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    before, threads = {p.pid for p in children()}, threading.active_count()
    grounds = [Killed(tmp_path / str(i), seed=i) for i in range(2)]
    files = psutil.Process().num_fds()

    def all_of(harness):
        for i in range(KILLS // 2):
            harness.once(MOMENTS[i % len(MOMENTS)])

    with ThreadPoolExecutor(2) as both:
        list(both.map(all_of, grounds))
    report(grounds)
    assert psutil.Process().num_fds() <= files, "files of dead processes stay open"
    assert len({p.pid for p in children()} - before) == 2, "one training process each, no zombies"
    for harness in grounds:
        harness.worked.close()
        harness.engine.close()
        ends_as_if_never_killed(harness)
    assert {p.pid for p in children()} <= before and threading.active_count() <= threads
    assert not list((tmp_path / "tmp").iterdir()), "temporary files are left"


def report(grounds):
    names = ("told", "back", "age", "lost")
    told, back, age, lost = (max(max(getattr(g.seen, name)) for g in grounds) for name in names)
    times = sum(len(g.seen.told) for g in grounds)
    print(f"\nkilled {times} times: told {told:.2f} s, back {back:.1f} s, checkpoint {age:.1f} s, lost {lost:.2f} s")
    assert told <= MESSAGE_S and lost <= CHECKPOINT_S


def ends_as_if_never_killed(harness):
    for path in unfinished(harness.store):
        os.utime(path, (0, 0))  # as if it had lain there for long
    RunStore(harness.store).prune(keep=set())
    assert not unfinished(harness.store), "drafts of killed processes are left"
    lived = stored(harness.store, harness.paced).trainer
    straight = Trainer(lived.config)
    straight.run(lived.step_number)
    rows = losses(lived.history.rows(limit=None))
    assert list(rows) == [(0, step) for step in range(1, lived.step_number + 1)]
    assert rows == losses(straight.history.rows(limit=None))

"""Clocks that jump: the wall clock either way, by a second or by years; the host's own clock forward, as after a suspended machine.

And a run whose numbers stop being finite, in the real training process: its reader is told, the others never notice.
"""

import random
import time

import torch

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.training import Trainer
from tests.faults import CHECKPOINT_S, TIMES
from tests.faults.harness import children, clusters, losses, settings, stored, wait
from tests.faults.nan_trainer import FIRST_NAN_SEED

torch.set_num_threads(1)
YEAR_S = 365 * 86_400.0


def test_the_wall_clock_jumps(tmp_path, monkeypatch):
    """Between any two ticks, real time going on: checkpoints stay as young as ever, the pace the same, nothing is removed or lost."""
    draw, shift, real = random.Random(0), [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    host = Host(Trainer, RunStore(tmp_path / "runs"))
    paced, fast = host.open(clusters(seed=1, speed=50)), host.open(clusters(seed=2))
    start = time.monotonic()
    for i in range(TIMES):
        shift[0] = draw.choice([-1, 1]) * draw.choice([1.0, 60.0, 3600.0, 86_400.0, 20 * YEAR_S])
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            time.sleep(min(host.tick(), 0.01))
        assert all(host.read(run).snapshot.state == "running" for run in (paced, fast))
        if i % 10 == 9:
            host._roster.store.prune(keep=set(host._runs))
    passed, due = time.monotonic() - start, host._runs[paced].trainer.step_number
    assert 0.5 * 50 * passed <= due <= 50 * passed + 13
    saved = [host._runs[run].saved_at for run in (paced, fast)]
    assert time.monotonic() - min(saved) <= CHECKPOINT_S + 2.0
    host.close()
    again = Host(Trainer, RunStore(tmp_path / "runs"))
    assert again.read(paced).snapshot.step == due
    straight = Trainer(clusters(seed=1, speed=50))
    straight.run(due)
    rows = losses(again._runs[paced].trainer.history.rows(limit=None))
    assert rows == losses(straight.history.rows(limit=None))
    again.close()


def test_the_hosts_clock_jumps_forward(tmp_path):
    """As when a machine sleeps: everything is due at once. No burst of steps, every run is saved or comes back where it was."""
    now, draw = [0.0], random.Random(0)

    def clock():
        now[0] += 0.0005
        return now[0]

    host = Host(Trainer, RunStore(tmp_path / "runs"), clock=clock)
    runs = [host.open(clusters(seed=seed, speed=10)) for seed in range(4)]
    for _ in range(TIMES):
        reached = [host.read(run).snapshot.step for run in runs]
        now[0] += draw.choice([10.0, 60.0, 3600.0, 30 * 86_400.0])
        for _ in range(8):
            host.tick()
        back = [host.read(run).snapshot.step for run in runs]
        assert all(0 <= new - old <= 4 for old, new in zip(reached, back, strict=True)), "no burst, no loss"
        for _ in range(8):
            host.tick()
            now[0] += 0.1
        kept = [stored(tmp_path / "runs", run).trainer.step_number for run in runs]
        assert all(step >= old for step, old in zip(kept, reached, strict=True))
    host.close()


def test_a_run_that_diverges_in_the_real_process(tmp_path):
    """Its reader is told why within seconds; those of others see nothing of it, and the process is the same."""
    engine = LocalEngine(settings(tmp_path, "tests.faults.nan_trainer:NaNTrainer"))
    try:
        other = engine.open(clusters(seed=1, speed=50))
        pid = engine.pid
        for i in range(TIMES):
            before = engine.read(other).snapshot.step
            bad = engine.open(clusters(seed=FIRST_NAN_SEED + i, speed=50))
            stopped = wait(lambda bad=bad: _stopped(engine.read(bad)))
            assert "finite" in str(stopped.message)
            assert stopped.step == 0, "the last sound parameters are back"
            engine.release(bad)
            wait(lambda before=before: engine.read(other).snapshot.step > before)
        assert engine.pid == pid and engine.read(other).snapshot.state == "running"
    finally:
        engine.close()
    assert not children()


def _stopped(update):
    """The snapshot once it has stopped; the first answer after the accident must say so."""
    assert update.snapshot.state == "diverged" or update.snapshot.step <= 10
    return update.snapshot if update.snapshot.state == "diverged" else None

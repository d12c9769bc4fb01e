"""A trainer without torch: counts steps and can be told to be slow, to fail or to diverge. It fakes no numbers for any view."""

import json
import sys
import time

import numpy as np

from moe_viz.records.files import write_atomically
from moe_viz.records.history import History
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import RunConfig, change, needs_restart


class FakeTrainer:
    """Behaves by `seed`: 100 raises at step 3, 101 diverges at step 3, 102 runs out of memory at step 3, 103 cannot make a snapshot,
    105 meets an error of the device at step 3."""

    work_s = 0.0

    def __init__(self, config, clock=None):
        self.config, self.clock = config, clock
        self.step_number = self.snapshots = self.evaluations = 0
        self.state, self.message = "running", ""
        self.history = History()

    @property
    def epoch(self):
        return self.history.epoch

    def step(self):
        if self.step_number == 3 and self.config.seed in (100, 102):
            raise RuntimeError("CUDA out of memory" if self.config.seed == 102 else "boom")
        if self.step_number == 3 and self.config.seed == 105:
            raise RuntimeError("CUDA error: device-side assert triggered")
        if self.step_number == 3 and self.config.seed == 101:
            self.state, self.message = "diverged", "The loss is not finite."
            return
        if self.work_s:
            end = time.thread_time() + self.work_s
            while time.thread_time() < end:
                pass
        self.step_number += 1
        self.history.append(["loss"], [self.step_number], np.array([[1.0 / self.step_number]]))

    def set(self, **knobs):
        new = change(self.config, **knobs)
        restarts = needs_restart(self.config, new)
        self.config = new
        if restarts:
            self.reset()
        return [f"{name} is now {value}" for name, value in knobs.items()]

    pending = None
    at_rest = False

    def note(self, what):
        self.noted = [*getattr(self, "noted", []), what]

    def branch(self):
        self.note("fork")

    def reset(self):
        self.step_number, self.state = 0, "running"
        self.history.restart()

    def snapshot(self, evaluate=True):
        if self.config.seed == 103:
            raise RuntimeError("no picture")
        self.snapshots += 1
        self.evaluations += evaluate
        return Snapshot(self.step_number, self.config.flat(), {"loss": 1.0}, [], self.state, self.message)

    def route_text(self, text):
        raise ValueError("task = 'clusters' has no text")

    def save(self, path, history=True, since=None):
        about = {"config": self.config.flat(), "step": self.step_number, "epoch": self.epoch}
        write_atomically(path, json.dumps(about).encode())  # as the real one: nobody ever reads half of it

    @classmethod
    def load(cls, path):
        about = json.loads(path.read_text())
        trainer = cls(RunConfig.from_flat(about["config"]))
        trainer.step_number, trainer.history.epoch = about["step"], about["epoch"]
        return trainer


class SlowTrainer(FakeTrainer):
    """2 ms of CPU per step."""

    work_s = 0.002


STUCK = "this step will take a minute"


class StuckTrainer(FakeTrainer):
    """One step lasts a minute: a worker that nothing but its own watch can end."""

    def step(self):
        print(STUCK, file=sys.stderr, flush=True)
        time.sleep(60)

"""Run: one network's training run: what a step of it is, what is measured of it, and what its parameters are.

A run is a pure function of its script: settings, device, and what was done at which step. Batches and random numbers depend on
(seed, step) only, so runs that take turns in one process, or that resume from a checkpoint, give the same numbers (bit for bit on CPU).
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from moe_viz.models import build_model
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import RunConfig
from moe_viz.tasks import make_task
from moe_viz.training import messages
from moe_viz.training.devices import device_of, random_stream
from moe_viz.training.files.checkpoint import Checkpoint, put_back, tensors_of, views_of
from moe_viz.training.hostable_run import HostableRun
from moe_viz.training.inspect.probe import route, shown
from moe_viz.training.live_knobs import apply_live
from moe_viz.training.metrics.gradient_norms import gradient_norms
from moe_viz.training.metrics.measure import LEDGER, WINDOW, as_matrix, columns_of, measure, newest, nothing_yet
from moe_viz.training.metrics.statistics import Statistics, StepRows
from moe_viz.training.step import break_off, make_optimizer, train_step
from moe_viz.training.transfer import to_host

LAST_STEPS = "last_steps."
"""How the names of what a checkpoint holds of the last steps begin: metrics over a moving window go on where they were."""
RATE_MEMORY = 0.8
"""How much the tokens per second of one look still count at the next: a single step says more of the machine than of the model."""
KEEP_EVERY = 100
"""Steps between the copies of the run that a divergence falls back to."""


class Run(HostableRun[RunConfig]):
    """One run of `config`, see `ScriptedRun`. Raises ValueError for a device that is absent.

    statistics   of the steps that `collect` has not read yet
    """

    kind: ClassVar[str] = RunConfig.kind

    def _begin(self, config: RunConfig) -> None:
        device = device_of(config)
        with random_stream(device, "init", config.seed):
            task = make_task(config, device)
            model = build_model(config, task).to(device)
        statistics, optimizer = Statistics(len(model.moe_layers), config.n_experts, device), make_optimizer(model)
        self._kept = Checkpoint(config, 0, self.epoch, tensors_of(model, optimizer))
        # From here on nothing can fail: a restart for which there is no memory leaves the run as it was.
        self.config, self.device, self.task, self.model = config, device, task, model.train()
        self.optimizer, self.statistics = optimizer, statistics
        self.step_number = 0
        self.state, self.message = "running", ""
        self._window: StepRows | None = None
        self._metrics = nothing_yet(len(model.moe_layers), config.n_experts)
        self._task_metric: tuple[Any, float] | None = None
        self._trained_tokens, self._trained_seconds, self._rate = 0.0, 0.0, None

    # -- training ----------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One training step; none where the run has diverged. Does not wait for the device (but once in `KEEP_EVERY` steps)."""
        if self.step_number - self._kept.step >= KEEP_EVERY:
            self.collect()  # by itself, so that what a divergence falls back to does not depend on how often a page looks
        if self.state == "diverged":
            return
        started = time.perf_counter()
        with random_stream(self.device, "step", self.config.seed, self.step_number):
            batch = self.task.train_batch(self.step_number, self.config.seed)
            try:
                norm = train_step(
                    self.model, self.optimizer, self.task, batch, self.config, self.step_number, self.statistics
                )
            except Exception:
                break_off(self.model, self.optimizer)
                raise
        self.step_number += 1
        n_tokens = len(batch.token_ids)
        norms = gradient_norms(self.model) if self.config.grad_ledger else None
        self.statistics.commit(self.step_number, n_tokens, norm, norms)
        self._trained_tokens += n_tokens
        self._trained_seconds += time.perf_counter() - started
        if self.statistics.full:
            self.collect()

    def run(self, steps: int) -> None:
        """Up to `steps` training steps; fewer where the run diverges."""
        end = self.step_number + steps
        while self.step_number < end and self.state != "diverged":
            for _ in range(min(KEEP_EVERY, end - self.step_number)):
                self.step()
            self.collect()

    def collect(self) -> None:
        """Bring the statistics of the steps since the last time to the host: history, metrics, and whether the run is still sound."""
        if not len(self.statistics):
            return
        started = time.perf_counter()
        rows = self.statistics.read()
        self._trained_seconds += time.perf_counter() - started  # the wait for the device belongs to the steps
        finite = rows.finite
        sound = len(rows) if finite.all() else int(finite.argmin())
        if sound:
            new = rows[:sound]
            known = new if self._window is None else StepRows.join([self._window, new])
            measured = measure(known, sound)
            self._window, self._metrics = known[-WINDOW:], newest(measured)
            columns = columns_of(len(self.model.moe_layers), self.config.n_experts, LEDGER[0] in measured)
            self.history.append(columns, new.step, as_matrix(measured))
        if sound < len(rows):
            self._diverged(int(rows.step[sound]), float(rows.loss[sound]))
        elif self.step_number - self._kept.step >= KEEP_EVERY:
            self.keep()

    def keep(self) -> None:
        """Remember the present parameters as sound (they are known to be: every step so far has been read and was finite)."""
        tensors = tensors_of(self.model, self.optimizer)
        self._kept = Checkpoint(self.config, self.step_number, self.epoch, tensors)

    def _diverged(self, step: int, loss: float) -> None:
        put_back(self._kept.tensors, self.model, self.optimizer)
        self.step_number = self._kept.step
        self._writer.add(self._event("diverged", step=step - 1, to=self.step_number))
        self.state, self.message = "diverged", messages.diverged(step, loss, self._kept.step, self.config)

    def _take_over(self, new: RunConfig, words: set[str]) -> list[str]:
        """Switching router or k keeps the experts, and the gate where its shape allows."""
        with random_stream(self.device, "live", new.seed, self.step_number):
            notices = apply_live(self.model, self.optimizer, self.task, self.config, new)
        if words & {"router", "k"}:
            self._window = None  # loads of two kinds of routing must not be averaged
        return notices

    def _restarted(self) -> None:
        self._kept = replace(self._kept, epoch=self.epoch)

    # -- looking -----------------------------------------------------------------------------------------------------------

    def snapshot(self, evaluate: bool = True) -> Snapshot:
        """This moment: metrics of the last steps, the task's metric on held-out data, and how the probe batch is routed.

        evaluate: measure the task's metric now; otherwise it is what was measured last (None: never), and the history has no new value of it.
        """
        self.collect()
        routings = route(self.model, self.task.probe, self.config, self.step_number, self.device)
        routings, measured = to_host((routings, self._measured() if evaluate else None))
        traces, extras = shown(routings, self.task, self.config, self.step_number)
        if self._trained_seconds > 0:
            self._rate = self._trained_tokens / self._trained_seconds
            self._trained_tokens *= RATE_MEMORY
            self._trained_seconds *= RATE_MEMORY
        metric = self._noted(measured)
        metrics = {**self._metrics, "task_metric": metric if math.isfinite(metric) else None}
        metrics["tokens_per_second"] = self._rate
        if self.state != "diverged":
            self.history.add_keyframe(self.step_number, traces)
        if self.history.last == (self.epoch, self.step_number):
            bias = {f"bias.{la}.{e}": b for la, row in enumerate(extras.get("bias", [])) for e, b in enumerate(row)}
            self.history.amend(list(bias), list(bias.values()))
        return Snapshot(self.step_number, self.config.flat(), metrics, traces, self.state, self.message, extras)

    def _measured(self) -> Tensor | None:
        """The task's metric of this moment, on the device; None where it is known."""
        if self._task_metric is not None and self._task_metric[0] == (self.epoch, self.step_number, self.config):
            return None
        with random_stream(self.device, "evaluate", self.config.seed, self.step_number):
            return self.task.measured(self.model)

    def _noted(self, measured: Tensor | None) -> float:
        """The task's metric that was measured last, now that it may be this one. NaN where none ever was."""
        now = (self.epoch, self.step_number, self.config)
        if measured is not None:
            self._task_metric = (now, float(measured))
            if self.history.last == now[:2]:
                self.history.amend(["task_metric"], [self._task_metric[1]])
        return self._task_metric[1] if self._task_metric else math.nan

    # -- keeping -----------------------------------------------------------------------------------------------------------

    def _tensors(self) -> dict[str, Tensor]:
        return views_of(self.model, self.optimizer)

    def _to_keep(self) -> dict[str, Tensor]:
        return self._tensors() | (self._window.to_tensors(LAST_STEPS) if self._window is not None else {})

    def _stand_at(self, checkpoint: Checkpoint) -> None:
        put_back(checkpoint.tensors, self.model, self.optimizer)
        self._window = StepRows.from_tensors(
            checkpoint.tensors, LAST_STEPS, len(self.model.moe_layers), self.config.n_experts
        )
        if self._window is not None:
            self._metrics = newest(measure(self._window, 1))

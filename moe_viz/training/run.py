"""Run: one training run. It makes steps, takes knobs while it runs, says where it stands, and can be written down and read back.

A run is a pure function of its script: settings, device, and what was done at which step. Batches and random numbers depend on
(seed, step) only, so runs that take turns in one process, or that resume from a checkpoint, give the same numbers (bit for bit on CPU).
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from moe_viz.models import build_model
from moe_viz.records.history import History, Mark
from moe_viz.records.script import Event, Script
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import RunConfig, change, changed, needs_restart
from moe_viz.tasks import make_task
from moe_viz.training import messages
from moe_viz.training.devices import as_before, device_of, here, random_stream
from moe_viz.training.files.checkpoint import Checkpoint, fingerprint, put_back, tensors_of, views_of
from moe_viz.training.inspect.probe import route, shown
from moe_viz.training.live_knobs import apply_live
from moe_viz.training.metrics.gradient_norms import gradient_norms
from moe_viz.training.metrics.measure import LEDGER, WINDOW, as_matrix, columns_of, measure, newest, nothing_yet
from moe_viz.training.metrics.statistics import Statistics, StepRows
from moe_viz.training.script_writer import ScriptWriter, last_device, turned
from moe_viz.training.step import break_off, make_optimizer, train_step
from moe_viz.training.transfer import to_host

LAST_STEPS = "last_steps."
"""How the names of what a checkpoint holds of the last steps begin: metrics over a moving window go on where they were."""
RATE_MEMORY = 0.8
"""How much the tokens per second of one look still count at the next: a single step says more of the machine than of the model."""
KEEP_EVERY = 100
"""Steps between the copies of the run that a divergence falls back to."""


class Run:
    """One run of `config`. Raises ValueError for a device that is absent.

    state        "running", or "diverged": stopped on a loss that was not finite, with the last sound parameters put back
    message      why it stopped, or ""
    step_number  steps done;  epoch  rises with each restart (reset, or a knob that cannot be live)
    history      every step's metrics; complete after `snapshot`, `run` or `collect`
    statistics   of the steps that `collect` has not read yet
    """

    pending: tuple[Script, int] | None = None
    """The script that this run is being made from and how many of its events were played, see `replay.Replay`; None once it is at its end."""

    def __init__(self, config: RunConfig):
        self.history = History()
        self._begin(config)
        self._writer = ScriptWriter(config, self.device)

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

    @property
    def epoch(self) -> int:
        return self.history.epoch

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

    # -- knobs -------------------------------------------------------------------------------------------------------------

    def set(self, **knobs: Any) -> list[str]:
        """Turn knobs (flat words); what was done, in plain sentences. Raises ValueError on a bad word or value, changing nothing.

        Live knobs take effect at the next step. Switching router or k keeps the experts, and the gate where its shape allows. Any
        other change restarts the run from step 0. A diverged run goes on from its last sound step.
        """
        new = change(self.config, **knobs)
        words, restart = changed(self.config, new), needs_restart(self.config, new)
        running = self.state == "running"
        self.collect()
        if not words and self.state == "running":
            return []
        self._writer.refuse_when_full()
        done = self._event(turned(self.config, new) or ("reset" if restart else "go_on"))
        before = self.config
        if restart:
            self._restart(new, done)
            return [messages.restarted(restart, before, new)]
        notices, told = [], []
        if words:  # before anything else: there may be no memory for it
            with random_stream(self.device, "live", new.seed, self.step_number):
                told = apply_live(self.model, self.optimizer, self.task, before, new)
        if self.state == "diverged":
            notices += [self.message] if running else []  # it went wrong since the last look: nobody has been told yet
            self.state, self.message = "running", ""
            self.history.restart()  # steps run twice from here on: they belong to an epoch of their own
            notices.append(messages.goes_on(self.step_number))
        if words:
            self.config = new
            notices += told
            if words & {"router", "k"}:
                self._window = None  # loads of two kinds of routing must not be averaged
            self.keep()
        self._writer.add(done)
        return notices

    def reset(self) -> None:
        """Start again from step 0 with the present config."""
        self.collect()
        self._writer.refuse_when_full()
        self._restart(self.config, self._event("reset"))

    def _restart(self, config: RunConfig, done: Event) -> None:
        self._begin(config)
        self._writer.add(done)
        self.history.restart()
        self._kept = replace(self._kept, epoch=self.epoch)

    # -- the script --------------------------------------------------------------------------------------------------------

    @property
    def script(self) -> Script | None:
        """What this run is a pure function of, up to now. None for one that came from a file of a version which kept no script."""
        self.collect()
        return self._writer.script(self.epoch, self.step_number, self._fingerprint())

    @property
    def script_so_far(self) -> Script | None:
        """The same without the hash of the present parameters: what was done, at once."""
        self.collect()
        return self._writer.script(self.epoch, self.step_number)

    @property
    def events(self) -> tuple[Event, ...]:
        """What was done so far."""
        return tuple(self._writer.events)

    def note(self, what: str, **more: Any) -> None:
        """Add to the script what was done without changing a number: "step_once", "fork". Raises ValueError where the script is full."""
        self.collect()
        self._writer.refuse_when_full()
        self._writer.add(self._event(what, **more))

    def branch(self) -> None:
        """From here on a run of its own. Raises ValueError where the script is full."""
        self.note("fork")
        self.pending = None

    def _event(self, what: str | dict[str, Any], step: int | None = None, **more: Any) -> Event:
        """An event of this moment. Everything up to now must have been collected."""
        at = self.step_number if step is None else step
        return Event(epoch=self.epoch, step=at, what=what, parameters=self._fingerprint(), **more)

    def _fingerprint(self) -> str:
        return fingerprint(views_of(self.model, self.optimizer))

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

    def checkpoint(self, history: bool = True) -> bytes:
        """The run as bytes (safetensors with a JSON header), for `from_bytes` or a file."""
        return self.moment(history).to_bytes()

    def save(self, path: str | Path, history: bool = True, since: Mark | None = None) -> None:
        """Write `checkpoint` to a file, atomically. since: of the history only what came after this moment of it."""
        self.moment(history).to_file(path, since)

    def moment(self, history: bool = True, **extra: Any) -> Checkpoint:
        """The run as it stands, sharing its parameters: to be written before the next step. extra: what else its file shall say."""
        self.collect()
        tensors = views_of(self.model, self.optimizer)
        if self._window is not None:
            tensors |= self._window.to_tensors(LAST_STEPS)
        kept = self.history if history else None
        script = self._writer.script(self.epoch, self.step_number)
        at = (self.config, self.step_number, self.epoch)
        return Checkpoint(*at, tensors, str(self.message), kept, extra, script, self.pending)

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "checkpoint", device: str | None = None) -> Self:
        """The run of a checkpoint, ready to go on. device: another one than it was trained on. Raises ValueError on broken data."""
        checkpoint = Checkpoint.from_bytes(data, source)
        if device is not None:
            checkpoint = replace(checkpoint, config=checkpoint.config.model_copy(update={"device": device}))
        return cls.of(checkpoint)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The run that stands where `found` does, with device "auto" where its own is not here. ValueError where its tensors do not fit it."""
        device = here(checkpoint.config.device)
        checkpoint = replace(checkpoint, config=checkpoint.config.model_copy(update={"device": device}))
        with as_before(None if checkpoint.script is None else last_device(checkpoint.script)):
            run = cls(checkpoint.config)
        put_back(checkpoint.tensors, run.model, run.optimizer)
        run.step_number = checkpoint.step
        run.history = checkpoint.history or History()
        run.history.epoch = checkpoint.epoch
        if checkpoint.stopped:
            run.state, run.message = "diverged", checkpoint.stopped
        run._window = StepRows.from_tensors(
            checkpoint.tensors, LAST_STEPS, len(run.model.moe_layers), checkpoint.config.n_experts
        )
        if run._window is not None:
            run._metrics = newest(measure(run._window, 1))
        run.keep()
        run._writer = ScriptWriter.after(checkpoint.script, checkpoint.config, run.device)
        if checkpoint.script is not None and (moved := run._writer.moved(checkpoint.config)):
            run._writer.add(run._event(**moved))
        run.pending = checkpoint.pending
        return run

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> Self:
        """The run of a file that `save` wrote. Raises ValueError where it is missing, broken or something else."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read the checkpoint {path}: {error.strerror}") from error
        return cls.from_bytes(data, str(path), device)

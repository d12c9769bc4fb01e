"""Roster: the runs of a host that are in memory, and their way to the store and back.

Runs that advance in lock-step come and go together. Where there is no more room, those that nobody has read for longest leave first.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from moe_viz.engine.cost import estimate, refuse_costly
from moe_viz.engine.crashes import Crashes
from moe_viz.engine.hosted import HostedRun
from moe_viz.engine.protocol import EngineError, RunRefused, UnknownRun
from moe_viz.engine.store import RunStore, Stored
from moe_viz.logs import event
from moe_viz.spec import RunConfig, change, problems
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence

log = logging.getLogger(__name__)

PRUNE_S = 600.0


@dataclass(frozen=True)
class Limits:
    """What a host allows. max_runs: in memory at once. Unread runs pause after `lease_s` and leave memory after `release_s`.

    model_bytes: models and optimisers of all runs together, and the most that one step may take on top; largest_step: multiply-adds of
    one step of one run. Both by the estimates of `engine.cost`.
    """

    max_runs: int = 64
    lease_s: float = 30.0
    release_s: float = 600.0
    checkpoint_s: float = 4.0
    slice_s: float = 0.004
    model_bytes: float = 1e9
    largest_step: float = 8e9


class Roster:
    """`runs`: id -> run in memory. clock: wall time; cpu_clock: what runs are charged for; both in rising seconds."""

    def __init__(
        self,
        trainer_factory: Any,
        store: RunStore,
        limits: Limits,
        clock: Callable[[], float],
        cpu_clock: Callable[[], float],
    ):
        self._trainer, self.store, self.limits = trainer_factory, store, limits
        self._clock, self._cpu = clock, cpu_clock
        self.crashes = Crashes(store.root)
        self.runs: dict[str, HostedRun] = {}
        self._pruned_at = -math.inf

    def enter(self, configs: list[RunConfig], playing: bool, cost: float) -> list[HostedRun]:
        """New runs, one group. Raises EngineError where there is no room or a config is refused."""
        for config in configs:
            refuse_costly(config, self.limits.model_bytes, self.limits.largest_step)
        self.make_room(len(configs), sum(estimate(config).model_bytes for config in configs))
        return self.admit([asked(lambda config=config: self._trainer(config)) for config in configs], playing, cost)

    def admit(self, trainers: list[Any], playing: bool, cost: float) -> list[HostedRun]:
        """Runs of trainers that are ready, one group, with new ids."""
        group: list[HostedRun] = []
        for trainer in trainers:
            group.append(self._hosted(secrets.token_urlsafe(16), trainer, playing, group, cost))
        self.runs |= {run.id: run for run in group}
        for run in group:
            config = run.trainer.config
            event(log, "run_opened", run=run.id, task=config.task.name, router=config.router.name, runs=len(self.runs))
            self.save(run)
        return group

    def branch(self, run: HostedRun, step: int, epoch: int, knobs: dict[str, Any]) -> tuple[Any, int]:
        """A trainer that starts from a milestone of `run`, see `Milestones.revive`, and its first step."""
        self.may_become(run.trainer.config, knobs)
        trainer, start = run.milestones.revive(step, epoch, knobs, self._trainer.load)
        return trainer, start[1]

    def wake(self, run_id: str, cost: float) -> None:
        """Bring a run, and those of its group, back from the store. Raises UnknownRun where it is not there."""
        if run_id not in self.store:
            raise UnknownRun(N_("This run is not kept here any more. Start a new one."))
        stored = self._load(run_id, self._trainer.load)
        if stored is None:
            raise UnknownRun(N_("The saved state of this run cannot be read. Start a new one."))
        found = {run_id: stored}
        for other in stored.group:
            if other not in found and (loaded := self._load(other, self._trainer.load)):
                found[other] = loaded
        configs = asked(lambda: [RunConfig.from_flat(each.config) for each in found.values()])
        self.make_room(len(found), sum(estimate(config).model_bytes for config in configs))
        order = [name for name in stored.group if name in found] or [run_id]
        group: list[HostedRun] = []
        for name in order:
            group.append(self._woken(name, found[name], group, cost))
            group[-1].playing = stored.playing
        self.runs |= {run.id: run for run in group}
        for run in group:
            event(log, "run_resumed", run=run.id, step=run.trainer.step_number, runs=len(self.runs))

    def _load(self, run_id: str, load: Callable[[Path], Any]) -> Stored | None:
        """From the store. Raises RunRefused where the process has died of this run again and again."""
        if self.crashes.too_many(run_id):
            raise RunRefused(
                N_("This run has ended the training process several times, so it is not started again. Start a new one.")
            )
        with self.crashes.blaming(run_id):
            return self.store.load(run_id, load)

    def _woken(self, run_id: str, stored: Stored, group: list[HostedRun], cost: float) -> HostedRun:
        trainer = stored.trainer or asked(lambda: self._trainer(RunConfig.from_flat(stored.config)))
        run = self._hosted(run_id, trainer, stored.playing, group, cost)
        lost = N_("The checkpoint of this run could not be read: it starts again from step 0.")
        run.notices.append(lost if stored.trainer is None else N_("Brought back from its last checkpoint."))
        run.saved = run.state_to_save
        return run

    def _hosted(self, run_id: str, trainer: Any, playing: bool, group: list[HostedRun], cost: float) -> HostedRun:
        run = HostedRun(run_id, trainer, playing, self._clock(), self.store.milestones(run_id), cost)
        run.group = group
        return run

    def may_become(self, config: RunConfig, knobs: dict[str, Any]) -> None:
        """Make room for a run of `config` with some knobs turned. Raises EngineError where it would cost too much, ValueError for bad knobs."""
        wanted = change(config, **knobs)
        refuse_costly(wanted, self.limits.model_bytes, self.limits.largest_step)
        self.make_room(0, max(estimate(wanted).model_bytes - estimate(config).model_bytes, 0))

    def make_room(self, count: int, model_bytes: float = 0) -> None:
        """Where the host is full, let the runs unread for longest go (to the store). Raises EngineError where all are being read."""
        while self._lacks(count, model_bytes):
            oldest = min(self.runs.values(), key=lambda run: run.seen, default=None)
            if oldest is None or oldest.seen >= self._clock() - self.limits.lease_s or not self.let_go(oldest):
                raise EngineError(
                    N_("The server is full: {count} runs are training. Try again in a minute."), count=len(self.runs)
                )

    def _lacks(self, count: int, model_bytes: float) -> bool:
        held = sum(estimate(run.trainer.config).model_bytes for run in self.runs.values()) if model_bytes else 0
        return len(self.runs) + count > self.limits.max_runs or held + model_bytes > self.limits.model_bytes

    def let_go(self, run: HostedRun) -> bool:
        """From memory to the store, with its whole group; False where that cannot be."""
        if not all(self.save(member) for member in run.group):
            return False
        for member in run.group:
            del self.runs[member.id]
            event(log, "run_released", run=member.id, step=member.trainer.step_number, runs=len(self.runs))
        return True

    def keep_house(self, now: float) -> None:
        """At most one checkpoint or release per tick, so that no answer waits for thirty of them."""
        if now - self._pruned_at >= PRUNE_S:
            self.store.prune(keep=set(self.runs))
            self._pruned_at = now
        for run in self.runs.values():
            if now - run.saved_at < self.limits.checkpoint_s:
                continue
            leaves = run.seen < now - self.limits.release_s
            if leaves or run.unsaved:
                if leaves:
                    self.let_go(run)
                else:
                    self.save(run)
                return

    def save(self, run: HostedRun) -> bool:
        """Checkpoint a run; True where what is stored is as good as it gets (a broken run keeps its last good one)."""
        if not run.unsaved:
            return True
        started, run.saved_at = self._cpu(), self._clock()
        try:
            ids = tuple(member.id for member in run.group) if len(run.group) > 1 else ()
            self.store.save(run.id, run.trainer, run.playing, ids)
        except Exception as error:
            if not run.unsaved_reported:
                event(log, "checkpoint_failed", logging.ERROR, error, run=run.id)
                run.notices.append(N_("This run cannot be saved on the server at the moment."))
            run.unsaved_reported = True
            return False
        finally:
            run.cost += self._cpu() - started
        run.saved, run.unsaved_reported = run.state_to_save, False
        self.crashes.got_to(run.id, run.trainer.step_number)
        return True


def asked(request: Callable[[], Any]) -> Any:
    """Turn a refused value into an EngineError with the validator's own words."""
    try:
        return request()
    except ValidationError as error:
        said = "; ".join(f"{word} = {value!r}: {what}" for word, value, what in problems(error))
        raise EngineError(said) from error
    except ValueError as error:
        said = error.args[0] if error.args else ""
        if isinstance(said, Sentence):
            raise EngineError(said.template, **said.values) from error
        raise EngineError(str(error)) from error

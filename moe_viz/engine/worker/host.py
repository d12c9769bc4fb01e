"""Host: many runs in one process, given CPU time in turn. An ordinary class: no transport, no threads, no clock of its own.

Whoever owns it calls `tick` again and again and the `Engine` methods in between. The session that has cost least goes next
(virtual-time fair queueing: Demers, Keshav & Shenker 1989), so each of N sessions gets 1/N whatever its models cost and however many it has.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from moe_viz.engine.device import finish, is_lost, let_go
from moe_viz.engine.health import accelerators, machine, versions, vitals
from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import Continuation, Engine, EngineError, UnknownRun, Update
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.analysis_calls import AnalysisCalls
from moe_viz.engine.worker.cost import estimate
from moe_viz.engine.worker.hosted_run import Detail, HostedRun, failure_of, no_memory
from moe_viz.engine.worker.roster import Roster, asked
from moe_viz.engine.worker.run_calls import T
from moe_viz.engine.worker.stored_run_calls import StoredRunCalls
from moe_viz.logs import event
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import Config, needs_restart
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

CREDIT_S = 0.05
"""Head start, in CPU seconds, of a run that did not use its share: enough for a paced run to be on time, too little to starve others."""
LONGEST_SLEEP_S = 0.5


class Host(AnalysisCalls, StoredRunCalls, Engine):
    """Does all calls of the engine itself. clock: wall time; cpu_clock: what is shared fairly; both in rising seconds."""

    def __init__(
        self,
        trainer_factory: Any,
        store: RunStore,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ):
        self.limits = limits or Limits()
        self._clock, self._cpu = clock, cpu_clock
        self._roster = Roster(trainer_factory, store, self.limits, clock, cpu_clock)
        self._runs = self._roster.runs
        self._floor = 0.0  # virtual time: the least cost among the sessions that want to step

    # ---- what a page asks ----

    def open(self, config: Config, playing: bool = True, owner: str = "") -> str:
        return self.open_group([config], playing, owner)[0]

    def open_group(self, configs: Sequence[Config], playing: bool = True, owner: str = "") -> list[str]:
        speed = {"speed": configs[0].flat()["speed"]} if configs else {}
        alike = [config.model_copy(update=speed) for config in configs]
        group = self._roster.enter(alike, playing, owner, self._floor)
        return [run.id for run in group]

    def set(self, run_id: str, **knobs: Any) -> list[str]:
        run = self._find(run_id)
        run.refuse_while_it_plays()
        before = run.trainer.config
        asked(lambda: self._roster.may_become(before, knobs))
        done = self._guard(run, lambda: run.trainer.set(**knobs))
        restarted = needs_restart(before, run.trainer.config)
        for other in run.group:
            if other is not run and restarted:
                self._reset(other)
            elif other is not run and "speed" in knobs:
                self._guard(other, lambda other=other: other.trainer.set(speed=knobs["speed"]))
        run.revision += 1
        self._roster.crashes.forgive(run_id)
        run.failure = None  # the knob may well be the cure (a smaller batch after running out of memory)
        run.lead.hurry(self._clock())
        return done

    def play(self, run_id: str, playing: bool) -> None:
        run = self._find(run_id)
        if playing and not (run.playing and run.healthy):
            run.failure = None  # worth another try, if it was the machine's fault
            run.lead.hurry(self._clock())
        for member in run.group:
            member.playing = bool(playing)

    def step_once(self, run_id: str) -> None:
        run = self._find(run_id)
        if not run.behind:
            raise EngineError(N_("This run has stopped. Reset it, or turn a knob, to go on."))
        run.refuse_while_it_plays()
        for member in run.behind:
            self._guard(member, lambda trainer=member.trainer: trainer.note("step_once"))
        if error := self._step(run):
            raise error

    def reset(self, run_id: str) -> None:
        run = self._find(run_id)
        run.refuse_while_it_plays()
        for member in run.group:
            self._reset(member)

    def read(self, run_id: str, since: tuple[int, int] | None = None) -> Update:
        if update := self._roster.at_rest(run_id):
            return _since(update, since)
        # a bad one is the caller's fault, not the run's
        since = None if since is None else (int(since[0]), int(since[1]))
        run = self._find(run_id, looks=True)
        started, now = self._cpu(), self._clock()
        detail = Detail.among(sum(each.next_step(now - self.limits.lease_s) < math.inf for each in self._runs.values()))
        try:
            return self._spared(run, lambda: run.update(since, now, detail))
        except EngineError:
            raise
        except Exception as error:
            self._fail(run, error)
            return run.update(since, now, detail)
        finally:
            run.lead.charge(self._cpu() - started)

    def read_group(self, run_ids: list[str]) -> list[Update]:
        return [self.read(run_id) for run_id in run_ids]

    def route_text(self, run_id: str, text: str) -> list[RoutingTrace]:
        return self._ask_about(run_id, "text", text, lambda trainer: trainer.route_text(text))

    def route_image(self, run_id: str, data: bytes) -> tuple[list[RoutingTrace], np.ndarray]:
        return self._ask_about(run_id, "image", data, lambda trainer: trainer.route_image(data))

    def continue_text(self, run_id: str, text: str, n_tokens: int, temperature: float) -> Continuation:
        return self._ask(run_id, lambda trainer: trainer.continue_text(text, n_tokens, temperature), "network")

    def keyframe(self, run_id: str, step: int, epoch: int | None = None) -> list[RoutingTrace]:
        frame = self._find(run_id).trainer.history.nearest_keyframe(step, epoch)
        return frame.traces if frame else []

    def keyframe_steps(self, run_id: str) -> list[tuple[int, int]]:
        return self._find(run_id).trainer.history.keyframes.steps()

    def first_choices(self, run_id: str, layer: int, epoch: int | None = None) -> tuple[list[int], np.ndarray]:
        run = self._find(run_id)
        history = run.trainer.history
        chosen = history.epoch if epoch is None else epoch
        return self._guard(run, lambda: history.keyframes.first_choices(layer, chosen))

    def checkpoint_steps(self, run_id: str) -> list[tuple[int, int]]:
        return self._find(run_id).milestones.steps()

    def fork(self, run_id: str, step: int, epoch: int | None = None, **knobs: Any) -> tuple[str, int]:
        run = self._find(run_id)
        self._roster.make_room(1, estimate(run.trainer.config).model_bytes)
        chosen = run.trainer.epoch if epoch is None else epoch
        branch, start = self._guard(run, lambda: self._roster.branch(run, step, chosen, knobs))
        return self._roster.admit([branch], True, self._floor, run.lead.account)[0].id, start

    def resume(self, run_id: str) -> None:
        self._find(run_id)

    def release(self, run_id: str) -> None:
        self._roster.resting.pop(run_id, None)
        if run_id in self._runs:
            for member in self._runs[run_id].group:
                self._roster.save(member)
                member.seen = self._clock() - self.limits.lease_s - 1e-6

    def status(self) -> dict[str, Any]:
        """Totals; per run (by the first letters of its id only: ids are secrets) its state, rate and cost; how process and machine are."""
        now = self._clock()
        leased_since = now - self.limits.lease_s
        runs = {run.id[:6]: run.status(now, leased_since) for run in self._runs.values()}
        folder = self._roster.store.root
        return {
            "runs": runs,
            "active": sum(run["active"] for run in runs.values()),
            "max_runs": self.limits.max_runs,
            "waiting": len(self._roster.line),
            "steps_per_second": sum(run["steps_per_second"] for run in runs.values()),
            "machine": machine(folder),
            "versions": versions(),
            "accelerators": accelerators(),
        } | vitals()

    # ---- what the owner calls ----

    def tick(self, budget_s: float = 0.005) -> float:
        """Train for about `budget_s` (at least one step where one is due); how long the owner may sleep, in seconds."""
        now = self._clock()
        until = now + budget_s
        self._roster.keep_house(now)
        while True:
            leased_since = now - self.limits.lease_s
            ready = [run for run in self._runs.values() if run.next_step(leased_since) <= now]
            if not ready:
                break
            self._floor = max(self._floor, min(run.cost for run in ready))
            chosen = min(ready, key=lambda run: (max(run.cost, self._floor - CREDIT_S), run.spent))
            self._turn(chosen, until)
            now = self._clock()
            if now >= until:
                return 0.0
        coming = min((run.next_step(now - self.limits.lease_s) for run in self._runs.values()), default=math.inf)
        return min(max(coming - now, 0.0), LONGEST_SLEEP_S)

    def close(self) -> None:
        """Checkpoint everything that changed."""
        for run in self._runs.values():
            self._roster.save(run)
        self._roster.crashes.close()

    # ---- inside ----

    def _turn(self, run: HostedRun, until: float) -> None:
        """Steps of one run, for one slice."""
        run.catch_up(self._floor, CREDIT_S)
        started = self._cpu()
        while self._step(run) is None:
            now = self._clock()
            if now >= until or self._cpu() - started >= self.limits.slice_s:
                break
            if run.next_step(-math.inf) > now:
                break
        self._wait_for_the_device(run)

    def _step(self, run: HostedRun) -> EngineError | None:
        """One step of each run of the group; the error of one that could not."""
        failure = None
        for member in run.behind:
            started = self._cpu()
            try:
                with self._roster.crashes.blaming(member.id, member.trainer.step_number):
                    if member.milestones.wanted(member.trainer):
                        member.milestones.keep(member.trainer)
                    self._spared(member, member.step)
            except Exception as error:
                failure = self._fail(member, error)
            cost = self._cpu() - started
            run.lead.charge(cost)
            if member.failure is None:
                member.stepped(self._clock(), cost)
        return failure

    def _reset(self, run: HostedRun) -> None:
        self._guard(run, run.trainer.reset)
        run.revision += 1
        self._roster.crashes.forgive(run.id)
        run.failure = None

    def _fail(self, run: HostedRun, error: Exception) -> EngineError:
        """Stop one run for an error of its own; the others never notice. Raises DeviceLost where nothing can be computed any more."""
        event(log, "run_failed", logging.ERROR, error, run=run.id, step=run.trainer.step_number)
        if is_lost(error):
            raise self._roster.device_lost(run) from None
        run.failure = failure_of(error, run.trainer.step_number)
        let_go(error)  # its frames hold what the step had computed
        return run.failure

    def _spared(self, run: HostedRun, request: Callable[[], T]) -> T:
        """The answer to a request on a run, at the second try where memory ended. Raises OutOfMemory."""
        return self._roster.with_memory(request, lambda: no_memory(run.trainer.config), run.id)

    def _wait_for_the_device(self, run: HostedRun) -> None:
        """At the end of a run's turn: its time is then its own, and so is what is wrong with the device."""
        started = self._cpu()
        try:
            finish(run.trainer)
        except Exception as error:
            self._fail(run, error)
        waited = self._cpu() - started
        run.lead.charge(waited)
        run.waited(waited)

    def _guard(self, run: HostedRun, request: Callable[[], T]) -> T:
        started = self._cpu()
        try:
            with self._roster.crashes.blaming(run.id, run.trainer.step_number):
                return asked(lambda: self._spared(run, request))
        except EngineError:
            raise
        except Exception as error:
            failure = self._fail(run, error)
        finally:
            run.lead.charge(self._cpu() - started)
        raise failure  # not where it is handled: it would keep the error, and with it all that its frames hold

    def _find(self, run_id: str, looks: bool = False) -> HostedRun:
        if not isinstance(run_id, str):
            raise UnknownRun(N_("This run is not kept here any more. Start a new one."))
        if run_id not in self._runs:
            self._roster.wake(run_id, self._floor)
        run = self._runs[run_id]
        now = self._clock()
        if run.seen < now - self.limits.lease_s:
            run.lead.hurry(now)
        for member in run.group:
            member.seen = now
            member.acted = member.acted if looks else now
        return run


def _since(update: Update, since: tuple[int, int] | None) -> Update:
    """What a reader who has seen `since` has not seen."""
    rows = update.history
    if since is not None:
        rows = rows[(rows["epoch"] > since[0]) | ((rows["epoch"] == since[0]) & (rows["step"] > since[1]))]
    return replace(update, history=rows)

"""Roster: the runs of a host that are in memory, and their way to the store and back.

Runs that advance in lock-step come and go together. Who leaves where there is no more room is said in `admission.py`.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from moe_viz.engine.device import DeviceLost, is_lost, is_out_of_memory, let_go
from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, Full, RunRefused, UnknownRun, Update
from moe_viz.engine.storage.branch_points import MOST_BYTES
from moe_viz.engine.storage.run_store import RunStore, Stored, is_full
from moe_viz.engine.worker.admission import Admission
from moe_viz.engine.worker.cost import estimate, refuse_costly
from moe_viz.engine.worker.crash_record import CrashRecord
from moe_viz.engine.worker.hosted_run import Account, HostedRun, stopped_by_the_device
from moe_viz.logs import event
from moe_viz.spec import Config, change, config_of, problems
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused, Sentence

log = logging.getLogger(__name__)

T = TypeVar("T")

PRUNE_S, OVER_S = 600.0, 10.0
"""Between two looks at the whole store; where it is known to be over its size."""

ID_BYTES = 24
"""Random bytes of a run's id. The first six letters are shown in status and logs, which leaves 156 bits that only its readers know."""


class Roster(Admission):
    """`runs`: id -> run in memory. clock: wall time; cpu_clock: what runs are charged for; both in rising seconds."""

    def __init__(
        self,
        trainer_factory: Any,
        store: RunStore,
        limits: Limits,
        clock: Callable[[], float],
        cpu_clock: Callable[[], float],
    ):
        super().__init__()
        self.trainer, self.store, self.limits = trainer_factory, store, limits
        self._clock, self._cpu = clock, cpu_clock
        self.crashes = CrashRecord(store.root)
        self.runs: dict[str, HostedRun] = {}
        self._pruned_at = -math.inf

    def with_memory(self, request: Callable[[], T], refusal: Callable[[], EngineError], busy: str = "") -> T:
        """The answer to a request. Where memory ends in it: what it held is given back, idle runs but `busy` are put away, and it is tried
        once more. Raises `refusal()` where that does not help."""
        for attempt in range(2):
            try:
                return request()
            except Exception as error:
                if not is_out_of_memory(error) or isinstance(error, EngineError):
                    raise
                event(log, "memory_ended", logging.WARNING, error, run=busy, attempt=attempt + 1)
                let_go(error)
            if attempt == 0:
                self._put_idle_away(busy)
                let_go(None)
        raise refusal()

    def _put_idle_away(self, busy: str) -> None:
        now = self._clock()
        idle = {id(run.group): run.group for run in self.runs.values() if self._may_leave(run, now)}
        for group in idle.values():
            if busy in {run.id for run in group}:
                continue
            if group[0].seen < now - self.limits.lease_s:
                self.let_go(group[0])
            else:
                self._rest(group)

    def full(self) -> Full:
        """There is no memory for another run now."""
        return Full(
            N_("There is no memory left for another run: {count} are training. Try again in a minute."),
            count=len(self.runs),
        )

    def make(self, request: Callable[[], T]) -> T:
        """A new trainer; `Full` where there is no memory for it."""
        return asked(lambda: self.with_memory(request, self.full))

    def enter(self, configs: Sequence[Config], playing: bool, owner: str, cost: float) -> list[HostedRun]:
        """New runs, one group. Raises Full where there is no room, EngineError where a config is refused."""
        for config in configs:
            refuse_costly(config, self.limits.model_bytes, self.limits.largest_step)
        self.leave_left_pages(owner, len(configs))
        self.make_room(len(configs), sum(estimate(config).model_bytes for config in configs), owner)
        trainers = [self.make(lambda config=config: self.trainer(config)) for config in configs]
        return self.admit(trainers, playing, cost, self.account(owner, cost))

    def admit(self, trainers: list[Any], playing: bool, cost: float, account: Account | None = None) -> list[HostedRun]:
        """Runs of trainers that are ready, one group, with new ids; where no account is given, one that begins with `cost`."""
        account = account or Account(cost=cost)
        group: list[HostedRun] = []
        for trainer in trainers:
            group.append(self._hosted(secrets.token_urlsafe(ID_BYTES), trainer, playing, group, account))
        self.runs |= {run.id: run for run in group}
        self._share_out()
        for run in group:
            event(log, "run_opened", run=run.id, **run.trainer.config.names, runs=len(self.runs))
            self.save(run)
        return group

    def branch(self, run: HostedRun, step: int, epoch: int, knobs: dict[str, Any]) -> tuple[Any, int]:
        """A trainer that starts from a milestone of `run`, see `BranchPoints.revive`, and its first step."""
        self.may_become(run.trainer.config, knobs)
        trainer, start = run.milestones.revive(step, epoch, knobs, self.trainer.load)
        return trainer, start[1]

    def wake(self, run_id: str, cost: float) -> None:
        """Bring a run, and those of its group, back from the store. Raises UnknownRun where it is not there, Full where there is no room."""
        if run_id not in self.store:
            raise UnknownRun(N_("This run is not kept here any more. Start a new one."))
        order = self.store.group(run_id)
        for name in order:
            self._refuse_deadly(name)
        # before anything is loaded: who waits in line asks every two seconds
        self.make_room(len(order), sum(map(self._expected_bytes, order)), run_id)
        members = {name: stored for name in order if (stored := self._load(name))}
        if (stored := members.get(run_id)) is None:
            raise UnknownRun(N_("The saved state of this run cannot be read. Start a new one."))
        order = tuple(name for name in order if name in members)
        group: list[HostedRun] = []
        account = Account(cost=cost)
        for name in order:
            group.append(self._woken(name, members[name], group, account))
            group[-1].playing = stored.playing
            self.resting.pop(name, None)
        self.runs |= {run.id: run for run in group}
        self._share_out()
        for run in group:
            event(log, "run_resumed", run=run.id, step=run.trainer.step_number, runs=len(self.runs))

    def forget(self, run_id: str) -> None:
        """A run is gone for good: nothing here may still tell of it. Raises ValueError for what is no run id."""
        if (run := self.runs.pop(run_id, None)) is not None:
            run.group.remove(run)
            self._share_out()
        self.resting.pop(run_id, None)
        self.line.leave(run_id)
        self.crashes.forgive(run_id)
        self.store.delete(run_id)

    def at_rest(self, run_id: str) -> Update | None:
        """How a run looked when it made room; None where it is in memory again, and where the store has removed it meanwhile."""
        if run_id in self.runs or (run_id in self.resting and run_id not in self.store):
            self.resting.pop(run_id, None)
        return self.resting.get(run_id)

    def _expected_bytes(self, run_id: str) -> float:
        """What the model of a stored run will take, by its config; 0 where that cannot be read."""
        try:
            return estimate(config_of(self.store.config(run_id))).model_bytes
        except ValueError:
            return 0.0

    def _refuse_deadly(self, run_id: str) -> None:
        """Raises RunRefused where the process has died of this run again and again."""
        if self.crashes.too_many(run_id):
            raise RunRefused(
                N_(
                    "This run has ended the training process several times, so it is not started again. Start a new one."
                )
            )

    def _load(self, run_id: str) -> Stored | None:
        with self.crashes.blaming(run_id):
            return self.with_memory(lambda: self.store.load(run_id, self.trainer.load), self.full)

    def _woken(self, run_id: str, stored: Stored, group: list[HostedRun], account: Account) -> HostedRun:
        trainer = stored.trainer or self.make(lambda: self.trainer(config_of(stored.config)))
        run = self._hosted(run_id, trainer, stored.playing, group, account)
        run.notices.append(stored.notice)
        run.saved = run.state_to_save
        if (step := self.crashes.stopped_at(run_id)) is not None:
            run.failure = stopped_by_the_device(step)
        return run

    def device_lost(self, run: HostedRun) -> DeviceLost:
        """To raise where the device has reported an error in a run's work: that one stays stopped, the others go on in the next process."""
        self.crashes.condemn(run.id, run.trainer.step_number)
        return DeviceLost(run.id)

    def _hosted(self, run_id: str, trainer: Any, playing: bool, group: list[HostedRun], account: Account) -> HostedRun:
        run = HostedRun(run_id, trainer, playing, self._clock(), self.store.milestones(run_id), account)
        run.group = group
        return run

    def may_become(self, config: Config, knobs: dict[str, Any]) -> None:
        """Make room for a run of `config` with some knobs turned. Raises EngineError where it would cost too much, ValueError for bad knobs."""
        wanted = change(config, **knobs)
        refuse_costly(wanted, self.limits.model_bytes, self.limits.largest_step)
        self.make_room(0, max(estimate(wanted).model_bytes - estimate(config).model_bytes, 0))

    def let_go(self, run: HostedRun) -> bool:
        """From memory to the store, with its whole group; False where that cannot be."""
        for member in run.group:
            if member.healthy:
                member.saved = (
                    None  # once more, its history for long; and another process may have removed what was there
                )
        if not all(self.save(member, for_long=True) for member in run.group):
            return False
        for member in run.group:
            del self.runs[member.id]
            event(log, "run_released", run=member.id, step=member.trainer.step_number, runs=len(self.runs))
        self._share_out()
        return True

    def _share_out(self) -> None:
        """Give each run in memory an equal part of the room for histories, and of half the store for milestones."""
        for run in self.runs.values():
            run.trainer.history.budget(self.limits.history_bytes // len(self.runs))
            run.milestones.most_bytes = min(MOST_BYTES, self.store.max_bytes // (2 * len(self.runs)))

    def keep_house(self, now: float) -> None:
        """At most one checkpoint or release per tick, so that no answer waits for thirty of them."""
        if now - self._pruned_at >= (OVER_S if self.store.is_over else PRUNE_S):
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

    def save(self, run: HostedRun, for_long: bool = False) -> bool:
        """Checkpoint a run; True where what is stored is as good as it gets (a broken run keeps its last good one)."""
        if not run.unsaved:
            return True
        started, run.saved_at = self._cpu(), self._clock()
        try:
            ids = tuple(member.id for member in run.group) if len(run.group) > 1 else ()
            self.store.save(run.id, run.trainer, run.playing, ids, for_long)
        except Exception as error:
            if is_lost(error):
                raise self.device_lost(run) from None
            if not run.unsaved_reported:
                event(log, "checkpoint_failed", logging.ERROR, error, run=run.id)
                run.notices.append(_DISK_FULL if is_full(error) else _UNSAVED)
            run.unsaved_reported = True
            return False
        finally:
            run.charge(self._cpu() - started)
        if run.unsaved_reported:
            event(log, "checkpoint_again", run=run.id)
            run.notices.append(N_("This run is saved on the server again."))
        run.saved, run.unsaved_reported = run.state_to_save, False
        self.crashes.got_to(run.id, run.trainer.step_number)
        return True


_UNSAVED = N_(
    "This run cannot be saved on the server at the moment. It goes on; saving is tried again every few seconds."
)
_DISK_FULL = N_(
    "The server's disk is full: this run goes on, but cannot be saved now. Saving is tried again every few seconds."
)


def asked(request: Callable[[], T], kind: type[EngineError] = EngineError) -> T:
    """Turn a refused value into an error of this kind with the validator's own words."""
    try:
        return request()
    except ValidationError as error:
        text = "; ".join(f"{word} = {value!r}: {what}" for word, value, what in problems(error))
        raise kind(text) from error
    except Refused as error:
        raise kind(error.template, **error.values) from error
    except ValueError as error:
        text = error.args[0] if error.args else ""
        if isinstance(text, Sentence):
            raise kind(text.template, **text.values) from error
        raise kind(str(error)) from error

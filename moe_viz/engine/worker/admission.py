"""Admission: who may come into a host's memory, who leaves for whom, and who stands in line.

Runs that nobody has read for longest leave first, then those that their readers have paused: these are still shown as they were. A session
that holds more than its share lets the runs of its own left pages go first; the share shrinks as the class grows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from moe_viz.engine.device import room
from moe_viz.engine.protocol import Full, Update
from moe_viz.engine.worker.cost import estimate
from moe_viz.engine.worker.hosted_run import Account, HostedRun
from moe_viz.engine.worker.wait_queue import WaitQueue
from moe_viz.logs import event
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

REST_S = 30.0
"""A paused run whose reader has done nothing for so long makes room for those in line."""
AWAY_S = 5.0
"""A run that its own session has not read for so long belongs to a page that was left."""
FEWEST = 4
"""Runs that one session may hold in memory however large the class."""
RESTING = 256
"""Pictures kept of paused runs that are not in memory (at most 100 kB each)."""


class Admission:
    """line: who waits; resting: run -> how it looked when it left while its reader was still there."""

    runs: dict[str, HostedRun]
    limits: Any
    let_go: Callable[[HostedRun], bool]
    _clock: Callable[[], float]

    def __init__(self) -> None:
        self.line = WaitQueue()
        self.resting: dict[str, Update] = {}
        self._accounts: WeakValueDictionary[str, Account] = WeakValueDictionary()

    def account(self, owner: str, cost: float) -> Account:
        """The account of a session: `cost` is what a new one begins with."""
        account = self._accounts.get(owner)
        if account is None:
            account = Account(owner, cost)
            if owner:
                self._accounts[owner] = account
        return account

    def make_room(self, count: int, model_bytes: float = 0, ticket: str = "") -> None:
        """Room for `count` more runs: unread ones leave, then paused ones. Raises Full where there is none; ticket: who stands in line."""
        now = self._clock()
        leaving = {id(run.group): run.group for run in self.runs.values() if self._may_leave(run, now)}
        free = self.limits.max_runs - len(self.runs) + sum(map(len, leaving.values()))
        order = sorted(leaving.values(), key=lambda group: (group[0].seen >= now - self.limits.lease_s, group[0].seen))
        if count and not self.line.admits(ticket, count, free, now):
            raise self._full(ticket, count, now)
        for group in order:
            if not self._lacks(count, model_bytes):
                break
            self._rest(group) if group[0].seen >= now - self.limits.lease_s else self.let_go(group[0])
        if self._lacks(count, model_bytes):
            raise self._full(ticket, count, now)
        self.line.enter(ticket, now)

    def _may_leave(self, run: HostedRun, now: float) -> bool:
        """Unread, or paused by a reader who only looks."""
        if run.seen < now - self.limits.lease_s:
            return True
        return all(not other.playing and other.acted < now - REST_S for other in run.group)

    def _full(self, ticket: str, count: int, now: float) -> Full:
        if not ticket:  # nobody would ask again: a branch, or a knob that wants more memory
            return Full(
                N_("The server is full: {count} runs are training. Try again in a minute."), count=len(self.runs)
            )
        position = self.line.join(ticket, count, now)
        text = N_("The server is full: {count} runs are training. You are number {position} in line.")
        return Full(text, count=len(self.runs), position=position, wait_s=self.line.expected_s(position, now))

    def _rest(self, group: list[HostedRun]) -> None:
        """Out of memory, but still to be seen as it was."""
        try:
            seen = {run.id: run.update() for run in group}
        except Exception as error:
            event(log, "run_cannot_rest", logging.ERROR, error, run=group[0].id)
            return
        if self.let_go(group[0]):
            self.resting |= seen
            for run_id in list(self.resting)[:-RESTING]:
                del self.resting[run_id]

    def leave_left_pages(self, owner: str, count: int) -> None:
        """A session's own pages that were left make room first, where it holds more than its share; the share shrinks as sessions come."""
        sessions = {run.account.owner or run.id for run in self.runs.values()} | {owner}
        share = max(FEWEST, self.limits.max_runs // len(sessions))
        left = self._clock() - AWAY_S
        own = [run for run in self.runs.values() if owner and run.account.owner == owner]
        for run in sorted(own, key=lambda run: run.seen):
            own = [other for other in own if other.id in self.runs]
            if len(own) + count > share and run in own and run.seen < left:
                self.let_go(run)

    def _lacks(self, count: int, model_bytes: float) -> bool:
        held = sum(estimate(run.trainer.config).model_bytes for run in self.runs.values()) if model_bytes else 0
        crowded = held + model_bytes > self.limits.model_bytes and model_bytes > room()
        return len(self.runs) + count > self.limits.max_runs or crowded

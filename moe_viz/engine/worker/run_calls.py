"""What each part of a host needs to answer a call about a run."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, InputRefused
from moe_viz.engine.worker.answers import key_of
from moe_viz.engine.worker.hosted_run import HostedRun
from moe_viz.engine.worker.roster import Roster, asked
from moe_viz.spec.knobs import N_

T = TypeVar("T")


class RunCalls(ABC):
    """The base of `Host` and its parts. _floor: the present virtual time."""

    limits: Limits
    _clock: Callable[[], float]
    _roster: Roster
    _runs: dict[str, HostedRun]
    _floor: float

    @abstractmethod
    def _find(self, run_id: str, looks: bool = False) -> HostedRun:
        """The run, its lease renewed; from the store where it is not in memory. looks: its reader does no more than that."""

    @abstractmethod
    def _guard(self, run: HostedRun, request: Callable[[], T]) -> T:
        """Do a request on a trainer: a bad value is the reader's, any other error is the run's. The run pays for the time."""

    def _ask(self, run_id: str, request: Callable[[Any], T], kind: str | None = None) -> T:
        """`request(trainer)` of a run. kind: the only one that has an answer. Raises EngineError for a run of another."""
        run = self._of_kind(run_id, kind)
        return self._guard(run, lambda: request(run.trainer))

    def _of_kind(self, run_id: str, kind: str | None) -> HostedRun:
        run = self._find(run_id)
        if kind not in (None, run.trainer.config.kind):
            raise EngineError(_OTHER_KIND)
        return run

    def _ask_about(self, run_id: str, kind: str, given: str | bytes, request: Callable[[Any], T]) -> T:
        """The same about what a reader has given, which is worked on once only while run and input are the same."""
        key = key_of(kind, given)  # outside: a wrong kind of input is the caller's fault, not the run's
        run = self._of_kind(run_id, "network")
        work = functools.partial(asked, lambda: request(run.trainer), InputRefused)
        return self._guard(run, lambda: run.answers.to(key, run.version, run.trainer.config, work))


_OTHER_KIND = N_("This run is of another kind: a mixture has no network to look into, and a network is no mixture.")

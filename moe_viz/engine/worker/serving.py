"""Serving: what each part of a host needs to answer a call about a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from moe_viz.engine.limits import Limits
from moe_viz.engine.worker.hosted_run import HostedRun
from moe_viz.engine.worker.roster import Roster

T = TypeVar("T")


class Serving(ABC):
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

    def _ask(self, run_id: str, request: Callable[[Any], T]) -> T:
        """`request(trainer)` of a run."""
        run = self._find(run_id)
        return self._guard(run, lambda: request(run.trainer))

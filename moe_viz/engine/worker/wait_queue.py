"""Who waits for room on a full host: first come, first served, and how long it may take.

A place in line belongs to a ticket (a session's token, or the id of a run that wants back into memory) and is held by asking again.
A ticket that has not asked for `PATIENCE_S` is gone: its page was closed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

PATIENCE_S = 10.0
"""A waiting page asks every two seconds; some of that may be lost on a bad network."""
REMEMBERED = 8
"""Arrivals from the line by which the next ones are judged."""


@dataclass
class _Waiting:
    count: int
    seen: float


class WaitQueue:
    """Tickets in order of arrival. Times are seconds of the host's clock; count: the runs that a ticket wants room for."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._entered: deque[float] = deque(maxlen=REMEMBERED)

    def __len__(self) -> int:
        return len(self._waiting)

    def admits(self, ticket: str, count: int, free: int, now: float) -> bool:
        """Whether there is room for this ticket after all that came before it. Nobody passes, also not with a smaller wish."""
        self.forget_the_gone(now)
        return self._before(ticket) + count <= free

    def join(self, ticket: str, count: int, now: float) -> int:
        """Take a place, or keep it; which one, from 1."""
        waiting = self._waiting.setdefault(ticket, _Waiting(count, now))
        waiting.count, waiting.seen = count, now
        return list(self._waiting).index(ticket) + 1

    def enter(self, ticket: str, now: float) -> None:
        """A ticket got its room."""
        if self._waiting.pop(ticket, None):
            self._entered.append(now)

    def leave(self, ticket: str) -> None:
        """A ticket is not wanted any more."""
        self._waiting.pop(ticket, None)

    def forget_the_gone(self, now: float) -> None:
        for ticket in [name for name, waiting in self._waiting.items() if waiting.seen < now - PATIENCE_S]:
            del self._waiting[ticket]

    def expected_s(self, position: int, now: float) -> float | None:
        """Seconds until the one at `position` enters, at the rate of the last ones; None before two have entered."""
        if len(self._entered) < 2:
            return None
        first, last, count = self._entered[0], self._entered[-1], len(self._entered)
        return position * max((last - first) / (count - 1), (now - first) / count)

    def _before(self, ticket: str) -> int:
        """Runs that those in front of a ticket want room for."""
        wanted = 0
        for name, waiting in self._waiting.items():
            if name == ticket:
                break
            wanted += waiting.count
        return wanted

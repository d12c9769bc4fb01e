"""One picture at a time on the way to each browser: a timer's next one is made when the last one is on the page; what a press draws goes at once.

Without it the server sends as often as the page's timer asks, whether or not the line keeps up; what waits in the sockets grows, and the answer
to a press comes behind it. How much waits cannot be asked of a socket, because there may be proxies on the way, so the page itself answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 30.0
"""A picture that is not answered in this time is given up: the next one goes out."""
FIRST_PATIENCE_S = 5.0
"""The same while nothing has been answered over this line: perhaps the browser cannot, or a part went out over the line before it."""


class InFlight:
    """The picture on its way to one session's browser. `line`: whatever tells one connection from the next; a new one has nothing under way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.picture: int | None = None
        self._line: Any = None
        self._begun: Any = None
        self._since = 0.0
        self._answers = False

    def begin(self, line: Any) -> None:
        """The begin of a run goes out, which its picture follows."""
        self._begun = line

    def send(self, picture: int, line: Any) -> None:
        """A picture goes out. One whose begin went out over another line is not waited for: the browser cannot show it."""
        if self._begun is not line:
            return
        if line is not self._line:
            self._answers = False
        self.picture, self._line, self._since = picture, line, self.clock()

    def arrive(self, picture: int | None) -> bool:
        """The browser says which picture it has painted last. Whether that is the one on its way."""
        if picture is None or picture != self.picture:
            return False
        self.picture, self._answers = None, True
        return True

    def give_up(self) -> None:
        """Nobody will answer it: the page that it was for is left."""
        self.picture = None

    def waits(self, line: Any) -> float:
        """Seconds that it may still be waited for; 0 when nothing is on its way over this line."""
        if self.picture is None or line is not self._line:
            return 0.0
        patience = PATIENCE_S if self._answers else FIRST_PATIENCE_S
        return max(0.0, self._since + patience - self.clock())

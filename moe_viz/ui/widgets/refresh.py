"""How often pages tick: four times a second while few are open, more rarely as a class grows, so that all keep the same rate.

One web process draws some thirty updates a second on one core, whoever they are for. Every ticking page says so here; those of
readers who train share the thirty, those that are paused or only wait share fewer. In a class their ticks are spread over time, too:
thirty pages that were opened at once would otherwise ask at once, every second, and the last would wait for all the others.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from itertools import count

import streamlit as st

from moe_viz.components.connection import LABELS, NAME, connection
from moe_viz.engine.client import LocalEngine
from moe_viz.settings import settings
from moe_viz.ui.i18n import _
from moe_viz.ui.server import streamlit_patches
from moe_viz.ui.widgets import verdicts

INTERVALS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
"""Seconds between two ticks. Few steps, so that pages seldom change theirs; the longest is well within a run's lease."""
CALM_S = 1.0
"""A page that asks for a longer time than this between ticks is one where little moves."""
CALM_SHARE = 0.25
"""Part of the updates that all such pages together may take on top."""
GONE_S = 20.0
"""A page that has not ticked for so long is closed."""
SETTLED_S = 5.0
"""A page keeps its interval, and its place among the others, at least this long."""
TOLERANCE = 0.06
"""Part of the interval by which a page may tick beside its place."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Places at multiples of this, modulo 1, are spread evenly however many there are (Weyl's sequence)."""
STATE, PICTURES = "pace", "pictures"


class DrawingLock:
    """A lock whose holder gives it back while it waits for an answer of the engine."""

    def __init__(self) -> None:
        self._lock, self._mine = threading.Lock(), threading.local()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._mine.holds = True

    def __exit__(self, *_problem: object) -> None:
        self._mine.holds = False
        self._lock.release()

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Without the lock where this thread holds it, and with it again afterwards."""
        held = getattr(self._mine, "holds", False)
        if held:
            self.__exit__()
        try:
            yield
        finally:
            if held:
                self.__enter__()


drawing = DrawingLock()
"""Held while the lab draws: pages of a class that draw at the same time would only take Python's lock from each other, many times each."""
LocalEngine.while_asking = staticmethod(drawing.given_back)


class TickingPages:
    """The pages that tick. `most`: updates a second, all together."""

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic):
        self.most, self.clock = most, clock
        self._seen: dict[str, tuple[float, bool]] = {}
        self._place: dict[str, float] = {}
        self._arrivals = 0

    def tick(self, page: str, wish: float) -> None:
        """A page has ticked; `wish`: seconds between two ticks that it would like."""
        self._seen[page] = (self.clock(), wish <= CALM_S)
        if page not in self._place:
            self._arrivals += 1
            self._place[page] = self._arrivals * GOLDEN % 1

    def count(self, lively: bool) -> int:
        """Pages that would like to tick often, or seldom."""
        oldest = self.clock() - GONE_S
        for page in [page for page, (when, _lively) in list(self._seen.items()) if when < oldest]:
            self._seen.pop(page, None)
            self._place.pop(page, None)
        return sum(kind == lively for _when, kind in list(self._seen.values()))

    def interval(self, wish: float) -> float:
        """Seconds between two ticks of a page with this wish: its wish, or the least that leaves room for the others."""
        lively = wish <= CALM_S
        least = self.count(lively) / (self.most * (1.0 if lively else CALM_SHARE))
        return max(wish, next((seconds for seconds in INTERVALS if seconds >= least), INTERVALS[-1]))

    def offset(self, page: str, interval: float) -> float:
        """Seconds from now to the page's own place among the ticks, the nearer way; 0 where it is near enough."""
        ahead = (self._place[page] - self.clock() / interval) % 1
        ahead -= ahead > 0.5
        return ahead * interval if abs(ahead) > TOLERANCE else 0.0


@dataclass
class TickInterval:
    """What is in force on one page of a session. interval: seconds between two ticks; sent: the same, or longer or shorter for one tick."""

    wish: float
    interval: float
    sent: float
    since: float = field(default_factory=time.monotonic)


@st.cache_resource(show_spinner=False)
def ticking_pages() -> TickingPages:
    """The pages of this server."""
    return TickingPages(settings().updates_per_second)


def ticking(tick: Callable[[], None], wish: float) -> None:
    """Draw a page's live part and keep it ticking, every `wish` seconds where the other pages and the reader's line allow that."""
    interval = ticking_pages().interval(wish)
    st.session_state[STATE] = TickInterval(wish, interval, interval)
    st.fragment(_answered(tick), run_every=interval)()


def _answered(tick: Callable[[], None]) -> Callable[[], None]:
    """A tick, and with it what tells the server that the picture has arrived: it stands first, where nothing moves it, and is drawn last."""

    @wraps(tick)  # Streamlit tells parts of pages from each other by their functions' names
    def picture() -> None:
        with st.container(key="live_part"):
            end_of_the_line = st.container(key="connection")
            tick()
        numbers = st.session_state.setdefault(
            PICTURES, count(secrets.randbelow(2**32))
        )  # no session takes another's for its own
        every, labels = st.session_state[STATE].sent, {name: _(text) for name, text in LABELS.items()}
        with end_of_the_line:
            heard, said = streamlit_patches.presses_heard(), verdicts.announced()
            connection(next(numbers), key=NAME, every=every, heard=heard, announced=said, labels=labels)

    return picture


def begin_tick(wish: float | None = None) -> None:
    """At the begin of a tick: count this page, and give it the time until the next one where that has changed.

    wish: where it may have changed since the page was drawn.
    """
    pace, page = st.session_state.get(STATE), streamlit_patches.session_id()
    if pace is None or page is None:
        return
    now = time.monotonic()
    changed, pace.wish = wish not in (None, pace.wish), pace.wish if wish is None else wish
    ticking_pages().tick(page, pace.wish)
    settled = now - pace.since > SETTLED_S
    if settled or changed:
        pace.interval = ticking_pages().interval(pace.wish)
    shared = pace.interval > pace.wish and pace.wish <= CALM_S
    offset = ticking_pages().offset(page, pace.interval) if shared and settled else 0.0
    if pace.sent != pace.interval + offset:
        pace.sent, pace.since = pace.interval + offset, now
        streamlit_patches.set_timer(pace.sent)


def rate_text() -> str:
    """The rate in force, quietly; with the number of readers where it is they who set it."""
    pace = st.session_state.get(STATE) or TickInterval(0.25, 0.25, 0.25)
    rate = f"{1 / pace.interval:.2g}"
    if pace.interval > pace.wish:
        return _("updates per second: {rate} for each of {n} readers").format(rate=rate, n=ticking_pages().count(True))
    return _("updates per second: {rate}").format(rate=rate)

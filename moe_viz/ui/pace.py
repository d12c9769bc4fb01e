"""How often pages tick: four times a second while few are open, more rarely as a class grows, so that all keep the same rate.

One web process draws some thirty updates a second on one core, whoever they are for. Every ticking page says so here; those of
readers who train share the thirty, those that are paused or only wait share fewer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from moe_viz.settings import settings
from moe_viz.ui.i18n import _

INTERVALS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Seconds between two ticks. Few steps, so that pages seldom change theirs; the longest is well within a run's lease."""
CALM_S = 1.0
"""A page that asks for a longer time than this between ticks is one where little moves."""
CALM_SHARE = 0.25
"""Part of the updates that all such pages together may take on top."""
SPARE = 1.25
"""Pages tick faster again only where a quarter more of them would still have room."""
GONE_S = 20.0
"""A page that has not ticked for so long is closed."""
SETTLED_S = 5.0
"""A page keeps its interval at least this long."""
STATE = "pace"


class Crowd:
    """The pages that tick. `most`: updates a second, all together."""

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic):
        self.most, self._clock = most, clock
        self._seen: dict[str, tuple[float, bool]] = {}

    def tick(self, page: str, wish: float) -> None:
        """A page has ticked; `wish`: seconds between two ticks that it would like."""
        self._seen[page] = (self._clock(), wish <= CALM_S)

    def count(self, lively: bool) -> int:
        """Pages that would like to tick often, or seldom."""
        oldest = self._clock() - GONE_S
        for page in [page for page, (when, _lively) in list(self._seen.items()) if when < oldest]:
            self._seen.pop(page, None)
        return sum(kind == lively for _when, kind in list(self._seen.values()))

    def interval(self, wish: float, spare: float = 1.0) -> float:
        """Seconds between two ticks of a page with this wish: its wish, or the least at which `spare` times as many pages would have room."""
        lively = wish <= CALM_S
        least = spare * self.count(lively) / (self.most * (1.0 if lively else CALM_SHARE))
        return max(wish, next((seconds for seconds in INTERVALS if seconds >= least), INTERVALS[-1]))

    def due(self, wish: float, now: float) -> float:
        """What should follow on the interval `now`: longer where it must be, shorter only where that will last."""
        return max(self.interval(wish), min(now, self.interval(wish, SPARE)))


@dataclass
class Pace:
    """What is in force on one page of a session. interval: seconds between two ticks."""

    wish: float = 0.0
    interval: float = 0.0
    since: float = field(default_factory=time.monotonic)


@st.cache_resource(show_spinner=False)
def crowd() -> Crowd:
    """The pages of this server."""
    return Crowd(settings().updates_per_second)


def ticking(tick: Callable[[], None], wish: float) -> None:
    """Draw a page's live part and keep it ticking, every `wish` seconds where the crowd allows that."""
    pace = Pace(wish, crowd().interval(wish))
    st.session_state[STATE] = pace
    st.fragment(tick, run_every=pace.interval)()


def keep(wish: float | None = None) -> None:
    """At the begin of a tick: count this page; redraw it whole where another interval is due, which is how Streamlit takes one.

    wish: where it may have changed since the page was drawn.
    """
    pace, context = st.session_state.get(STATE), get_script_run_ctx()
    if pace is None or context is None:
        return
    wish = pace.wish if wish is None else wish
    crowd().tick(context.session_id, wish)
    age = time.monotonic() - pace.since
    if (wish != pace.wish and age > 1.0) or (crowd().due(wish, pace.interval) != pace.interval and age > SETTLED_S):
        st.rerun()


def in_words() -> str:
    """The rate in force, quietly; with the number of readers where it is they who set it."""
    pace = st.session_state.get(STATE) or Pace(0.25, 0.25)
    rate = f"{1 / pace.interval:.2g}"
    if pace.interval > pace.wish:
        return _("drawn {rate} times a second for each of {n} readers").format(rate=rate, n=crowd().count(True))
    return _("drawn {rate} times a second").format(rate=rate)

"""What a page keeps beside a run: pins, a branch, a closer look. It belongs to one run and one (re)start of it, and goes with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import streamlit as st

VISITS = "visits"


class RunState(Protocol):
    """State that may hold runs of its own."""

    def leave(self) -> None:
        """Give up what it holds in the engine."""


S = TypeVar("S", bound=RunState)


def of_run(name: str, beginning: tuple[str | None, int], make: Callable[[S | None], S]) -> S:
    """The session's state `name` for this run and (re)start (`SessionRun.beginning`); of another one nothing is left.

    make: the new state, from the old one (None: there is none), of which it may take over what is the reader's choice and not the run's.
    """
    kept = st.session_state.get(name)
    if kept is not None and kept[0] == beginning:
        return kept[1]
    if kept is not None:
        kept[1].leave()
    state = make(None if kept is None else kept[1])
    st.session_state[name] = (beginning, state)
    return state


def visit(page: str) -> None:
    """The script draws this page now (`app.py` says so). From another page to it is one visit more; drawing it again is none."""
    number, last = st.session_state.get(VISITS, (0, None))
    if last != page:
        st.session_state[VISITS] = number + 1, page


def visit_number() -> int:
    """Which visit this is, of all visits of pages in this session: a page that meets another number than last time has just been opened."""
    return st.session_state.get(VISITS, (0, None))[0]

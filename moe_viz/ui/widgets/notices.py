"""What has just happened, on a line of its own: it covers nothing, moves nothing, and goes away by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from moe_viz.engine.protocol import EngineError
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.words import in_words

STATE = "notices"
SECONDS = 15.0
"""How long a notice stands; a page that is drawn more rarely shows it until it is drawn again."""
MOST = 3
"""Notices at a time; an older one makes room."""


@dataclass
class Notices:
    """A session's notices. lines: when it was said, and the text as Markdown, oldest first."""

    clock: Callable[[], float] = time.monotonic
    lines: list[tuple[float, str]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add a notice; one that stands already is only renewed."""
        others = [(when, other) for when, other in self.lines if other != text]
        self.lines = [*others[1 - MOST :], (self.clock(), text)]

    def standing(self) -> list[str]:
        """What is still to be seen."""
        self.lines = [(when, text) for when, text in self.lines if self.clock() - when < SECONDS]
        return [text for _when, text in self.lines]


def notices() -> Notices:
    """This session's."""
    if STATE not in st.session_state:
        st.session_state[STATE] = Notices()
    return st.session_state[STATE]


def say(notice: EngineError | Sentence | str) -> None:
    """Have something told in the reader's language where the page has its line."""
    notices().say(in_words(notice))


def too_long(text: str, longest: int) -> Sentence:
    """What is said of a text that is longer than what is used of it. Fields take it all, and say so: one with a limit ignores a paste."""
    template = N_("Only the first {n} characters are used; the last {more} of yours are left out.")
    return Sentence(template, n=longest, more=len(text) - longest)


def line() -> None:
    """The line, whose room is there also while nothing stands in it."""
    with st.container(key="notices"):
        st.caption(" ".join(notices().standing()) or "\u00a0")

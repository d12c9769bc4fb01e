"""Where a reader stands in the course: which lesson, which part of it, how deep, and what has been done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import streamlit as st

from moe_viz.components import course_progress
from moe_viz.lessons import load
from moe_viz.lessons.model import DEPTHS, Exercise, Lesson
from moe_viz.lessons.progress import Progress
from moe_viz.ui.i18n import language
from moe_viz.ui.session import address, permalink

STATE = "course_place"
Part = int | Literal["read", "quiz"]
READ: Literal["read"] = "read"
QUIZ: Literal["quiz"] = "quiz"


@dataclass
class Place:
    """lesson: its number, None on the list of all;  part: number of the exercise in it (from 1), or its text or quiz.

    hints: exercise id -> hints that are open;  missing: what an address asked for and the course has not;  told: the browser has said what it knew
    """

    lesson: int | None = None
    part: Part = READ
    depth: str = "student"
    progress: Progress = field(default_factory=Progress)
    hints: dict[str, int] = field(default_factory=dict)
    missing: str = ""
    told: bool = False

    def go(self, lesson: int | None, part: Part = READ) -> None:
        self.lesson, self.part, self.missing = lesson, part, ""

    def follow(self, params: Mapping[str, str]) -> None:
        """Stand where an address says; one to nothing that there is leads to the list, which says so."""
        if params.get("depth") in DEPTHS:
            self.depth = params["depth"]
        lesson, wanted = params.get("lesson"), params.get("exercise")
        if lesson is None:
            self.lesson, self.part = None, READ
            return
        lessons = {str(one.number): one for one in load(language())}
        found = lessons.get(lesson)
        parts: dict[str, Part] = {READ: READ, QUIZ: QUIZ}
        parts |= {str(n): n for n in range(1, len(found.exercises) + 1)} if found else {}
        if found is None or (wanted or READ) not in parts:
            self.go(None)
            self.missing = f"{lesson}.{wanted}" if wanted else lesson
            return
        self.go(found.number, parts[wanted or READ])

    def address(self) -> dict[str, str]:
        """The words that bring this back."""
        words = {"v": permalink.VERSION, "lang": language(), "depth": self.depth}
        if self.lesson is None:
            return words
        return words | {"lesson": str(self.lesson)} | ({} if self.part == READ else {"exercise": str(self.part)})


def place() -> Place:
    """The session's."""
    if STATE not in st.session_state:
        st.session_state[STATE] = Place()
        st.session_state[STATE].follow(address.read())
    return st.session_state[STATE]


def arrive() -> Place:
    """The same for a page that begins to be drawn: after Back or Forward it is where the address says."""
    found = place()
    if (params := address.gone_to()) is not None:
        found.follow(params)
    return found


def lesson_of(number: int) -> Lesson:
    return load(language())[number - 1]


def exercise_of(where: Place) -> Exercise | None:
    """The exercise that is open; None where none is."""
    if where.lesson is None or not isinstance(where.part, int):
        return None
    return lesson_of(where.lesson).exercises[where.part - 1]


def keep_progress(where: Place) -> None:
    """Let the browser keep it. To be called once per page run."""
    with st.container(key="course_memory"):
        course_progress.keep(where.progress.to_json() if where.told else None, _told)


def _told() -> None:
    where = place()
    where.told = True
    where.progress.merge(Progress(course_progress.told()))

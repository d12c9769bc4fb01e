"""A reader's progress through the course as plain JSON, by ids of exercises: what an older or newer course knew is kept, never thrown away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moe_viz.lessons.model import Lesson

VERSION = 1
MOST = 400
"""Exercises, and questions of a lesson, that are read back."""


class Progress:
    """predicted, solved, opened: by exercise id;  answers: lesson number -> question (from 0) -> option (from 0)."""

    def __init__(self, found: Mapping[str, Any] | None = None):
        found = found or {}
        self.predicted = _numbers(found.get("predicted"))
        self.solved = _numbers(found.get("solved"))
        self.opened = _numbers(found.get("opened"))
        quizzes = found.get("answers")
        self.answers = {
            str(lesson)[:8]: _numbers(answers)
            for lesson, answers in (list(quizzes.items())[:MOST] if isinstance(quizzes, dict) else [])
        }

    def merge(self, other: Progress) -> None:
        """Take over what another has and this has not."""
        for mine, theirs in (
            (self.predicted, other.predicted),
            (self.solved, other.solved),
            (self.opened, other.opened),
        ):
            mine.update({key: value for key, value in theirs.items() if key not in mine})
        for lesson, answers in other.answers.items():
            kept = self.answers.setdefault(lesson, {})
            kept.update({key: value for key, value in answers.items() if key not in kept})

    def answer(self, lesson: Lesson, question: int) -> int | None:
        """The option (from 0) that was picked; None: none of those that there are."""
        picked = self.answers.get(str(lesson.number), {}).get(str(question))
        return picked if picked is not None and picked < len(lesson.quiz[question].options) else None

    def done(self, lesson: Lesson) -> tuple[int, int]:
        """Exercises of a lesson that are solved, and questions that are answered rightly."""
        right = sum(self.answer(lesson, n) == question.right for n, question in enumerate(lesson.quiz))
        return sum(exercise.id in self.solved for exercise in lesson.exercises), right

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "predicted": self.predicted,
            "solved": self.solved,
            "opened": self.opened,
            "answers": self.answers,
        }


def _numbers(found: Any) -> dict[str, int]:
    """Text -> whole number from 0; whatever else there is is passed over."""
    if not isinstance(found, dict):
        return {}
    items = [(key, value) for key, value in list(found.items())[:MOST] if isinstance(key, str) and len(key) <= 12]
    return {key: value for key, value in items if type(value) is int and 0 <= value <= 1_000_000}

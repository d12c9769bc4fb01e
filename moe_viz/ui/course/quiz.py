"""The quiz of a lesson: every answer is explained as soon as it is given, and can be changed as often as one likes."""

from __future__ import annotations

import streamlit as st

from moe_viz.lessons.model import Lesson
from moe_viz.ui.course.place import Place, place
from moe_viz.ui.i18n import _


def draw(where: Place, lesson: Lesson) -> None:
    """All questions below each other."""
    with st.container(key="course_text"):
        for number, question in enumerate(lesson.quiz):
            picked = where.progress.answer(lesson, number)
            key = f"quiz_{lesson.number}_{number}"
            st.session_state[key] = picked
            st.radio(
                f"**{number + 1}.** {question.question}",
                range(len(question.options)),
                format_func=question.options.__getitem__,
                key=key,
                on_change=_answer,
                args=(lesson.number, number, key),
            )
            if picked is None:
                continue
            if picked == question.right:
                st.success("**" + _("Right.") + f"** {question.why}", icon=":material/check_circle:")
            else:
                right = question.options[question.right]
                text = _("Not so: {right}.").format(right=right)
                st.info(f"**{text}** {question.why}", icon=":material/lightbulb:")
        right = where.progress.done(lesson)[1]
        st.caption(_("{n} of {all} right").format(n=right, all=len(lesson.quiz)))


def _answer(lesson: int, question: int, key: str) -> None:
    picked = st.session_state[key]
    if picked is not None:
        place().progress.answers.setdefault(str(lesson), {})[str(question)] = picked

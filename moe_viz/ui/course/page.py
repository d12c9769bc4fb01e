"""The page "Course": the lessons as a path, a lesson's text at three depths, its exercises beside a live run, and its quiz."""

from __future__ import annotations

import streamlit as st

from moe_viz.lessons import load
from moe_viz.lessons.model import Lesson
from moe_viz.spec.knobs import N_
from moe_viz.ui.course import exercise, quiz, worksheet
from moe_viz.ui.course.exercise import titled
from moe_viz.ui.course.place import QUIZ, READ, Part, Place, arrive, keep_progress, lesson_of, place
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _, language
from moe_viz.ui.server import theme
from moe_viz.ui.session import address

DEPTH_TITLES = {"simple": N_("In simple words"), "student": N_("Student"), "deep": N_("Deep dive")}
CSS = """
<style>
.st-key-course_memory, .st-key-worksheet { display: none; }
[class*="st-key-lesson_"] [data-testid="stCaptionContainer"] { margin-bottom: 0; }
.st-key-course_text { max-width: 46rem; }
.st-key-course_terms p { margin: 0; }
.st-key-course_terms { min-height: 3rem; }
@media print {
  .st-key-worksheet { display: block; }
  .stMainBlockContainer > .stVerticalBlock > :not(:has(.st-key-worksheet)) { display: none !important; }
}
</style>
"""


def draw() -> None:
    """Course: lessons whose exercises are checked by real training."""
    where = arrive()
    theme.apply()
    st.html(CSS)
    if where.lesson is None:
        _path(where)
    else:
        _lesson(where, lesson_of(where.lesson))
    keep_progress(where)
    address.write(where.address())


def _path(where: Place) -> None:
    """All lessons in their order, with what has been done of each."""
    st.markdown("#### " + _("Course"))
    if where.missing:
        st.warning(
            _("This course has no exercise {id}. These are its lessons.").format(id=escape_markdown(where.missing, 20)),
            icon=":material/link_off:",
        )
    st.caption(
        _("Each exercise is a real model that trains in front of you, and its check reads what was measured. Nothing is lost by failing: begin again as often as you like. How far you are is kept in this browser alone.")
    )  # fmt: skip
    lessons = load(language())
    following = next((one for one in lessons if where.progress.done(one)[0] < len(one.exercises)), None)
    for lesson in lessons:
        solved, right = where.progress.done(lesson)
        with st.container(border=True, key=f"lesson_{lesson.number}"):
            text, button = st.columns([5, 1], vertical_alignment="center")
            with text:
                whole = solved == len(lesson.exercises) and right == len(lesson.quiz)
                sign = ":material/check_circle:" if whole else f"{lesson.number}."
                st.markdown(f"**{sign} {lesson.title}**")
                done = _("exercises {solved} of {all} · quiz {right} of {questions}").format(
                    solved=solved, all=len(lesson.exercises), right=right, questions=len(lesson.quiz)
                )
                st.caption(f"{lesson.goal}  \n{done}")
            button.button(
                _("Open"),
                key=f"open_{lesson.number}",
                type="primary" if lesson is following else "secondary",
                width="stretch",
                on_click=where.go,
                args=(lesson.number,),
            )


def _lesson(where: Place, lesson: Lesson) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="lesson_head"):
        st.button(_("All lessons"), key="all_lessons", icon=":material/arrow_back:", type="tertiary", on_click=where.go, args=(None,))  # fmt: skip
        st.markdown(f"#### {lesson.number}. {lesson.title}")
    _parts(where, lesson)
    if where.part == READ:
        _text(where, lesson)
    elif where.part == QUIZ:
        quiz.draw(where, lesson)
    else:
        exercise.draw(where, lesson.exercises[int(where.part) - 1])
    worksheet.draw(lesson)


def _parts(where: Place, lesson: Lesson) -> None:
    """Where to go within the lesson; what is done has a tick."""
    parts: list[Part] = [READ, *range(1, len(lesson.exercises) + 1), QUIZ]
    st.session_state["course_part"] = where.part
    st.segmented_control(
        _("Part of the lesson"),
        parts,
        format_func=lambda part: _part_title(where, lesson, part),
        key="course_part",
        label_visibility="collapsed",
        required=True,
        on_change=_go_to_part,
    )


def _go_to_part() -> None:
    where = place()
    where.go(where.lesson, st.session_state["course_part"])


def _part_title(where: Place, lesson: Lesson, part: Part) -> str:
    if part == READ:
        return _("Read")
    if part == QUIZ:
        return _("Quiz")
    one = lesson.exercises[int(part) - 1]
    return f"✓ {one.id}" if one.id in where.progress.solved else one.id


def _text(where: Place, lesson: Lesson) -> None:
    """Goal, the misconception, and the text at one of three depths."""
    with st.container(key="course_text"):
        st.markdown(titled(_("You will be able to"), lesson.goal))
        st.markdown(titled(_("Often believed, and wrong"), lesson.misconception))
        st.session_state["course_depth"] = where.depth
        st.segmented_control(
            _("How deep"),
            list(DEPTH_TITLES),
            format_func=lambda depth: _(DEPTH_TITLES[depth]),
            key="course_depth",
            required=True,
            on_change=_go_deeper,
        )
        st.markdown(lesson.depths[where.depth])
        st.button(
            _("To the first exercise"),
            key="course_next",
            icon=":material/arrow_forward:",
            type="primary",
            on_click=where.go,
            args=(lesson.number, 1),
        )
        st.caption(
            _("A worksheet of this lesson, with the choices and room to write, is what this page prints (Ctrl + P).")
        )


def _go_deeper() -> None:
    place().depth = st.session_state["course_depth"]

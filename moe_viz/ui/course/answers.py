"""What a student gives beside turning knobs: a choice, numbers, a table. It can be changed at any time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.lessons.model import Answer, Edit, Exercise
from moe_viz.ui.course.measuring import OF_STUDENT, needs_measuring
from moe_viz.ui.course.run import CourseRun
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.tables import show_table

MOST_LETTERS = 500
KINDS = {"whole": (int, 0), "number": (float, 0.0), "bool": (bool, False)}


def draw(run: CourseRun, exercise: Exercise) -> None:
    """The fields of the exercise's answer and edit, where it asks for them, and the press that has measured what they need."""
    _shown(run)
    given = dict(run.given or {})
    answer, edit = exercise.given.answer, exercise.given.edit
    if edit is not None:
        given["edit"] = _edit(edit, given.get("edit"), f"edit_{exercise.id}")
    if answer is not None:
        given["answer"] = _fields(answer, given.get("answer"), f"answer_{exercise.id}")
    if needs_measuring(exercise) and run.exercise is not None:
        if any(given.get(word) != (run.given or {}).get(word) for word in OF_STUDENT):
            given.pop("paused", None)
            given.pop("truth", None)
        ready = all(given.get(word) is not None for word in OF_STUDENT if getattr(exercise.given, word) is not None)
        label = _("Measure") if exercise.given.measure is not None else _("Check my answer")
        look: dict[str, Any] = {"icon": ":material/straighten:", "disabled": not ready or run.rows is None}
        run.given = given
        st.button(label, key="course_measure", on_click=run.measure, **look)
        if isinstance(found := given.get("paused"), dict):
            show_table(pd.DataFrame(found).T, hide_index=False, key="course_measured")
    elif given:
        run.given = given


def _shown(run: CourseRun) -> None:
    """The table that the exercise is worked out from."""
    if run.shown is None or run.shown.table is None:
        return
    st.caption(_(run.shown.title).format(**(run.shown.values or {})))
    show_table(run.shown.table, hide_index=False, key="course_shown")


def _edit(edit: Edit, given: Any, key: str) -> list[str]:
    """The texts that the student writes; of a pair the first stands as it is."""
    first = list(edit.texts) + [""] * (len(edit.labels) - len(edit.texts))
    old = given if isinstance(given, list) else first
    return [
        st.text_area(label, value=old[n], key=f"{key}_{n}", max_chars=MOST_LETTERS, height=90)
        for n, label in enumerate(edit.labels)
    ]


def _fields(answer: Answer, given: Any, key: str) -> Any:
    """The answer as the check reads it; None while it is not complete."""
    st.markdown(answer.question)
    if answer.kind == "choice":
        return _pick(answer, given, key, "")
    if answer.kind == "choices":
        old = given if isinstance(given, list) else [None] * answer.count
        picked = [_pick(answer, old[n], f"{key}_{n}", str(n + 1)) for n in range(answer.count)]
        return picked if None not in picked else None
    if answer.kind == "numbers":
        old = given if isinstance(given, list) else [None] * len(answer.labels)
        numbers = [
            st.number_input(label, value=old[n], key=f"{key}_{n}", format="%g", placeholder=_("a number"))
            for n, label in enumerate(answer.labels)
        ]
        return numbers if None not in numbers else None
    if answer.kind == "slots":
        old = given if isinstance(given, list) else [None] * answer.count
        columns = st.columns(3)
        picked = []
        for n in range(answer.count):
            with columns[n % 3]:
                picked.append(_pick(answer, old[n], f"{key}_{n}", _("Token {n}").format(n=n + 1)))
        return picked if None not in picked else None
    return _table(answer, key)


def _pick(answer: Answer, given: Any, key: str, name: str) -> Any:
    picked = st.selectbox(
        name or _("Your answer"),
        answer.values,
        index=answer.values.index(given) if given in answer.values else None,
        format_func=lambda value: answer.labels[answer.values.index(value)],
        key=key,
        placeholder=_("Choose"),
        label_visibility="visible" if name else "collapsed",
    )
    return picked


def _table(answer: Answer, key: str) -> list[list[Any]]:
    blank = [[KINDS[kind][1] for kind in answer.columns] for _row in answer.labels]
    frame = pd.DataFrame(blank, index=list(answer.labels), columns=list(answer.column_labels))
    edited = st.data_editor(frame, key=key, width="stretch")
    return [
        [KINDS[kind][0](value) for kind, value in zip(answer.columns, row)] for row in edited.itertuples(index=False)
    ]

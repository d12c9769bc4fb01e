"""The controls of an exercise: those that it shows, within their limits; those that are locked are named with their value."""

from __future__ import annotations

import streamlit as st

from moe_viz.lessons.model import ALL_KNOBS, Exercise, Limit
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import declared
from moe_viz.ui.course.run import CourseRun
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.header import transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.words import show

ALWAYS = ("speed",)


def shown_words(exercise: Exercise, config: RunConfig) -> list[str]:
    """Knobs that may be turned, in the order of the exercise; `speed` last."""
    fields = config.fields()
    basic = [word for word, info in fields.items() if declared(info).get("level") in ("basic", "more")]
    named = [word for word in exercise.controls.shown if word != ALL_KNOBS]
    more = basic if ALL_KNOBS in exercise.controls.shown else []
    words = dict.fromkeys([*named, *more])
    return [word for word in words if word in fields and word not in ALWAYS and exercise.controls.state_of(word) == "shown"] + [word for word in ALWAYS if exercise.deadline]  # fmt: skip


def controls(run: CourseRun, exercise: Exercise) -> None:
    """Play, step, begin again; and the knobs."""
    with st.container(key="course_controls"):
        again = _("Begin again")
        if exercise.deadline:
            transport(run, restart=lambda: run.begin_exercise(exercise), restart_label=again)
        else:
            st.button(again, key="reset", icon=":material/restart_alt:", on_click=run.begin_exercise, args=(exercise,))
        columns = st.columns(2, gap="medium")
        for number, word in enumerate(shown_words(exercise, run.config)):
            limit = exercise.controls.limits.get(word)
            with columns[number % 2]:
                if limit is None:
                    control(word, run.config, lambda word: run.turn(**{word: st.session_state[word]}))
                else:
                    _limited(run, word, limit)
        flat, fields = run.config.flat(), run.config.fields()
        locked = [word for word in exercise.controls.locked if word in flat]
        if locked:
            named = " · ".join(f"{_(fields[word].title or word)} **{show(word, flat[word])}**" for word in locked)
            st.caption(":material/lock: " + _("Locked here") + f": {named}")
        st.toggle(_("In words only"), key="course_words_only", help=_("A table of the same numbers in place of the picture."))  # fmt: skip


def options(limit: Limit, present: object) -> list[object]:
    """What a limited control offers; the present value, too."""
    if limit.values is not None:
        found: list[object] = list(limit.values)
    else:
        least, most = limit.least or 0.0, limit.most if limit.most is not None else 1.0
        step = limit.step or (most - least) / 20
        n = round((most - least) / step)
        found = [round(least + i * step, 10) for i in range(n + 1)]
    return found if present in found else [present, *found]


def _limited(run: CourseRun, word: str, limit: Limit) -> None:
    info, key = run.config.fields()[word], f"limited_{word}"
    value = run.config.flat()[word]
    st.session_state[key] = value
    st.select_slider(
        _(info.title or word),
        options(limit, value),
        format_func=lambda one: show(word, one),
        key=key,
        help=_(info.description or ""),
        on_change=lambda: run.turn(**{word: st.session_state[key]}),
    )

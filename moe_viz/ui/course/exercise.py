"""One exercise, one thing at a time: text and prediction, then a live run beside the task, then what was measured against what was expected."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.components import routing_view
from moe_viz.components.labels import translated
from moe_viz.engine.client import engine
from moe_viz.engine.protocol import Update
from moe_viz.lessons.model import Exercise
from moe_viz.records.metric_info import METRICS
from moe_viz.spec import TASK_OPTIONS
from moe_viz.ui.course import answers
from moe_viz.ui.course.controls import controls
from moe_viz.ui.course.place import QUIZ, Place, lesson_of, place
from moe_viz.ui.course.run import CourseRun, course_run
from moe_viz.ui.course.terms import in_words as term_in_words
from moe_viz.ui.i18n import _
from moe_viz.ui.session.recorded import HEIGHT
from moe_viz.ui.widgets import refresh
from moe_viz.ui.widgets.header import head, layer_picker
from moe_viz.ui.widgets.messages import tell
from moe_viz.ui.widgets.tables import show_table
from moe_viz.ui.words import in_words

SECONDS, SECONDS_PAUSED = 0.25, 2.0
WORDS_ONLY, TOLD, SHOWN = "course_words_only", "course_told_solved", "course_shown_of"


def draw(where: Place, exercise: Exercise) -> None:
    """The notebook on the left, the live run on the right; on a phone below each other."""
    run = course_run()
    begun = run.exercise is not None and run.exercise.id == exercise.id
    text, live = st.columns([2, 3], gap="large") if begun else (st.container(key="course_text"), None)
    with text:
        st.markdown(f"##### {exercise.id} {exercise.title}")
        st.markdown(exercise.text)
        _prediction(where, exercise, begun)
        if begun:
            _task(where, exercise)
    if live is not None and exercise.start is not None:
        with live:
            controls(run, exercise)
            refresh.ticking(_tick, run.tick_s(SECONDS, SECONDS_PAUSED))
    elif live is not None:
        with live:
            _on_paper(where, exercise)


def _prediction(where: Place, exercise: Exercise, begun: bool) -> None:
    """Asked before the run begins, and compared after; it can be changed at any time."""
    asked, key = exercise.prediction, f"predict_{exercise.id}"
    picked = where.progress.predicted.get(exercise.id)
    if picked is not None and picked >= len(asked.options):
        picked = None
    st.session_state[key] = picked
    with st.container(border=True, key="course_prediction"):
        st.radio(
            titled(_("What do you expect?"), asked.question, " "),
            range(len(asked.options)),
            format_func=asked.options.__getitem__,
            key=key,
            on_change=_predict,
            args=(exercise.id, key),
        )
        if exercise.id in where.progress.solved and picked is not None:
            sign = ":material/check:" if picked == asked.measured else ":material/info:"
            st.markdown(f"{sign} " + titled(_("Measured"), f"{asked.options[asked.measured]}. {asked.after}", ": "))
    if not begun:
        st.button(
            _("Begin"),
            key="begin",
            type="primary",
            icon=":material/play_arrow:",
            disabled=picked is None,
            help=_("Sets up the run of this exercise; it waits for you.") if picked is not None else _("First say what you expect."),
            on_click=begin,
            args=(exercise,),
        )  # fmt: skip


def titled(title: str, text: str, between: str = "  \n") -> str:
    """Markdown: the title in bold, then the text."""
    return f"**{title}**{between}{text}"


def begin(exercise: Exercise) -> None:
    """Set the start state; the run waits."""
    course_run().begin_exercise(exercise)
    place().progress.opened[exercise.id] = 1
    st.session_state[TOLD] = exercise.id in place().progress.solved


def _predict(exercise: str, key: str) -> None:
    if st.session_state[key] is not None:
        place().progress.predicted[exercise] = st.session_state[key]


def _task(where: Place, exercise: Exercise) -> None:
    st.markdown(titled(_("Task"), exercise.task))
    answers.draw(course_run(), exercise)
    _hints(where, exercise)
    if exercise.id not in where.progress.solved:
        return
    with st.container(key="course_conclusion"):
        steps = where.progress.solved[exercise.id]
        solved = _("Solved after {n} steps.").format(n=steps) if exercise.deadline else _("Solved.")
        st.success(titled(solved, exercise.conclusion, " "), icon=":material/check_circle:")
        _receipt(course_run(), exercise, where.progress.predicted.get(exercise.id))
        lesson = lesson_of(where.lesson or 1)
        last = where.part == len(lesson.exercises)
        st.button(
            _("On to the quiz") if last else _("Next exercise"),
            key="course_next",
            icon=":material/arrow_forward:",
            type="primary",
            on_click=where.go,
            args=(lesson.number, QUIZ if last else int(where.part) + 1),
        )


def _receipt(run: CourseRun, exercise: Exercise, prediction: int | None) -> None:
    """The receipt to take away, while the run that solved it is there. It is made when it is asked for."""
    if run.solved_at is None or (run.rows is None and exercise.start is not None):
        return
    st.download_button(
        _("Receipt"),
        data=lambda: run.receipt(engine(), prediction).encode(),
        file_name=f"moe_viz-exercise-{exercise.id}.receipt.json",
        mime="application/json",
        icon=":material/receipt_long:",
        help=_("A small file without your name. Anybody can check it: moe-viz verify FILE plays the run again."),
        key="course_receipt",
        on_click="ignore",
    )


def _hints(where: Place, exercise: Exercise) -> None:
    """One after the other, as far as they have been asked for."""
    n_open = where.hints.get(exercise.id, 0)
    for number, hint in enumerate(exercise.hints[:n_open], 1):
        st.caption(titled(_("Hint {n}").format(n=number), hint, " · "))
    if n_open < len(exercise.hints):
        st.button(
            _("A hint ({n} of {all})").format(n=n_open + 1, all=len(exercise.hints)),
            key="course_hint",
            icon=":material/lightbulb:",
            type="tertiary",
            on_click=_open_hint,
            args=(exercise.id, n_open + 1),
        )


def _open_hint(exercise: str, n_open: int) -> None:
    place().hints[exercise] = n_open


def _tick() -> None:
    run = course_run()
    refresh.begin_tick(run.tick_s(SECONDS, SECONDS_PAUSED))
    if run.exercise is None:
        return
    shown = run.poll() or run.latest
    tell(run)
    if shown is None or run.warming:
        st.info(_("The training process is starting…") if shown is None else _warming(run, shown))
        return
    if shown.snapshot.message and shown.snapshot.state in ("diverged", "failed"):
        st.error(in_words(shown.snapshot.message), icon=":material/error:")
    if run.shown is not None and st.session_state.get(SHOWN) != run.run_id:
        st.session_state[SHOWN] = run.run_id
        st.rerun()  # what it shows stands beside the text, which does not tick
    if run.twin_id is not None:
        st.caption(_("The twin is trained meanwhile; what is compared with it is not known yet."))
    found = run.judge()
    with st.container(key="course_terms", gap="small"):
        for term in found:
            st.markdown(term_in_words(term, run.config))
        _deadline(run, run.exercise)
    _picture(run, shown)
    _settle(run, run.exercise)


def _warming(run: CourseRun, shown: Update) -> str:
    return _("The model is trained for this exercise first: step {n} of {all}.").format(
        n=min(shown.snapshot.step, run.warming), all=run.warming
    )


def _deadline(run: CourseRun, exercise: Exercise) -> None:
    if not exercise.deadline:
        return
    text = _("{n} of {all} steps").format(n=run.steps, all=exercise.deadline)
    if run.solved_at is not None:
        text = _("Solved after {n} steps.").format(n=run.solved_at)
    elif run.steps >= exercise.deadline:
        text = _("Not in {all} steps. It costs nothing: begin again.").format(all=exercise.deadline)
    st.progress(min(run.steps / exercise.deadline, 1.0), text=text)


def _settle(run: CourseRun, exercise: Exercise) -> None:
    """Solved: the whole page hears of it once. At the deadline the run waits: what it did later would not count."""
    if run.solved_at is not None and (exercise.id not in place().progress.solved or not st.session_state.get(TOLD)):
        place().progress.solved.setdefault(exercise.id, run.solved_at)
        st.session_state[TOLD] = True
        run.play(False)
        st.rerun()
    if run.solved_at is None and run.playing and exercise.deadline and run.steps >= exercise.deadline:
        run.play(False)
        st.rerun()


def _picture(run: CourseRun, shown: Update) -> None:
    moment = shown.snapshot
    n_layers = len(moment.traces)
    run.layer = min(run.layer, n_layers - 1)
    with head(moment.step, key="course_head"):
        run.layer = layer_picker("course_layer", run.layer, n_layers)
    if st.session_state.get(WORDS_ONLY):
        show_table(figures(moment.metrics, run.layer), key="course_figures")
        return
    routing_view(
        moment.traces,
        layer=run.layer,
        key="routing",
        images=moment.extras.get("images"),
        points=moment.extras.get("points"),
        labels=translated(_, residual=TASK_OPTIONS[moment.config["task"]].residual),
        group_name=_,
        height=HEIGHT,
    )


def figures(metrics: dict[str, Any], layer: int) -> pd.DataFrame:
    """What the picture shows, as a table: every number of the moment, of one layer where it is of layers, per expert where it is of experts."""
    rows: list[tuple[str, Any]] = []
    for name, value in metrics.items():
        if name not in METRICS:
            continue
        title = _(METRICS[name].title)
        if isinstance(value, list):
            value = value[layer] if layer < len(value) else None
        if isinstance(value, list):
            expert = _("expert {n}")
            rows += [(f"{title}, {expert.format(n=e + 1)}", one) for e, one in enumerate(value)]
        else:
            rows.append((title, value))
    return pd.DataFrame(rows, columns=[_("quantity"), _("value")])


def _on_paper(where: Place, exercise: Exercise) -> None:
    """An exercise without a run: the answer alone is checked."""
    run = course_run()
    for term in run.judge_on_paper():
        st.markdown(term_in_words(term, run.config))
    if run.solved_at is not None and exercise.id not in where.progress.solved:
        where.progress.solved[exercise.id] = 0
        st.rerun()

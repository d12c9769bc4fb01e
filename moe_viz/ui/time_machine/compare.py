"""Beside and below the time machine's picture: branches that start from an earlier moment, and two pinned moments compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts import counts
from moe_viz.components.pack import FIRST_EXPERT
from moe_viz.engine.protocol import EngineError
from moe_viz.records import specialisation
from moe_viz.records.moved_tokens import moved_by_domain, who_moved
from moe_viz.records.numbers import number
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import change, plain
from moe_viz.spec.knobs import is_live
from moe_viz.ui.i18n import _
from moe_viz.ui.session.run import SessionRun, current
from moe_viz.ui.time_machine.sources import Branch, Source, TimeMachine, lab_source, session_time_machine, start_branch
from moe_viz.ui.widgets.charts import draw_chart
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.tables import show_table
from moe_viz.ui.words import in_words, show

NOT_FOR_BRANCHES = ("speed",)
PERCENT = "%.1f %%"


def compare() -> None:
    """What changed between A and B."""
    machine = session_time_machine()
    st.subheader(_("Compare two moments"), anchor=False)
    source = lab_source(machine)
    machine.lacks_moments = len(source.steps) < 2
    if machine.lacks_moments:
        st.info(_("Comparing needs two kept moments; this run has {n}.").format(n=len(source.steps)))
        return
    a, b = machine.pins["A"], machine.pins["B"]
    if a is None or b is None:
        left = _("Pin two moments, A and B, on the track above to see which tokens changed their expert in between.")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(left)
            st.button(_("Pin the first and the newest"), key="pin_both", on_click=_pin_both, args=(machine,))
        return
    then, now = (source.traces_at(step)[machine.layer] for step in (a, b))
    try:
        table = who_moved(then, now)
    except ValueError:
        st.info(
            _("A and B watched different probe batches (the task changed in between), so tokens cannot be matched.")
        )
        return
    st.caption(_("Layer {layer}, A = step {a}, B = step {b}.").format(layer=machine.layer + 1, a=then.step, b=now.step))
    same, chance = specialisation.saturation(then, now), _chance(now)
    left, right = st.columns([1, 2])
    with left:
        st.metric(
            _("Saturation: choices at B that were made at A already"),
            _percent(same),
            help=_(
                "Mean over tokens of |S(A) ∩ S(B)| / |S(B)|, S = the token's chosen experts (OLMoE). By chance: about {chance}."
            ).format(chance=_percent(chance)),
        )
        st.metric(_("Tokens that changed their first expert"), f"{len(table)} / {now.n_tokens}")
        show_table(
            moved_by_domain(then, now).assign(
                group=lambda moved: moved["group"].map(_), **_in_percent("moved", "saturation")
            ),
            key="moved_by_domain",
            column_config={
                "group": _("domain"),
                "tokens": _("tokens"),
                "moved": st.column_config.NumberColumn(_("moved"), format=PERCENT),
                "saturation": st.column_config.NumberColumn(_("saturation"), format=PERCENT),
            },
        )
    with right:
        _settled(source, machine)
        if table.empty:
            st.info(_("No token changed its first expert between A and B."))
            return
        numbered = table.drop(columns="index").assign(
            group=table["group"].map(_),
            **_in_percent("gate_before", "gate_after"),
            **{
                name: (table[name] + FIRST_EXPERT).where(table[name] >= 0).astype("Int64")
                for name in ("before", "after")
            },
        )
        show_table(
            numbered,
            height=220,
            key="who_moved",
            column_config={
                "token": _("token"),
                "group": _("domain"),
                "position": _("position"),
                "before": _("expert at A"),
                "after": _("expert at B"),
                "gate_before": st.column_config.NumberColumn(_("its gate at A"), format=PERCENT),
                "gate_after": st.column_config.NumberColumn(_("its gate at B"), format=PERCENT),
            },
        )


def _in_percent(*names: str) -> dict[str, Callable[[pd.DataFrame], Any]]:
    """Columns of shares as percentages, which a table can write with equally many digits each."""
    return {name: lambda table, name=name: 100 * table[name] for name in names}


def _pin_both(machine: TimeMachine) -> None:
    """The first and the newest as they are when the button is pressed."""
    steps = lab_source(machine).steps
    machine.pin(A=steps[0], B=steps[-1])


def _settled(source: Source, machine: TimeMachine) -> None:
    try:
        steps, choices = source.choices(machine.layer)
    except EngineError as error:
        st.info(in_words(error))
        return
    if len(steps) < 2:
        st.info(_("The fluctuation curve needs two kept moments; this run has {n}.").format(n=len(steps)))
        return
    alt = _("Share of tokens that have stayed with one expert since each step.")
    draw_chart(counts.settled(choices, steps, _), "settled", alt)


def fork() -> None:
    """Start again from an earlier moment with one knob changed."""
    run, machine = current(), session_time_machine()
    st.markdown("**" + _("Fork from the moment shown") + "**")
    if run.run_id is None or run.lost:
        st.info(
            _(
                "A recorded run has no checkpoints, so nothing can branch off from it. Train a run of your own in the lab first."
            )
        )
        return
    st.caption(
        _(
            "A branch starts from the last checkpoint (◆ on the track) up to the moment shown, with that checkpoint's settings and one knob changed."
        )
        + " "
        + _("Without a change it repeats the original exactly.")
    )
    words = [None, *(w for w, info in run.config.fields().items() if is_live(info) and w not in NOT_FOR_BRANCHES)]
    if machine.draft is None or machine.word not in words:
        machine.draft, machine.word = run.config, machine.word if machine.word in words else words[1]
    with st.container(horizontal=True, vertical_alignment="bottom", key="fork_form"):
        word = st.selectbox(
            _("Knob to change"),
            words,
            index=words.index(machine.word),
            format_func=lambda w: _("none (repeat the run)") if w is None else _(run.config.fields()[w].title),
            key="fork_word",
        )
        if word != machine.word:
            machine.word, machine.draft = word, run.config
        if word is not None:
            with st.container(key="fork_value"):
                control(word, machine.draft, lambda turned: _turn(run, machine, turned))
        look: dict[str, Any] = {"type": "primary", "icon": ":material/alt_route:"}
        st.button(_("Fork from here"), key="fork", on_click=_fork, args=(run, machine, word), **look)
    if machine.problem is not None:
        st.error(in_words(machine.problem), icon=":material/error:")
    if machine.branch is not None:
        _branch(run, machine, machine.branch)


def _turn(run: SessionRun, machine: TimeMachine, word: str) -> None:
    try:
        machine.draft = change(run.config, **{word: st.session_state[word]})
    except ValueError as error:
        machine.problem = EngineError(plain(error, _))


def _branch(run: SessionRun, machine: TimeMachine, branch: Branch) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="branch"):
        what = _("no knob changed")
        if branch.word is not None:
            title = _(run.config.fields()[branch.word].title) if branch.word in run.config.fields() else branch.word
            what = f"{title} = {show(branch.word, branch.value)}"
        text = _("The branch left the run at step {start} (asked for: step {asked}); {what}.")
        st.markdown(text.format(start=branch.start, asked=branch.asked, what=what))
        label = _("Pause the branch") if branch.run.playing else _("Train the branch on")
        st.button(label, key="play_branch", on_click=branch.run.toggle)
        st.button(_("Remove the branch"), key="remove_branch", on_click=machine.leave)


def _fork(run: SessionRun, machine: TimeMachine, word: str | None) -> None:
    source = lab_source(machine)
    step = source.nearest(machine.at) if source.steps else run.look.snapshot.step
    draft = machine.draft or run.config
    start_branch(run, machine, step, word, None if word is None else draft.flat()[word])


def _chance(trace: RoutingTrace) -> float:
    """k/E for this trace: what two unrelated choices would share."""
    chosen = specialisation.membership(trace)
    return float(chosen.sum(1).mean() / trace.n_experts) if trace.n_tokens else math.nan


def _percent(value: float) -> str:
    return number(100 * value, ".1f") + (" %" if math.isfinite(value) else "")

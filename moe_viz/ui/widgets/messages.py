"""What a page tells its reader beside the pictures: what the engine said, the place in line on a full server, what of a link could not be used."""

from __future__ import annotations

from typing import Any

import streamlit as st

from moe_viz.engine.protocol import Full
from moe_viz.ui.i18n import _
from moe_viz.ui.session.fit import FitRun
from moe_viz.ui.session.permalink import Problem
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_group import RunGroup
from moe_viz.ui.session.watched import Watched
from moe_viz.ui.widgets import notices
from moe_viz.ui.words import in_words


def tell(run: Watched[Any]) -> None:
    """Say once what the engine has said (`run.notices`), and as long as it lasts that the training process is gone (`run.lost`), that the
    reader stands in line (`run.waiting`), or why nothing is started (`run.refused`).

    A run that has got its id, or other settings, is told to the whole page: its address and its controls.
    """
    if run.changed:
        run.changed = False
        st.rerun()
    for notice in run.notices:
        notices.say(notice)
    run.notices.clear()
    # always there, so that what stands below stays where it is when trouble begins or ends
    with st.container(key="told"):
        notices.line()
        if run.lost:
            with st.container(key="worker_lost", horizontal=True, vertical_alignment="center"):
                lost = _(
                    "The training process stopped. What it trained was saved a few seconds ago; nothing else is lost."
                )
                st.warning(lost, icon=":material/warning:")
                st.button(_("Resume"), key="resume", type="primary", on_click=run.resume)
        if run.waiting is not None:
            with st.container(key="in_line"):
                st.info(place_in_line(run.waiting), icon=":material/groups:")
        if run.refused is not None:
            st.error(in_words(run.refused), icon=":material/error:")


def place_in_line(full: Full) -> str:
    """The place, how long it may take, and that nothing needs to be done."""
    lines = [in_words(full)]
    if full.wait_s is not None:
        minutes = full.wait_s / 60
        lines.append(
            _("It may take about {n} min.").format(n=f"{minutes:.0f}")
            if minutes >= 1.5
            else _("It may take about a minute.")
        )
    return " ".join([*lines, _("Leave this page open: it enters by itself.")])


def explain_link(run: SessionRun | RunGroup | FitRun) -> None:
    """Tell what a link has opened: a run, or several in lock-step, that others have, too, or less than it says."""
    _explain_sharing(run)
    explain_problems(run.problems)


def _explain_sharing(run: SessionRun | RunGroup | FitRun) -> None:
    if not run.shared:
        return
    if isinstance(run, RunGroup):
        text = _(
            "**You opened these runs by their link.** Everyone who has the link sees the same runs and can turn their knobs."
        )
        copy = _("Begin runs of my own")
    else:
        text = _(
            "**You opened this run by its link.** Everyone who has the link sees the same run and can turn its knobs."
        )
        copy = _("Make a copy of my own") if run.kept else _("Begin a run of my own")
    with st.container(key="shared_run", horizontal=True, vertical_alignment="center"):
        st.markdown(text, width="stretch")
        st.button(copy, key="copy_run", on_click=run.become_own_copy)
        st.button(_("Got it"), key="dismiss_shared", on_click=run.accept_sharing, type="tertiary")


def explain_problems(problems: list[Problem]) -> None:
    """Tell about the link's problems until the reader dismisses them. Values are shown as code, so that nothing in them is interpreted."""
    if not problems:
        return
    with st.container(key="link_problems", border=True):
        unused = [problem for problem in problems if not problem.since]
        if changes := [problem for problem in problems if problem.since]:
            st.markdown(_("**This link was made by an earlier version.** Since then:"))
            for change in changes:
                st.markdown(f"- {_(change.since)}")
        if unused:
            st.markdown(_("**Part of this link could not be used.** Everything else is as the link says."))
        for problem in unused:
            if problem.rule:
                text = _("{word} = {value} is not allowed ({word} can be: {rule}). Used instead: {used}.")
            else:
                text = _("{word} = {value} is not a knob of this task and gate; it was left out.")
            st.text("• " + text.format(word=problem.word, value=problem.value, rule=problem.rule, used=problem.used))
        st.button(_("Got it"), key="dismiss_problems", on_click=problems.clear)

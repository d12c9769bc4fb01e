"""What of a link could not be used: which word, which value, what is allowed, what stands there instead."""

from __future__ import annotations

import streamlit as st

from moe_viz.ui.i18n import _
from moe_viz.ui.session import LabRun


def explain_link(run: LabRun) -> None:
    """Tell about the link's problems until the reader dismisses them. Values are shown as code, so that nothing in them is interpreted."""
    if not run.problems:
        return
    with st.container(key="link_problems", border=True):
        st.markdown(_("**Part of this link could not be used.** Everything else is as the link says."))
        for problem in run.problems:
            if problem.rule:
                text = _("{word} = {value} is not allowed ({word} can be: {rule}). Used instead: {used}.")
            else:
                text = _("{word} = {value} is not a knob of this task and gate; it was left out.")
            st.text("• " + text.format(word=problem.word, value=problem.value, rule=problem.rule, used=problem.used))
        st.button(_("Got it"), key="dismiss_problems", on_click=run.problems.clear)

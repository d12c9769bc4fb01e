"""The part *Worked through*: claims as calculations that the reader can do again, each step shown."""

from __future__ import annotations

import streamlit as st

from moe_viz.systems.worked import WORKED, Worked
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _


def draw() -> None:
    """One after the other."""
    st.markdown(
        _(
            "Each line is fit for a pocket calculator: the words, the numbers, the result. Nothing is rounded on the way."
        )
    )
    for make in WORKED:
        show_worked(make())


def show_worked(worked: Worked) -> None:
    """One calculation as a numbered table."""
    st.markdown(f"##### {_(worked.title)}")
    st.markdown(escape_markdown(_(worked.claim), 500))
    head = ("", _("what"), _("calculation"), _("result"))
    lines = [f"| {' | '.join(head)} |", "|--:|:--|:--|--:|"]
    for n, line in enumerate(worked.lines, 1):
        cells = (str(n), escape_markdown(_(line.words), 300), escape_markdown(line.formula, 300), f"**{line.result}**")
        lines.append(f"| {' | '.join(cells)} |")
    st.markdown("\n".join(lines))
    st.markdown(escape_markdown(_(worked.ending), 500))
    st.caption(_("Source: {source}").format(source=escape_markdown(worked.source)))

"""The page *Sizes*: how large the published systems are, what they take to run, a reader's own, and the live model beside them."""

from __future__ import annotations

import streamlit as st

from moe_viz.records.numbers import number
from moe_viz.systems import count
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.session.run import existing
from moe_viz.ui.sizes import cards, own, table, worked
from moe_viz.ui.sizes.state import PARTS, Live, Sizes, session_sizes, write_address
from moe_viz.ui.widgets import glossary

WORDS = ("expert", "router", "gate", "top_k", "token")
CSS = """
<style>
.st-key-sizes_part { margin-top: 0.9rem; }
.st-key-own_fields, .st-key-own_more_fields, .st-key-memory_controls { flex-wrap: wrap; }
.stMainBlockContainer [data-testid="stMarkdownContainer"] table { font-variant-numeric: tabular-nums; }
.stMainBlockContainer [data-testid="stMarkdownContainer"]:has(> table) { overflow-x: auto; }
</style>
"""


def draw() -> None:
    """Sizes: the systems of the field, their memory, their traffic, and your own."""
    theme.apply()
    st.html(CSS)
    page = session_sizes()
    look_at_live(page)
    st.session_state["sizes_part"] = page.part
    st.segmented_control(
        _("Part"),
        list(PARTS),
        format_func=lambda part: _(PARTS[part]),
        key="sizes_part",
        label_visibility="collapsed",
        required=True,
        on_change=lambda: setattr(page, "part", st.session_state["sizes_part"]),
    )
    live_line(page)
    if page.part == "sizes":
        table.draw(page)
    elif page.part == "own":
        own.draw(page)
    elif page.part == "cards":
        cards.draw()
    else:
        worked.draw()
    glossary.words(*WORDS, key="sizes")
    write_address(page)


def look_at_live(page: Sizes) -> None:
    """Have the worker count the tensors of the session's run, once for each beginning of it; none is made for this."""
    run = existing()
    if run is None or run.run_id is None:
        page.live, page.live_of = None, None
        return
    of = (run.run_id, run.config.flat())
    if page.live_of == of:
        return
    size = run.ask(lambda engine: engine.model_size(run.open_id), lambda _error: None)
    page.live = None if size is None else Live.of(run.config, size)
    page.live_of = None if size is None else of


def live_line(page: Sizes) -> None:
    """The live model in one sentence: by its tensors and by the rule."""
    if page.live is None:
        st.caption(_("No model trains in this session: once one does in the lab, it stands here as a row of its own."))
        return
    tensors, rule = page.live.size.total, count(page.live.system).total
    words = (
        _(
            "**The live model in the lab**: {n} numbers in its tensors, counted by the training process; the rule gives the same."
        )
        if tensors == rule
        else _("**The live model in the lab**: {n} numbers in its tensors, but {rule} by the rule: please report this.")
    )
    st.markdown(words.format(n=number(tensors, ",d"), rule=number(rule, ",d")))

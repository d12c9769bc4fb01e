"""A page on a big screen (`present=1` in its address, or the key F): the sentence, the picture, the strips and the knobs in use, nothing else.

Text is large enough for the last row of a classroom: at 1080p no text has fewer than 20 pixels. Keys are Streamlit's shortcuts of buttons,
which it shows on them and which stay off while somebody types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from moe_viz.spec.describe import bounds
from moe_viz.spec.routers import OFFERED
from moe_viz.ui.i18n import _
from moe_viz.ui.session.address import PRESENTS
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.watched import Watched
from moe_viz.ui.words import show

PAGES = ("", "time_machine", "collapse")
"""Names in the address of the pages that can be shown so; "" is the lab."""
CSS = """
<style>
.stAppHeader, .stSidebar, [data-testid="stExpandSidebarButton"], .stElementToolbar, [class*="st-key-take_"],
.st-key-within_reach, .st-key-seen, .st-key-seen_alone, .st-key-pin_a, .st-key-pin_b, .st-key-moment_options, .st-key-moment_done,
.st-key-scene_tables, .st-key-scene_log, [class*="st-key-act_"] [data-testid="stCaptionContainer"] { display: none !important; }
.stMainBlockContainer { padding-top: 0.8rem !important; padding-bottom: 0.8rem !important; }
.st-key-act_rescue label { display: none; }
.st-key-present_bar button p { white-space: nowrap; }
[data-testid="stLayoutWrapper"]:has(> .st-key-present_bar) { margin-bottom: -1.6rem; }
@media (min-width: 1100px) { html { font-size: 19px; } }
@media (min-width: 1400px) { html { font-size: 22px; } }
@media (min-width: 1800px) { html { font-size: 29px; } }
@media (min-width: 2400px) { html { font-size: 38px; } }
@media (min-width: 3600px) { html { font-size: 58px; } }
</style>
"""


def is_on() -> bool:
    """Whether the page is shown so now."""
    return bool(st.session_state.get(PRESENTS))


def stay_only_on(page: str) -> None:
    """A page that cannot be shown so (page: its name in the address) is not, whatever its address says: nothing there would lead back."""
    if page not in PAGES:
        st.session_state[PRESENTS] = False


def toggle() -> None:
    """On where it was off, off where it was on."""
    st.session_state[PRESENTS] = not is_on()


def begin() -> None:
    """The page's part of it: the rules while it is on; else what switches it on, in the sidebar."""
    if is_on():
        st.html(CSS)
        return
    with st.sidebar:
        st.button(
            _("Present"),
            key="present",
            icon=":material/present_to_all:",
            shortcut="F",
            on_click=toggle,
            help=_("For a big screen: the sentence, the picture and the knobs in use, in large letters."),
        )


def bar(run: Watched[Any] | None, more: Callable[[], None] | None = None) -> None:
    """While it is on: play, one step, what the page adds, and the way back, in one row that is also the list of the keys."""
    if not is_on():
        return
    with st.container(key="present_bar", horizontal=True, vertical_alignment="center", gap="xsmall"):
        if run is not None:
            icon = ":material/pause:" if run.playing else ":material/play_arrow:"
            label = _("Pause") if run.playing else _("Play")
            st.button(label, icon=icon, key="present_play", type="primary", shortcut="Space", on_click=run.toggle)
            st.button(
                _("Step"), icon=":material/skip_next:", key="present_step", shortcut="Right", on_click=run.step_once
            )
        if more is not None:
            more()
        st.button(_("Leave"), key="present", icon=":material/close:", shortcut="F", type="tertiary", on_click=toggle)


def gate_and_k(run: SessionRun) -> None:
    """The next gate, and one expert more or fewer for each token."""
    gates, now = OFFERED, run.config.router.name
    after = gates[(gates.index(now) + 1) % len(gates)]
    st.button(
        show("router", now),
        key="present_gate",
        icon=":material/call_split:",
        shortcut="G",
        help=_("The next gate: {gate}").format(gate=show("router", after)),
        on_click=lambda: run.turn(router=after),
    )
    k = run.config.flat().get("k")
    if k is None:
        return
    low, high = bounds(run.config.fields()["k"])
    least, most = int(low or 1), min(int(high or run.config.n_experts), run.config.n_experts)
    st.button("k − 1", key="present_less", shortcut="J", disabled=k <= least, on_click=lambda: run.turn(k=k - 1))
    st.button("k + 1", key="present_more", shortcut="K", disabled=k >= most, on_click=lambda: run.turn(k=k + 1))

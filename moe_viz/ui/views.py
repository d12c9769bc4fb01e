"""What stands below the picture: slim strips on one time axis, then one view at a time, each answering one question."""

from __future__ import annotations

import streamlit as st

from moe_viz.engine.protocol import Update
from moe_viz.ui.i18n import _
from moe_viz.ui.own_text import own_text
from moe_viz.ui.session import LabRun


def strips(shown: Update, layer: int) -> None:
    pass


def tabs(run: LabRun, shown: Update, layer: int, is_live: bool) -> None:
    view = st.segmented_control(
        _("View"),
        ["balance", "text"],
        format_func=lambda v: {"balance": _("Balance"), "text": _("Your text")}[v],
        default="balance",
        key="view",
        label_visibility="collapsed",
    )
    if view == "text":
        own_text(run, layer)

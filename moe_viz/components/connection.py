"""The page's end of the line to the server: it answers each picture once it is on the page, and says so when none comes any more.

Mounted by whatever keeps a page ticking, as the last thing drawn. Draws nothing while all is well. The code is in assets/components/connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.spec.knobs import N_

LABELS: dict[str, str] = {
    "seconds": N_("No news for {n} s."),
    "late": N_("The line to the server is slow or dead."),
    "cut": N_("The line to the server is cut."),
    "step": N_("The page still shows: {step}."),
    "old": N_("What the page shows is as old as that."),
    "waiting": N_("Not heard by the server yet: {buttons}."),
    "lost": N_("Pressed while the line was dead, and lost: {buttons}. Please press again."),
    "cookies": N_(
        "This browser keeps no cookies for this page: after a reload another run begins, My runs stays empty, and no file can be handed in."
    ),
    "close": N_("Got it"),
}
NAME = "moe_viz_connection"
_VERSION, _SOURCE = view_script("connection")
_mount = component(NAME, js=loader(), html='<div class="mv"></div>')


def connection(
    picture: int,
    *,
    key: str,
    every: float,
    heard: Mapping[str, int],
    announced: str = "",
    labels: Mapping[str, str] | None = None,
) -> None:
    """Draw it. picture: a number that differs from picture to picture; the view's state `painted` is the number of the last one on the page.

    every: seconds between two pictures while all is well.  heard: key of a button -> how often the server has heard it, in this session.
    announced: what a screen reader says when it changes.  labels: translated `LABELS`.
    """
    held = st.session_state.get(key) or {}
    data: dict[str, Any] = {
        "picture": picture,
        "every": every,
        "heard": dict(heard),
        "announced": announced,
        "labels": {**LABELS, **(labels or {})},
        "script": {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE},
    }
    _mount(
        key=key,
        data=as_bytes(data),
        default={"painted": None, "script": ""},
        on_painted_change=_ignore,
        on_script_change=_ignore,
    )


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

"""How far a reader is in the course: kept in the browser alone, so that no account is needed and nothing personal stays on the server.

The browser tells what it has when the page opens; from then on each change is written back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.components.bundle import bundle

KEY = "course_progress"
LONGEST = 60_000
"""Characters that are read back."""
_mount = component("moe_viz_course_progress", js=bundle("course_progress"))


def keep(progress: dict[str, Any] | None, on_told: Callable[[], None]) -> None:
    """Have the browser keep `progress` (None: first tell what it has). on_told: it has told, see `told`. Draws nothing."""
    text = None if progress is None else json.dumps(progress, ensure_ascii=False)
    _mount(key=KEY, data={"text": text}, on_told_change=on_told)


def told() -> dict[str, Any]:
    """What the browser has kept; {} where that is nothing, or nothing that can be read. Anybody can send anything in its place."""
    text = (st.session_state.get(KEY) or {}).get("told")
    if not isinstance(text, str) or len(text) > LONGEST:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

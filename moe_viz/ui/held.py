"""Let a widget show a value that the page keeps elsewhere: set it where the browser does not show it yet, and only there.

A widget whose value is set is told to the browser as "set to", and that undoes what the reader does to it in the same moment: on a page that
draws itself several times a second, one click in twenty was lost.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

STATE = "held_widgets"


def hold(key: str, value: Any, shape: Any = None) -> None:
    """Let the widget `key`, drawn next, show `value`. `shape`: what the meaning of its state rests on, such as its options and their language."""
    context = get_script_run_ctx()
    page = context.page_script_hash if context else ""  # another page's widget of that key is another widget
    drawn = (page, shape)
    held = st.session_state.setdefault(STATE, {})
    if key not in st.session_state or st.session_state[key] != value or held.get(key) != drawn:
        st.session_state[key] = value
    held[key] = drawn

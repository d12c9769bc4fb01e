"""Let a widget show a value that the page keeps elsewhere.

A widget whose value is set is told to the browser as "set to", and that undoes what the reader does to it in the same moment. So a part of the
page that draws itself, several times a second, sets only what is new: one click in twenty was lost. A run of the whole page sets everything,
because nobody knows whether the browser has received what an earlier run had set.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def hold(key: str, value: Any) -> None:
    """Let the widget `key`, drawn next, show `value`."""
    context = get_script_run_ctx()
    by_itself = context is not None and context.fragment_ids_this_run
    if not by_itself or key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value

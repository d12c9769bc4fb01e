"""Buttons whose act is done by the server before anything is drawn, so that no other run of the page can swallow the press.

A button that is read while the page is drawn (`if st.button(...)`) is missed where that drawing is stopped before it gets there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from moe_viz.ui.server.streamlit_patches import in_a_part

DONE = "pressed_in_a_part"


def action_button(label: str, act: Callable[[], Any], key: str, **look: Any) -> None:
    """A button in a part of the page that is drawn by itself (a fragment, a dialog): `act` is called, then the whole page drawn anew."""
    st.button(label, key=key, on_click=_do, args=(act,), **look)
    if st.session_state.pop(DONE, False) and in_a_part():
        st.rerun()


def _do(act: Callable[[], Any]) -> None:
    act()
    st.session_state[DONE] = True

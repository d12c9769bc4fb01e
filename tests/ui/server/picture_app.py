"""A page with a live part that is one picture, numbered, and a button: what may be on its way to a browser at once."""

import streamlit as st

from moe_viz.ui.server import streamlit_patches
from moe_viz.ui.widgets import refresh

streamlit_patches.guard()
seen = st.session_state
seen.setdefault("pressed", 0)
seen.setdefault("drawn", 0)


def press() -> None:
    seen.pressed += 1


def tick() -> None:
    seen.drawn += 1
    with st.container(key="picture"):
        st.text(f"picture {seen.drawn}, pressed {seen.pressed}")


st.button("Press", key="press", on_click=press)
with st.container(key="words"):
    st.text(f"pressed {seen.pressed}")
refresh.ticking(tick, 0.25)

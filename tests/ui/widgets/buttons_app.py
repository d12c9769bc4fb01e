"""A page with a part that draws itself: a button in it changes what stands outside. Guarded against races as every server of ours is."""

import time

import streamlit as st

from moe_viz.ui.server import streamlit_patches
from moe_viz.ui.widgets.buttons import action_button

streamlit_patches.guard()
kept = st.session_state.setdefault("kept", {"pressed": 0})


@st.fragment(run_every=0.05)
def part() -> None:
    action_button("Press", lambda: kept.update(pressed=kept["pressed"] + 1), key="press")
    st.text(f"tick {time.monotonic()}")


part()
with st.container(key="counts"):
    st.text(f"{kept['pressed']} presses")

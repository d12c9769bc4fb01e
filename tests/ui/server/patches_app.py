"""A page that ticks while it is pressed: what `moe_viz.ui.server.streamlit_patches` has to bear. Each press and each turn of its knob is counted."""

import os
import time

import streamlit as st

from moe_viz.ui.server import streamlit_patches

if os.environ.get("GUARDED") == "1":
    streamlit_patches.guard()
seen = st.session_state
seen.setdefault("called", 0)
seen.setdefault("turned", 0)


def count(name: str, seconds: float = 0) -> None:
    seen[name] += 1
    time.sleep(seconds)  # as a call to the training process does


@st.fragment(run_every=0.03)
def tick() -> None:
    time.sleep(0.01)
    st.text(f"tick {time.monotonic()}")


tick()
st.button("Press", key="press", on_click=count, args=("called", 0.01))
st.slider("Knob", 0, 100, 0, key="knob", on_change=count, args=("turned",))
st.button("Set", key="set", on_click=lambda: seen.update(knob=50))
with st.container(key="counts"):
    st.text(f"{seen.called} {seen.turned} {seen.knob}")

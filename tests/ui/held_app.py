"""A page with a part that draws itself: a widget in it shows a value kept elsewhere, a button in it changes what stands outside."""

import time

import streamlit as st

from moe_viz.ui.held import hold
from moe_viz.ui.press import press

kept = st.session_state.setdefault("kept", {"on": True, "pressed": 0})


@st.fragment(run_every=0.05)
def part() -> None:
    hold("on", kept["on"])
    st.toggle("On", key="on", on_change=lambda: kept.update(on=st.session_state["on"]))
    press("Press", lambda: kept.update(pressed=kept["pressed"] + 1), key="press")
    st.button("Turn on", key="turn_on", on_click=kept.update, kwargs={"on": True})
    st.text(f"tick {time.monotonic()}")


part()
st.button("Turn off", key="turn_off", on_click=kept.update, kwargs={"on": False})
with st.container(key="counts"):
    st.text(f"{kept['on']} {kept['pressed']}")

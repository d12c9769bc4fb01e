"""Time machine: play a run back and forth, compare two of its moments, and branch off from one with a changed knob."""

import streamlit as st

from moe_viz.ui import looking_back, style, time_machine

style.apply()
time_machine.live()
looking_back.compare()
with st.sidebar:
    looking_back.fork()

"""Collect garbage on a slow timer. Streamlit's own collection after every fragment run is off (see .streamlit/config.toml)."""

from __future__ import annotations

import gc
import threading

import streamlit as st

SECONDS = 30


@st.cache_resource(show_spinner=False)
def start() -> threading.Thread:
    """Start the timer once for the whole server. Freezing what is loaded by now keeps each collection short."""
    gc.collect()
    gc.freeze()
    stop = threading.Event()

    def sweep() -> None:
        while not stop.wait(SECONDS):
            gc.collect()

    thread = threading.Thread(target=sweep, name="garbage-collection", daemon=True)
    thread.start()
    return thread

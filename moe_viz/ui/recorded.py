"""The recorded run that fills the page until the reader's own model is alive. It is labelled as recorded wherever it is shown."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from moe_viz.engine.protocol import Update
from moe_viz.records import recording

FOLDER = Path(__file__).parents[2] / "assets" / "traces" / "lab"


@st.cache_resource(show_spinner=False)
def recorded() -> Update:
    """The shipped recording in the shape in which live updates come."""
    run = recording.load(FOLDER)
    return Update(run.snapshot, run.history.rows(limit=200), playing=False, epoch=run.history.epoch)

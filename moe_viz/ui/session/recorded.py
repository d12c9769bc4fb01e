"""The recorded run that fills the page until the reader's own model is alive. It is labelled as recorded wherever it is shown."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from moe_viz import paths
from moe_viz.engine.protocol import Update
from moe_viz.records import recording
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_

FOLDER = paths.ASSETS / "traces" / "lab"
SENTENCE = N_("This is a recorded run, while your own model starts.")
"""What the lab's page says instead of telling about a run of the reader's own."""
CALM = N_(
    "A recorded run that has learned for {n} steps. Yours has begun; it takes over when it has come as far, or at your first press."
)
"""The same on a first visit, which opens with something that has learned already."""
CALM_AT = N_(
    "A recorded run that has learned for {n} steps. Yours is at step {own}; it takes over when it has come as far, or at your first press."
)
"""The same once the reader's own run has made a step: it says that something trains while the picture rests."""
HEIGHT = 400
"""Pixels of the lab's picture, side by side."""


@st.cache_resource(show_spinner=False)
def recorded_run() -> recording.Recording:
    """The shipped recording. Knobs that have come since it was made stand in its config as they were then: at their defaults."""
    run = recording.load(FOLDER)
    config = RunConfig.from_flat(run.snapshot.config).flat()
    return replace(run, snapshot=replace(run.snapshot, config=config))


@st.cache_resource(show_spinner=False)
def recorded() -> Update:
    """The shipped recording in the shape in which live updates come."""
    run = recorded_run()
    return Update(run.snapshot, run.history.rows(limit=200), playing=False, epoch=run.history.epoch)

"""Charts on a page: one that updates in place, what it is drawn from, and the names of the tasks' metrics."""

from __future__ import annotations

import time

import streamlit as st

from moe_viz.charts.live import VegaChart
from moe_viz.engine.protocol import Update
from moe_viz.spec.knobs import N_
from moe_viz.ui.session.run import SessionRun

METRIC_NAMES = {
    "held_out_loss": N_("loss on held-out text"),
    "accuracy": N_("accuracy on held-out examples"),
    "nmse": N_("error on held-out points"),
}

CHARTS_S = 1.0
"""Between two drawings of the charts of a run that plays: they cost the page ten times as much as the picture above them, whose frames wait."""


def for_charts(run: SessionRun, shown: Update) -> Update:
    """What the charts are drawn from: `shown`, or for up to `CHARTS_S` an earlier moment of the same run with the same settings."""
    if run.charted is not None:
        made, of_run, held = run.charted
        same = (of_run, held.epoch, held.snapshot.config) == (run.run_id, shown.epoch, shown.snapshot.config)
        if shown.playing and same and time.monotonic() - made < CHARTS_S:
            return held
    run.charted = (time.monotonic(), run.run_id, shown)
    return shown


def draw_chart(chart: VegaChart, key: str, alt: str) -> None:
    """A chart that updates in place; `alt` says in words what it shows, for readers who do not see it."""
    st.vega_lite_chart(chart.arrow, chart.spec, key=key, alt=alt, height="content")

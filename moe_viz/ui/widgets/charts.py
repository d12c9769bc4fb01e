"""Charts on a page: one that updates in place, what it is drawn from, and the names of the tasks' metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from moe_viz.charts.style import enlarged, in_theme, nothing_can_drop
from moe_viz.charts.time_series import without_time_axis
from moe_viz.charts.vega import VegaChart
from moe_viz.engine.protocol import Update
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.spec.knobs import N_
from moe_viz.spec.routers import TokenChoice
from moe_viz.ui.session.fit import FitRun
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets import present

METRIC_NAMES = {
    "held_out_loss": N_("loss on held-out text"),
    "accuracy": N_("accuracy on held-out examples"),
    "nmse": N_("error on held-out points"),
}

LOSS_UNITS = {
    "held_out_loss": N_("nats per token"),
    "accuracy": N_("cross-entropy in nats"),
    "nmse": N_("mean squared error"),
}
"""Task metric -> the unit of its task's training loss."""
METRIC_UNITS = {
    "held_out_loss": N_("nats per token"),
    "nmse": N_("mean squared error over the variance: 1 = always the mean"),
}
"""Units of metrics that have one. Only what has one unit stands on one axis: elsewhere two curves would look like overfitting."""

CHARTS_S = 1.0
"""Between two drawings of the charts of a run that plays: they cost the page ten times as much as the picture above them, whose frames wait."""


def for_charts(run: SessionRun | FitRun, shown: Update) -> Update:
    """What the charts are drawn from: `shown`, or for up to `CHARTS_S` an earlier moment of the same run with the same settings."""
    if run.charted is not None:
        made, of_run, held = run.charted
        same = (of_run, held.epoch, held.snapshot.config) == (run.run_id, shown.epoch, shown.snapshot.config)
        if shown.playing and same and time.monotonic() - made < CHARTS_S:
            return held
    run.charted = (time.monotonic(), run.run_id, shown)
    return shown


def dropless(moments: Sequence[Snapshot], histories: Sequence[pd.DataFrame], layers: Sequence[int]) -> bool:
    """Whether panels of dropped routes of these runs would be empty; one line of words (`DROPLESS`) stands there instead."""
    filled = [issubclass(ROUTER_OPTIONS[moment.config["router"]], TokenChoice) for moment in moments]
    # where experts choose, or slots are blends, buffers are as full as they are: nobody is turned away
    capacities = [
        moment.traces[layer].capacity if full else None
        for moment, full in zip(moments, filled, strict=True)
        for layer in layers
    ]
    names = [f"drop_rate.{layer}" for layer in layers]
    rates = [rate for rows in histories for name in names if name in rows for rate in rows[name].to_numpy()]
    return nothing_can_drop(capacities, rates)


def draw_stack(stack: Mapping[str, tuple[VegaChart, str]], prefix: str = "", line: str = "") -> None:
    """Strips (key -> chart and what it shows in words) under one another; only the lowest has numbers on its time axis. line: words below them."""
    with st.container(key="strips", gap=None):
        lowest = list(stack)[-1]
        for key, (chart, alt) in stack.items():
            draw_chart(chart if key == lowest else without_time_axis(chart), prefix + key, alt)
        if line:
            st.caption(line)


def draw_chart(chart: VegaChart, key: str, alt: str) -> None:
    """A chart that updates in place; `alt` says in words what it shows, for readers who do not see it."""
    theme = "dark" if st.context.theme.type == "dark" else "light"
    spec = in_theme(chart.spec, theme)
    st.vega_lite_chart(chart.arrow, enlarged(spec) if present.is_on() else spec, key=key, alt=alt, height="content")

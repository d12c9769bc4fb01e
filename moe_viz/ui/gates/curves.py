"""The curves of all compared runs on one pair of axes: as values, or as differences from the first run where they nearly coincide."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts import side_by_side
from moe_viz.charts.style import DROPLESS
from moe_viz.charts.vega import VegaChart
from moe_viz.spec import TASK_OPTIONS
from moe_viz.ui.gates.comparison import Comparison, labels
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.charts import METRIC_NAMES, draw_chart, dropless


def draw_curves(comparison: Comparison) -> None:
    """All runs on one pair of axes, one picture per number."""
    histories = dict(zip(labels(comparison.routers), (update.history for update in comparison.look), strict=True))
    if any(history.empty for history in histories.values()):
        return
    task, layer = TASK_OPTIONS[comparison.base.task.name], comparison.layer
    metric, share = _(METRIC_NAMES[task.metric]), {"domain": (0, 1), "form": "%"}
    per_log_e = 1 / math.log(max(comparison.base.n_experts, 2))
    look = _look()

    def overlay(column: str, title: str, **more: Any) -> VegaChart:
        ends, scale = more.get("domain"), more.get("scale", 1.0)
        if len(histories) > 1 and _as_differences(look, histories, column, ends and (ends[1] - ends[0]) / scale):
            short = title.partition(":")[0]  # what is added to it has to fit on a phone, too
            return side_by_side.differences(histories, column, short, _, scale=scale)
        return side_by_side.overlay(histories, column, title, _, **more)

    pictures = {
        "loss": (overlay("loss", _("Training loss")), _("Training loss of each run.")),
        "task_metric": (
            overlay(
                "task_metric",
                metric.capitalize(),
                sparse=True,
                **(share if task.metric_goal == "max" else {}),
            ),
            _("Task metric of each run, on held-out data."),
        ),
        "load_entropy": (
            overlay(f"load_entropy.{layer}", _("Load entropy: even over experts"), **share),
            _("How evenly each run loads its experts."),
        ),
        "token_entropy": (
            overlay(
                f"token_entropy.{layer}",
                _("Token entropy: unsure about single tokens"),
                scale=per_log_e,
                **share,
            ),
            _("How unsure each router is about single tokens, in parts of log E."),
        ),
        "max_load": (
            overlay(f"max_load.{layer}", _("Largest load"), **share),
            _("Share of the routes that the busiest expert of each run is asked for."),
        ),
    }
    line = ""
    if dropless([update.snapshot for update in comparison.look], list(histories.values()), [layer]):
        bounded = any(update.snapshot.traces[layer].capacity is not None for update in comparison.look)
        line = _("None of these gates drops a route.") if bounded else _(DROPLESS)
    else:
        dropped = overlay(f"drop_rate.{layer}", _("Dropped routes"), **share)
        pictures["drops"] = (dropped, _("Share of routes dropped in each run."))
    columns = st.columns(2)
    for number, (key, (chart, alt)) in enumerate(pictures.items()):
        with columns[number % 2]:
            draw_chart(chart, f"overlay_{key}", alt)
    if line:
        st.caption(line)


def _look() -> str:
    """How the overlays are drawn: as differences where curves nearly coincide ("auto"), always, or never."""
    names = {
        "auto": _("Differences where curves nearly coincide"),
        "values": _("Values"),
        "differences": _("Differences"),
    }
    picked = st.segmented_control(
        _("Curves"),
        list(names),
        default="auto",
        format_func=names.__getitem__,
        key="curves",
        label_visibility="collapsed",
        required=True,
    )
    return picked or "auto"


def _as_differences(look: str, histories: dict[str, pd.DataFrame], column: str, drawn: float | None) -> bool:
    """Whether these curves are drawn as differences. What is near-equal stays so until it is clearly apart: no chart jumps to and fro.

    drawn: what a fixed vertical axis covers, in units of the column.
    """
    if look != "auto":
        return look == "differences"
    near = st.session_state.setdefault("near_equal", set())
    apart, one = side_by_side.spread(histories, column, drawn), (tuple(histories), column)
    if apart is None or apart >= side_by_side.APART:
        near.discard(one)
    elif apart < side_by_side.NEAR:
        near.add(one)
    return one in near

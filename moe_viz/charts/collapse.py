"""Ticking pictures of a collapse and its cure: the gradient ledger, what the balancing loss pushes, and marks on the time axis.

As `vega.py` says, values travel as data beside a spec that does not depend on them, and the data is the table twin.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.charts.palette import NEUTRAL, SERIES, expert_style
from moe_viz.charts.style import MEAN, PROBE, heading
from moe_viz.charts.time_series import legend_columns
from moe_viz.charts.vega import VegaChart
from moe_viz.records.collapse import balance_push
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
HEIGHT = 230
NEAR = 0.4
"""Bars and scatter show shares up to this, or up to 1 where one is larger: two fixed windows, so that moments can be compared."""
CONFIG = {"view": {"stroke": None}, "axis": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": 400}}
ARROW = 1.5
"""Length of a push arrow in the scatter, in units of P per unit of push: chosen so that a collapsed layer's arrows are seen."""


def ledger_bars(table: pd.DataFrame, translate: Translate = str) -> VegaChart:
    """Bars side by side for each expert (table of `records.collapse.ledger`): its share of routes, of gradient, of its router row's gradient."""
    names = {
        "tokens": translate(N_("routes")),
        "expert_gradient": translate(N_("gradient")),
        "row_gradient": translate(N_("router row’s gradient")),
    }
    n_experts = len(table)
    end = NEAR if table[list(names)].max().max() <= NEAR else 1
    data = table.assign(expert=table["expert"] + 1).rename(columns=names)
    series = list(names.values())
    x = {"field": "expert", "type": "ordinal", "axis": {"title": translate(N_("expert")), "labelAngle": 0}}
    legend = {"orient": "top", "title": None, "offset": 2, "labelLimit": 300, "columns": legend_columns(series)}
    colors = list(SERIES[:3])
    bars = {
        "transform": [{"fold": series, "as": ["of", "share"]}],
        "mark": {"type": "bar"},
        "encoding": {
            "x": x,
            "xOffset": {"field": "of", "type": "nominal", "sort": series},
            "y": {"field": "share", "type": "quantitative", "scale": {"domain": [0, end]}, "axis": {"title": None, "format": "%", "tickCount": 5}},
            "color": {"field": "of", "type": "nominal", "scale": {"domain": series, "range": colors}, "legend": legend},
            "tooltip": [{"field": "expert", "title": translate(N_("Expert"))}, {"field": "of", "title": " "}, {"field": "share", "title": translate(N_("share")), "type": "quantitative", "format": ".1%"}],
        },
    }  # fmt: skip
    fair = {
        "data": {"values": [{"fair": 1 / n_experts}]},
        "mark": {"type": "rule", "strokeDash": [4, 4], "color": NEUTRAL},
        "encoding": {"y": {"field": "fair", "type": "quantitative"}},
    }
    return VegaChart(
        _framed([bars, fair], heading(translate(N_("Gradient ledger: who gets tokens, who learns")), MEAN, translate)),
        data,
    )


def push_scatter(trace: RoutingTrace, translate: Translate = str) -> VegaChart:
    """One dot per expert at (load f, mean probability P), curves of equal E*f*P, and an arrow for what the balancing loss pushes.

    The arrow is minus the gradient of the loss by a shift of the expert's score, `ARROW` times as long as it is. It shows the
    direction also where the loss is switched off.
    """
    table = balance_push(trace)
    n_experts = len(table)
    data = table.assign(expert=table["expert"] + 1, tip=table["probability"] + ARROW * table["push"])
    data["way"] = np.sign(data["push"])
    f: dict[str, Any] = {
        "field": "load",
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"title": translate(N_("load f: share of routes")), "format": "%", "grid": False, "tickCount": 5},
    }
    p: dict[str, Any] = {"type": "quantitative", "scale": {"domain": [0, 1], "clamp": True}, "axis": {"title": translate(N_("mean probability P")), "format": "%", "grid": False, "tickCount": 5}}  # fmt: skip
    # two fixed windows, so that moments can be compared: around the fair share, or everything
    far = float(data.loc[:, ["load", "probability", "tip"]].max().max()) > NEAR
    for axis in (f, p):
        axis["scale"]["domain"] = [0, 1 if far else NEAR]
    styles = [expert_style(i) for i in range(n_experts)]
    experts = {"field": "expert", "type": "ordinal", "legend": None, "scale": {"domain": [i + 1 for i in range(n_experts)], "range": [s.color for s in styles]}}  # fmt: skip
    inks = [i + 1 for i, s in enumerate(styles) if s.ink == "#000000"]
    tips = [
        {"field": "expert", "title": translate(N_("Expert"))},
        {"field": "load", "title": "f", "type": "quantitative", "format": ".1%"},
        {"field": "probability", "title": "P", "type": "quantitative", "format": ".1%"},
        {"field": "term", "title": "E·f·P", "type": "quantitative", "format": ".3f"},
        {"field": "slope", "title": "∂L/∂P = E·f", "type": "quantitative", "format": ".2f"},
        {"field": "push", "title": translate(N_("push on its score")), "type": "quantitative", "format": "+.4f"},
    ]
    arrows = {
        "mark": {"type": "rule", "strokeWidth": 2.5, "clip": True},
        "encoding": {"x": f, "y": {**p, "field": "probability"}, "y2": {"field": "tip"}, "color": experts},
    }
    heads = {
        "transform": [{"filter": "abs(datum.push) > 0.002"}],
        "mark": {"type": "point", "filled": True, "size": 70, "clip": True},
        "encoding": {
            "x": f,
            "y": {**p, "field": "tip"},
            "color": experts,
            "shape": {"field": "way", "type": "nominal", "scale": {"domain": [-1, 1], "range": ["triangle-down", "triangle-up"]}, "legend": None},
        },
    }  # fmt: skip
    dots = {
        "mark": {"type": "circle", "size": 300, "opacity": 1},
        "encoding": {"x": f, "y": {**p, "field": "probability"}, "color": experts, "tooltip": tips},
    }
    numbers = {
        "mark": {"type": "text", "fontSize": 11, "fontWeight": "bold", "tooltip": None},
        "encoding": {
            "x": f,
            "y": {**p, "field": "probability"},
            "text": {"field": "expert"},
            "color": {"value": "#ffffff", "condition": {"test": f"indexof({inks}, datum.expert) >= 0", "value": "#000000"}},
        },
    }  # fmt: skip
    title = translate(N_("What the balancing loss sees (f, P) and pushes (arrows)"))
    return VegaChart(
        _framed(
            [_contours(n_experts, p["scale"]["domain"][1]), arrows, heads, dots, numbers],
            heading(title, PROBE, translate),
        ),
        data,
    )


def _contours(n_experts: int, end: float) -> dict[str, Any]:
    """Curves on which an expert's part E*f*P of the loss is 1/E (even), and 4, 16, ... times that. They end where the axes do, at `end`."""
    values = [
        {"f": round(float(x), 4), "P": round(min(float(part / (n_experts * x)), end), 4), "part": f"{part:.3g}"}
        for part in 4.0 ** np.arange(0, 6) / n_experts
        if part <= n_experts * end**2
        for x in np.geomspace(part / (n_experts * end), end, 60)
    ]
    return {
        "data": {"values": values},
        "mark": {"type": "line", "color": NEUTRAL, "opacity": 0.5, "strokeWidth": 1, "clip": True, "tooltip": None},
        "encoding": {
            "x": {"field": "f", "type": "quantitative"},
            "y": {"field": "P", "type": "quantitative"},
            "detail": {"field": "part", "type": "nominal"},
            "tooltip": {"field": "part", "title": "E·f·P"},
        },
    }


def with_marks(chart: VegaChart, marks: Sequence[tuple[int, str]]) -> VegaChart:
    """The chart with a labelled line at each (step, label). The spec does not depend on the marks: nothing remounts when one is added.

    Marks beyond the chart's rows cannot be carried and are left out, the oldest first.
    """
    marks = list(marks)[-len(chart.data) :] if len(chart.data) else []
    at, label = np.full(len(chart.data), np.nan), np.full(len(chart.data), "", object)
    for i, (step, text) in enumerate(marks):
        at[i], label[i] = step, text
    spec = copy.deepcopy(chart.spec)
    x = {"field": "mark", "type": "quantitative"}
    there = [{"filter": "isValid(datum.mark)"}]
    spec["layer"] += [
        # bright under dark, so that the line is seen on every band of colour
        {"transform": there, "mark": {"type": "rule", "color": "#ffffff", "strokeWidth": 4}, "encoding": {"x": x}},
        {"transform": there, "mark": {"type": "rule", "color": "#1c2430", "strokeWidth": 1.5}, "encoding": {"x": x}},
        {
            "transform": there,
            "mark": {"type": "text", "align": "center", "baseline": "bottom", "dy": -2, "fontSize": 12, "fontWeight": "bold"},
            "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "label"}},
        },
    ]  # fmt: skip
    return VegaChart(spec, chart.data.assign(mark=at, label=label))


def _framed(layers: list[dict], title: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
        "config": CONFIG,
    }

"""The load of each expert of one layer over time, as stacked bands. The spec does not depend on the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from moe_viz.charts.palette import COLORS, expert_style
from moe_viz.charts.style import MEAN_OF_ROUTES
from moe_viz.charts.time_series import MAX_POINTS, Y_AXIS, Translate, rows_of, strip, tip
from moe_viz.charts.vega import VegaChart
from moe_viz.spec.knobs import N_

MAX_CELLS = 1600
"""Points times experts of a stack: the page computes each of them anew at every drawing, while the picture above waits."""


def load_over_time(
    history: pd.DataFrame,
    layer: int,
    n_experts: int,
    translate: Translate = str,
    last: int | None = None,
    batch: str = MEAN_OF_ROUTES,
) -> VegaChart:
    """Stacked shares of the routes asked of each expert of one layer. The dashed lines (beyond
    eight experts: ticks at the left) are where the borders lie when all are even, 1/E each.
    last: the newest step of all charts that are compared with this one, so that all draw the same steps;  batch: what stands below the title.
    """
    names = [f"expert {i + 1}" for i in range(n_experts)]
    columns = {f"load.{layer}.{i}": name for i, name in enumerate(names)}
    stacked = [
        {"fold": names, "as": ["expert", "share"]},
        {"calculate": "toNumber(slice(datum.expert, 7))", "as": "number"},
        {"stack": "share", "groupby": ["step"], "sort": [{"field": "number"}], "as": ["from", "to"]},
    ]
    newest = [
        {"joinaggregate": [{"op": "max", "field": "step", "as": "last"}]},
        {"filter": "datum.step === datum.last && datum.to - datum.from >= 0.1"},
        {"calculate": "(datum.from + datum.to) / 2", "as": "middle"},
    ]
    y = {"type": "quantitative", "scale": {"domain": [0, 1], "reverse": True}}
    fair = [i / n_experts for i in range(1, n_experts)]
    styles = [expert_style(i) for i in range(n_experts)]
    bands = {
        "transform": stacked,
        "mark": {"type": "area", "interpolate": "step-after"},
        "encoding": {
            "y": {**y, "field": "from", "axis": {**Y_AXIS, "grid": False, "format": "%", "values": [0, 0.5, 1]}},
            "y2": {"field": "to"},
            "color": {"field": "number", "type": "ordinal", "scale": {"domain": [i + 1 for i in range(n_experts)], "range": [s.color for s in styles]}, "legend": _key_of_experts(n_experts, translate)},
            "tooltip": [
                tip("step", translate(N_("Step")), "d"),
                tip("number", translate(N_("Expert"))),
                tip("share", translate(N_("Load")), ".1%"),
            ],
        },
    }  # fmt: skip
    numbers = {
        "transform": stacked + newest,
        "mark": {"type": "text", "align": "right", "dx": -4, "fontSize": 11, "fontWeight": "bold", "tooltip": None},
        "encoding": {
            "y": {**y, "field": "middle"},
            "text": {"field": "number"},
            "color": {"value": "#000000", "condition": {"test": f"indexof({_light(styles)}, datum.number) < 0", "value": "#ffffff"}},
        },
    }  # fmt: skip
    even: dict[str, Any] = {
        "data": {"values": [{"at": at} for at in fair]},
        "mark": {"type": "rule", "strokeDash": [3, 3], "strokeWidth": 1, "color": "#ffffff", "opacity": 0.85},
        "encoding": {"y": {**y, "field": "at"}},
    }
    if n_experts > len(COLORS):  # that many lines would hide the bands: ticks at the edge instead
        even["mark"]["strokeDash"] = [1, 0]
        even["encoding"] |= {"x": {"value": 0}, "x2": {"value": 6}}
    title = translate(N_("Load per expert"))
    layers = [bands, *([even] if fair else []), numbers]
    spec = strip(layers, title, translate, batch)
    return VegaChart(spec, rows_of(history, columns, max(50, min(MAX_POINTS, MAX_CELLS // n_experts)), last))


def _key_of_experts(n_experts: int, translate: Translate) -> dict[str, Any] | None:
    """Which colour is which expert: also for bands that are too narrow for a number. Beyond two rounds of colours it would be taller than the strip."""
    if not 1 < n_experts <= 2 * len(COLORS):
        return None
    columns = {"expr": f"min({n_experts}, max(1, floor((width - 40) / 32)))"}
    look: dict[str, Any] = {
        "orient": "top",
        "titleOrient": "left",
        "symbolType": "square",
        "symbolSize": 70,
        "offset": 0,
    }
    return {
        **look,
        "title": translate(N_("expert")),
        "columns": columns,
        "columnPadding": 6,
        "labelFontSize": 11,
        "titleFontSize": 11,
    }


def _light(styles: Sequence[Any]) -> str:
    """Vega list of the numbers of experts whose colour wants black ink."""
    return str([i + 1 for i, style in enumerate(styles) if style.ink == "#000000"])

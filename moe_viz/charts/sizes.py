"""Published systems over the years: how many weights each has, and how many of them a token meets."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from moe_viz.charts.palette import NEUTRAL, SERIES
from moe_viz.charts.style import SMALL, heading
from moe_viz.charts.vega import VegaChart
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
WITHIN_YEAR = 0.8
"""Part of a year's width that its systems are spread over."""


def total_and_active(systems: pd.DataFrame, translate: Translate = str) -> VegaChart:
    """One line for each system, from what a token meets (triangle) up to all weights (circle), on a logarithmic scale.

    systems: columns `name`, `year`, `total` and `active` in billions; inside a year they stand from small to large.
    """
    table = systems.sort_values(["year", "total"]).reset_index(drop=True)
    places = table.groupby("year").cumcount() + 0.5
    sizes = table.groupby("year")["total"].transform("size")
    table["place"] = table["year"] + (places / sizes - 0.5) * WITHIN_YEAR
    years = sorted({int(year) for year in table["year"]})
    total, active = translate(N_("all weights")), translate(N_("what a token meets"))
    x = {
        "field": "place",
        "type": "quantitative",
        "scale": {"domain": [years[0] - 0.5, years[-1] + 0.5], "nice": False} if years else {},
        "axis": {"title": None, "values": years, "format": "d", "grid": False},
    }
    y = {
        "type": "quantitative",
        "scale": {"type": "log"},
        "axis": {
            "title": translate(N_("billions of weights")),
            "values": [10.0**n for n in range(-3, 6)],
            "format": "~g",
        },
    }
    tooltip = [
        {"field": "name", "type": "nominal", "title": translate(N_("System"))},
        {"field": "year", "type": "quantitative", "format": "d", "title": translate(N_("Year"))},
        {"field": "total", "type": "quantitative", "format": ",.4~g", "title": total},
        {"field": "active", "type": "quantitative", "format": ",.4~g", "title": active},
    ]
    kinds = {"total": (total, "circle", SERIES[1]), "active": (active, "triangle-up", SERIES[3])}
    points = [
        {
            "transform": [{"calculate": f"'{label.replace(chr(39), '’')}'", "as": "kind"}],
            "mark": {"type": "point", "filled": True, "size": 52, "opacity": 1},
            "encoding": {
                "x": x,
                "y": {**y, "field": field},
                "shape": _key("shape", kinds),
                "color": _key("color", kinds),
                "tooltip": tooltip,
            },
        }
        for field, (label, _shape, _color) in kinds.items()
    ]
    lines = {
        "mark": {"type": "rule", "color": NEUTRAL, "opacity": 0.7},
        "encoding": {"x": x, "y": {**y, "field": "active"}, "y2": {"field": "total"}, "tooltip": tooltip},
    }
    spec = {
        "title": heading(translate(N_("All weights, and those that a token meets")), "", translate),
        "height": 300,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [lines, *points],
        "config": {"view": {"stroke": None}, "axis": {"labelFontSize": SMALL, "titleFontSize": SMALL}},
    }
    return VegaChart(spec, table)


def _key(channel: str, kinds: dict[str, tuple[str, str, str]]) -> dict:
    """One key for both: shape and colour say the same."""
    labels = [label.replace("'", "’") for label, _shape, _color in kinds.values()]
    looks = [shape if channel == "shape" else color for _label, shape, color in kinds.values()]
    return {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": labels, "range": looks},
        "legend": {"title": None, "orient": "top"},
    }

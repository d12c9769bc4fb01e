"""The drift between twin runs as a curve: the mean gap over the pairs in its interval, and how many tokens are still routed alike.

As `vega.py` says, values travel as data beside a spec that does not depend on them, and the data is the table twin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.charts.palette import NEUTRAL, SERIES
from moe_viz.charts.style import PROBE, SMALL, heading
from moe_viz.charts.time_series import LEGEND, STRIP, Y_AXIS, thin, time_axis
from moe_viz.charts.vega import VegaChart
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
HEIGHT = 150


def gap_over_time(table: pd.DataFrame, title: str, translate: Translate = str) -> VegaChart:
    """Mean gap with its 95 % interval (`records.twins.gap`) around the line of no difference. One pair has no interval: the line alone."""
    tips = [
        _tip("step", translate(N_("Step")), "d"),
        _tip("mean", translate(N_("mean gap")), ".4~g"),
        _tip("low", translate(N_("from")), ".4~g"),
        _tip("high", translate(N_("to")), ".4~g"),
        _tip("pairs", translate(N_("pairs")), "d"),
    ]
    y = {"type": "quantitative", "scale": {"zero": True}, "axis": {**Y_AXIS, "tickCount": 4, "format": ".3~g"}}
    band = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "color": SERIES[1], "opacity": 0.25},
        "encoding": {"x": time_axis(translate), "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }
    line = {
        "transform": [{"filter": "isValid(datum.mean)"}],
        "mark": {"type": "line", "color": SERIES[1], "strokeWidth": 2},
        "encoding": {"x": time_axis(translate), "y": {**y, "field": "mean"}, "tooltip": tips},
    }
    none = {
        "data": {"values": [{"none": 0}]},
        "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [4, 4]},
        "encoding": {"y": {"field": "none", "type": "quantitative"}},
    }
    return VegaChart(
        _frame([band, line, none], heading(title, offset=6)), thin(table).replace([np.inf, -np.inf], np.nan)
    )


def alike_over_time(steps: Sequence[int], alike: np.ndarray, translate: Translate = str) -> VegaChart:
    """Share of the probe batch whose first expert is the same in both runs, [S] at `steps`."""
    table = pd.DataFrame({"step": list(steps), "alike": alike})
    y = {"field": "alike", "type": "quantitative", "scale": {"domain": [0, 1]}}
    line = {
        "mark": {"type": "line", "color": SERIES[1], "strokeWidth": 2, "point": {"size": 12}},
        "encoding": {
            "x": time_axis(translate),
            "y": {**y, "axis": {**Y_AXIS, "format": "%"}},
            "tooltip": [_tip("step", translate(N_("Step")), "d"), _tip("alike", translate(N_("alike")), ".1%")],
        },
    }
    title = translate(N_("Tokens that both runs send to the same first expert"))
    # as high as the losses beside it, which have a line of legend but nothing below their title
    return VegaChart(_frame([line], heading(title, PROBE, translate, offset=LEGEND - SMALL - 2), STRIP), table)


def _frame(layers: list[dict], title: dict[str, Any], height: int = HEIGHT) -> dict[str, Any]:
    return {
        "title": title,
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
        "config": {"view": {"stroke": None}, "axis": {"labelFontSize": SMALL, "titleFontSize": SMALL}},
    }


def _tip(field: str, title: str, form: str) -> dict[str, Any]:
    return {"field": field, "title": title, "type": "quantitative", "format": form}

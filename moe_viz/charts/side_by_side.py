"""Pictures of several runs beside one another: whatever differs between them, their axes do not.

As `vega.py` says, values travel as data beside a spec that depends only on what is shown, so these may tick.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from moe_viz.charts.palette import SERIES
from moe_viz.charts.style import OVER_CURVES, PROBE, SMALL, heading
from moe_viz.charts.time_series import compared
from moe_viz.charts.vega import VegaChart
from moe_viz.records import metrics
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
MOST_BARS = 8
"""A histogram's last bar holds this many and more."""
MOST_TOKENS, MOST_SLOTS = 64, 32
"""Rows and columns of a matrix that are drawn: each cell is a shape of its own in the page."""


def experts_per_token(trace: RoutingTrace, translate: Translate = str) -> VegaChart:
    """Share of tokens that 0, 1, 2, ... experts computed, on axes that depend on the number of experts alone."""
    last = min(trace.n_experts, MOST_BARS)
    table = metrics.experts_per_token(trace)
    names = [str(n) for n in range(last)] + [f"{last}+" if last < trace.n_experts else str(last)]
    table = table.groupby(table["experts"].clip(upper=last)).agg({"tokens": "sum", "share": "sum"})
    table = table.reindex(range(last + 1), fill_value=0).reset_index(drop=True)
    table.insert(0, "experts", names)
    bars = {
        "mark": {"type": "bar", "color": SERIES[1], "width": {"band": 0.8}},
        "encoding": {
            "x": {"field": "experts", "type": "ordinal", "sort": names, "scale": {"domain": names}, "axis": {"title": None, "labelAngle": 0}},
            "y": {"field": "share", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 3, "title": None, "minExtent": 40, "maxExtent": 40}},
            "tooltip": [
                {"field": "experts", "type": "nominal", "title": translate(N_("Experts per token"))},
                {"field": "tokens", "type": "quantitative", "format": "d", "title": translate(N_("tokens"))},
                {"field": "share", "type": "quantitative", "format": ".1%", "title": translate(N_("share of tokens"))},
            ],
        },
    }  # fmt: skip
    return VegaChart(_frame(bars, translate(N_("Experts per token")), 90, translate), table)


def matrix(values: np.ndarray, n_tokens: int, title: str, translate: Translate = str) -> VegaChart:
    """Soft MoE's dispatch or combine weights of the first `n_tokens` tokens: values [T, E, S]; one column per slot, experts one after another.

    The colour's scale is the square root on 0 to 1, so that small weights can be seen and two moments compared.
    """
    shown = values[: min(n_tokens, MOST_TOKENS)]
    shown = shown.reshape(len(shown), -1)[:, :MOST_SLOTS]
    slots = values.shape[2]
    token, column = (index.ravel() for index in np.indices(shown.shape))
    table = pd.DataFrame(
        {
            "token": token + 1,
            "slot": [f"{c // slots + 1}.{c % slots + 1}" for c in column],
            "column": column + 1,
            "weight": shown.ravel().astype(np.float32),
        }
    )
    marks = [c + 1 for c in range(0, shown.shape[1], slots)]
    cells = {
        "mark": {"type": "rect"},
        "encoding": {
            "x": {"field": "column", "type": "ordinal", "axis": {"title": translate(N_("expert (its slots side by side)")), "values": marks, "labelExpr": f"floor((datum.value - 1) / {slots}) + 1", "labelAngle": 0}},
            "y": {"field": "token", "type": "ordinal", "axis": {"title": translate(N_("token")), "values": [1, 16, 32, 48, 64]}},
            "color": {"field": "weight", "type": "quantitative", "scale": {"type": "sqrt", "domain": [0, 1], "scheme": "blues"}, "legend": None},
            "tooltip": [
                {"field": "token", "type": "ordinal", "title": translate(N_("token"))},
                {"field": "slot", "type": "nominal", "title": translate(N_("expert.slot"))},
                {"field": "weight", "type": "quantitative", "format": ".3f", "title": translate(N_("weight"))},
            ],
        },
    }  # fmt: skip
    return VegaChart(_frame(cells, title, 220, translate), table)


def overlay(
    histories: Mapping[str, pd.DataFrame],
    column: str,
    title: str,
    translate: Translate = str,
    *,
    scale: float = 1.0,
    domain: tuple[float, float] | None = None,
    form: str = ".3~g",
    sparse: bool = False,
) -> VegaChart:
    """One history column of several runs (label -> history), multiplied by `scale`, as lines on one pair of axes."""
    scaled = _scaled(histories, column, scale)
    return compared(scaled, column, title, translate, domain=domain, form=form, sparse=sparse)


def _scaled(histories: Mapping[str, pd.DataFrame], column: str, scale: float) -> dict[str, pd.DataFrame]:
    """Each history with its column multiplied by `scale`; blank in a run that has no such column."""
    return {
        label: rows.assign(**{column: rows[column] * scale if column in rows else np.nan})
        for label, rows in histories.items()
    }


NEAR, APART = 0.05, 0.15
"""Spread of curves, in parts of the range that they cover, below which they are called near-equal, and above which no longer."""


def spread(histories: Mapping[str, pd.DataFrame], column: str, drawn: float | None = None) -> float | None:
    """How far the runs' curves lie apart over the newer half of their common steps, in parts of the range that all of them cover.

    drawn: what the vertical axis covers, where that is fixed: curves may be far apart for their own range and yet lie on one another.
    None where fewer than two runs have two common measured steps.
    """
    frames = [
        rows[rows["epoch"] == rows["epoch"].max()].set_index("step")[column]
        for rows in histories.values()
        if column in rows
    ]
    joined = (
        pd.concat(frames, axis=1).replace([np.inf, -np.inf], np.nan).dropna() if len(frames) > 1 else pd.DataFrame()
    )
    if len(joined) < 2:
        return None
    values = joined.to_numpy(float)
    newer = values[len(values) // 2 :]
    covered = values.max() - values.min() if drawn is None else drawn
    return float((newer.max(1) - newer.min(1)).max() / covered) if covered > 0 else 0.0


def differences(
    histories: Mapping[str, pd.DataFrame],
    column: str,
    title: str,
    translate: Translate = str,
    *,
    scale: float = 1.0,
    form: str = "+.2~g",
) -> VegaChart:
    """The same as `overlay`, as differences from the first run, which is the line at 0: what near-equal curves hide from one another.

    Each curve has its run's name on it.
    """
    first, *others = histories
    scaled = _scaled(histories, column, scale)
    chart = compared(scaled, column, title, translate, form=form, sparse=True, fair=0.0)
    values = chart.data.drop(columns=first)
    values[others] = values[others].sub(chart.data[first], axis=0)
    spec = chart.spec
    spec["title"]["text"] = translate(N_("{title}: difference from {first}")).format(title=title, first=first)
    curves = spec["layer"][0]
    curves["transform"][0]["fold"] = others  # colours and legend keep the first run: it is the line at 0
    # the first name stands at the newest point, the next to the left of it: names of curves that meet do not cover one another
    newest = [
        {"joinaggregate": [{"op": op, "field": "step", "as": op} for op in ("min", "max")]},
        {
            "calculate": f"abs(datum.step - datum.max + (datum.max - datum.min) * 0.24 * indexof({json.dumps(others)}, datum.series))",
            "as": "off",
        },
        {"joinaggregate": [{"op": "min", "field": "off", "as": "least"}], "groupby": ["series"]},
        {"filter": "datum.off === datum.least"},
    ]
    names = {
        "transform": [*curves["transform"], *newest],
        "mark": {
            "type": "text",
            "align": "right",
            "baseline": "bottom",
            "dy": -3,
            "fontSize": SMALL,
            "style": OVER_CURVES,
            "tooltip": None,
        },
        "encoding": {"x": curves["encoding"]["x"], "y": curves["encoding"]["y"], "text": {"field": "series"}},
    }
    spec["layer"].append(names)
    return VegaChart(spec, values.dropna(subset=others, how="all").reset_index(drop=True))


def _frame(layer: dict, title: str, height: int, translate: Translate) -> dict:
    return {
        "title": heading(title, PROBE, translate),
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": [layer],
        "config": {"view": {"stroke": None}, "axis": {"labelFontSize": SMALL, "titleFontSize": SMALL}},
    }

"""Small pictures of one moment as Vega-Lite: who is dropped, how many experts a token has, how settled routing is. Safe to tick.

As `vega.py` says, values travel as data beside a spec that does not depend on them, and the data is the table twin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.charts.palette import NEUTRAL, SERIES, expert_style
from moe_viz.charts.style import PROBE, heading
from moe_viz.charts.vega import VegaChart
from moe_viz.records import metrics, specialisation
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
HEIGHT = 150


def experts_per_token(trace: RoutingTrace, translate: Translate = str) -> VegaChart:
    """Share of tokens computed by 0, 1, 2, ... experts; 0 = skipped, only the residual path carries the token."""
    title = translate(N_("Experts per token (0 = skipped)"))
    return _bars(
        metrics.experts_per_token(trace), "experts", "share", title, translate(N_("share of tokens")), translate
    )


def drops_by(trace: RoutingTrace, key: str, translate: Translate = str) -> VegaChart:
    """Who loses: drop rate by position in the sequence, domain, expert or frequency of the token (see `metrics.drops_by`)."""
    titles = {
        "position": N_("Dropped, by position in the sequence"),
        "group": N_("Dropped, by domain"),
        "expert": N_("Dropped, by expert"),
        "frequency": N_("Dropped, by how often the token occurs in the batch"),
    }
    table = metrics.drops_by(trace, key)
    colors = None
    if key == "expert":
        colors = [expert_style(i).color for i in range(trace.n_experts)]
        table = table.assign(expert=table["expert"].astype(int) + 1)
    elif key == "group":
        table = table.assign(group=table["group"].map(translate))
    return _bars(table, key, "rate", translate(titles[key]), translate(N_("share of their routes")), translate, colors)


def drops_by_capacity(
    trace: RoutingTrace, factors: Sequence[float], now: float | None = None, translate: Translate = str
) -> VegaChart:
    """What these requests would lose at each capacity factor; `now` marks the present one (None: dropless)."""
    table = metrics.drops_by_capacity(metrics.requested_counts(trace), factors).assign(now=np.nan)
    table.loc[table.index[:1], "now"] = np.nan if now is None else now
    x = {
        "field": "capacity_factor",
        "type": "quantitative",
        "axis": {"title": translate(N_("capacity factor")), "grid": False},
    }
    line = {
        "mark": {"type": "line", "point": True, "color": SERIES[1]},
        "encoding": {"x": x, "y": _share("drop_rate"), "tooltip": [_tip("capacity_factor", translate(N_("capacity factor")), ".3~g"), _tip("drop_rate", translate(N_("dropped")), ".1%")]},
    }  # fmt: skip
    mark = {
        "transform": [{"filter": "isValid(datum.now)"}],
        "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": [4, 3]},
        "encoding": {"x": {"field": "now", "type": "quantitative"}},
    }
    title = translate(N_("Dropped routes against capacity factor, for the present requests"))
    return VegaChart(_frame([line, mark], title, translate), table)


def settled(choices: np.ndarray, steps: Sequence[int], translate: Translate = str) -> VegaChart:
    """Fluctuation as a curve: share of tokens whose expert has not changed since that step. choices [S, T] first choices at `steps`."""
    axis = {"title": translate(N_("step")), "format": "d", "grid": False}
    line = {
        "mark": {"type": "line", "interpolate": "step-after", "color": SERIES[1]},
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "scale": {"zero": False, "nice": False}, "axis": axis},
            "y": _share("settled"),
            "tooltip": [_tip("step", translate(N_("Step")), "d"), _tip("settled", translate(N_("settled")), ".1%")],
        },
    }
    title = translate(N_("Tokens that have stayed with one expert since"))
    return VegaChart(_frame([line], title, translate), specialisation.fluctuation(choices, steps))


def _bars(
    table: pd.DataFrame,
    x: str,
    y: str,
    title: str,
    y_title: str,
    translate: Translate,
    colors: Sequence[str] | None = None,
) -> VegaChart:
    many = x in ("position", "frequency")
    encoding: dict[str, Any] = {
        "x": {"field": x, "type": "quantitative" if many else "ordinal", "axis": {"title": None, "labelAngle": 0, "grid": False, "tickMinStep": 1, "format": "d"} if many else {"title": None, "labelAngle": 0}},
        "y": _share(y, y_title),
        "tooltip": [{"field": name, "title": name, **({"format": ".1%"} if name == y else {})} for name in table.columns],
    }  # fmt: skip
    if colors:
        domain = list(range(1, len(colors) + 1))
        encoding["color"] = {
            "field": x,
            "type": "ordinal",
            "scale": {"domain": domain, "range": list(colors)},
            "legend": None,
        }
    mark = {"type": "bar", "color": SERIES[1], **({"width": {"band": 0.8}} if not many else {"size": 3})}
    return VegaChart(_frame([{"mark": mark, "encoding": encoding}], title, translate), table)


def _share(field: str, title: str | None = None) -> dict[str, Any]:
    axis = {"format": "%", "tickCount": 3, "title": title}
    return {"field": field, "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": axis}


def _frame(layers: list[dict], title: str, translate: Translate) -> dict[str, Any]:
    return {
        "title": heading(title, PROBE, translate, offset=6),
        "height": HEIGHT,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
        "config": {"view": {"stroke": None}},
    }


def _tip(field: str, title: str, form: str) -> dict[str, Any]:
    return {"field": field, "title": title, "type": "quantitative", "format": form}

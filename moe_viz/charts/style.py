"""What all Vega-Lite pictures share: a title that says which batch the numbers are of, and text that reads on either background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from moe_viz.charts.palette import PAPER, TEXT
from moe_viz.records.metrics import WINDOW
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
MEAN = N_("mean of the last {n} training steps")
MEAN_OF_ROUTES = N_("share of routes, mean of the last {n} training steps")
PROBE = N_("probe batch")
DROPLESS = N_("Dropless: no buffers, nothing can be dropped.")
"""In place of a panel of dropped routes that would be empty."""
OF_ONE_BATCH = ("loss", "task_metric", "bias")
"""Columns of a history that are not means over its window."""


OVER_CURVES = "over_curves"
"""Style of a text mark that stands on curves: `in_theme` puts the page's background around its letters."""
SMALL = 11
"""Size of all text of a chart but its title."""


def heading(text: str, batch: str = "", translate: Translate = str, offset: int = 4) -> dict[str, Any]:
    """A title at the left; below it, smaller, what the numbers are of: `MEAN`, `MEAN_OF_ROUTES`, `PROBE`, or nothing."""
    found: dict[str, Any] = {"text": text, "anchor": "start", "fontSize": 13, "fontWeight": 500, "offset": offset}
    if batch:
        found |= {
            "subtitle": translate(batch).replace("{n}", str(WINDOW)),
            "subtitleFontSize": SMALL,
            "subtitlePadding": 1,
        }
    return found


def batch_of(columns: Sequence[str]) -> str:
    """What a chart of these history columns says of its numbers."""
    names = {column.split(".")[0] for column in columns}
    if not names or names <= set(OF_ONE_BATCH):
        return ""
    return MEAN_OF_ROUTES if names <= {"load", "max_load", "drop_rate"} else MEAN


def in_theme(spec: dict[str, Any], theme: str) -> dict[str, Any]:
    """The spec with every text outside the marks in a colour that reads on the page's background ("light" or "dark")."""
    ink = TEXT[theme]
    config = dict(spec.get("config", {}))
    small = {"labelFontSize": SMALL, "titleFontSize": SMALL}
    config["axis"] = {**small, **config.get("axis", {}), "labelColor": ink, "titleColor": ink}
    config["legend"] = {**small, **config.get("legend", {}), "labelColor": ink, "titleColor": ink}
    config["title"] = {**config.get("title", {}), "color": ink, "subtitleColor": ink}
    config["text"] = {**config.get("text", {}), "color": ink}
    return {**spec, "layer": _with_halos(spec["layer"], theme), "config": config}


def _with_halos(layers: list[dict[str, Any]], theme: str) -> list[dict[str, Any]]:
    """Below every text that stands on curves the same text, wide and in the page's background: no curve runs through a letter."""
    found = []
    for layer in layers:
        if isinstance(layer["mark"], dict) and layer["mark"].get("style") == OVER_CURVES:
            wide = {"stroke": PAPER[theme], "strokeWidth": 4, "strokeJoin": "round", "color": PAPER[theme]}
            found.append({**layer, "mark": {**layer["mark"], **wide}})
        found.append(layer)
    return found


def nothing_can_drop(capacities: Sequence[int | None], drop_rates: Sequence[float]) -> bool:
    """Whether a panel of dropped routes would be empty: no layer has buffers now, and none of the rates shown is above 0.

    capacities: slots per expert of each layer, None = dropless;  drop_rates: all values that the panel would draw, NaN where none was measured.
    """
    return all(capacity is None for capacity in capacities) and not any(rate > 0 for rate in drop_rates)


LENGTHS = frozenset({
    "height", "fontSize", "labelFontSize", "titleFontSize", "subtitleFontSize", "subtitlePadding", "offset", "columnPadding", "labelLimit",
    "minExtent", "maxExtent", "dx", "dy", "strokeWidth",
})  # fmt: skip
"""Properties of a Vega-Lite spec that are lengths in pixels."""
ENLARGED = 1.85
"""On a big screen: the smallest text, of eleven pixels, then has twenty."""


def enlarged(spec: Any, by: float = ENLARGED) -> Any:
    """The spec with every length and area `by` times as large, for a big screen. How many columns a key has follows from its width in letters."""
    if isinstance(spec, list):
        return [enlarged(part, by) for part in spec]
    if not isinstance(spec, dict):
        return spec
    found = {name: enlarged(value, by) for name, value in spec.items()}
    for name, value in found.items():
        if name in LENGTHS and isinstance(value, int | float):
            found[name] = value * by
        elif name in ("symbolSize", "size") and isinstance(value, int | float):
            found[name] = value * by * by
        elif name == "columns" and isinstance(value, dict) and "expr" in value:
            found[name] = {"expr": value["expr"].replace("width", f"(width / {by})")}
    return found

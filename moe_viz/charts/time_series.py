"""Time series that tick: history rows to Vega-Lite specs (plain dicts: they update in place where a Plotly figure would remount).

Colours of axes and text come from the page's theme; marks use the palette.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.charts.palette import DASHES, NEUTRAL, SERIES
from moe_viz.charts.style import batch_of, heading
from moe_viz.charts.vega import AXIS, VegaChart
from moe_viz.records import thinning
from moe_viz.spec.knobs import N_

MAX_POINTS = 200
STRIP = 90
"""Height of a strip in pixels."""
FLUSH = 40
"""Numbers that stand nearer than this many pixels to an end of the time axis reach inwards: one that stuck out would make its strip slimmer."""
LEGEND = 33
"""Height of one line of legend in pixels."""
Y_AXIS = {"minExtent": 40, "maxExtent": 40, "title": None, "tickCount": 3, "grid": True}
"""One width for all, so that strips under one another share their time axis to the pixel."""

Translate = Callable[[str], str]


def dropped_over_time(history: pd.DataFrame, layers: Sequence[int], translate: Translate = str) -> VegaChart:
    """Share of routes dropped, one line per layer, on the fixed domain 0 to 1. Blank where nothing was measured."""
    name = translate(N_("Layer {n}"))
    columns = {f"drop_rate.{layer}": name.format(n=layer + 1) for layer in layers}
    title = translate(N_("Dropped routes"))
    return _lines(history, columns, title, translate, domain=(0, 1), form="%", area=len(columns) == 1)


def entropies_over_time(history: pd.DataFrame, layer: int, n_experts: int, translate: Translate = str) -> VegaChart:
    """Both entropies of one layer on one scale, as parts of log E: how unsure about a token, and how even over the experts."""
    unsure = translate(N_("token entropy: how unsure"))
    columns = {f"token_entropy.{layer}": unsure, f"load_entropy.{layer}": translate(N_("load entropy: how even"))}
    title = translate(N_("Entropies, in parts of log E"))
    chart = _lines(history, columns, title, translate, domain=(0, 1), form="%")
    parts = {unsure: chart.columns[unsure] / np.float32(max(np.log(n_experts), 1e-12))}
    return VegaChart(chart.spec, chart.columns | parts)


def curve(
    history: pd.DataFrame,
    columns: Mapping[str, str],
    title: str,
    translate: Translate = str,
    domain: tuple[float, float] | None = None,
    form: str = ".3~g",
    fair: float | None = None,
    sparse: bool = False,
    batch: str | None = None,
    room: bool = False,
) -> VegaChart:
    """Lines of the given history columns (name -> label, as shown). domain: fixed y range;  form: d3 number format;  fair: a marked value;
    batch: what stands below the title, by default what the columns are means of;  room: of a line of legend, which a chart beside it has.

    sparse: some columns are measured at some steps only (held-out loss); their points are joined. Otherwise a blank breaks the line.
    """
    more: dict[str, Any] = {
        "domain": domain,
        "form": form,
        "fair": fair,
        "sparse": sparse,
        "batch": batch,
        "room": room,
    }
    return _lines(history, columns, title, translate, **more)


def compared(
    histories: Mapping[str, pd.DataFrame], column: str, title: str, translate: Translate = str, **more: Any
) -> VegaChart:
    """The same column of several runs (label -> history) on one scale: twins, or a branch beside its original."""
    last = newest_step(histories.values())
    frames = [
        pd.DataFrame(rows_of(rows, {column: label}, last=last)).set_index("step") for label, rows in histories.items()
    ]
    joined = pd.concat(frames, axis=1).sort_index().reset_index()
    joined.insert(0, "epoch", 0)
    options: dict[str, Any] = {"batch": batch_of([column]), **more}
    return _lines(
        joined,
        {label: label for label in histories},
        title,
        translate,
        limit=None,
        runs=True,
        **options,
    )


def newest_step(histories: Iterable[pd.DataFrame]) -> int:
    """The newest step of any of these; 0 where none has rows."""
    return max((int(rows["step"].iloc[-1]) for rows in histories if len(rows)), default=0)


def on_axis(chart: VegaChart, ends: tuple[int, int]) -> VegaChart:
    """The chart on a time axis that reaches from `ends[0]` to `ends[1]` at least: charts of runs that differ in length get the same one.

    The ends travel with the data (columns `axis_from`, `axis_to` of its first row), so the spec does not change while a run grows.
    """
    spec = copy.deepcopy(chart.spec)
    x = spec["layer"][0]["encoding"]["x"]
    span = {"x": {**x, "field": "axis_from"}, "x2": {"field": "axis_to"}}
    there = [{"filter": "isValid(datum.axis_from)"}]
    spec["layer"].append(
        {"transform": there, "mark": {"type": "rule", "opacity": 0, "tooltip": None}, "encoding": span}
    )
    columns: dict[str, np.ndarray] = {}
    for name, end in zip(AXIS, ends, strict=True):
        columns[name] = np.full(len(chart.data), np.nan)
        columns[name][:1] = end
    return VegaChart(spec, chart.columns | columns)


def without_time_axis(chart: VegaChart) -> VegaChart:
    """The chart without numbers on its time axis, for a strip that stands above another one with the same rows."""
    spec = copy.deepcopy(chart.spec)
    for layer in spec["layer"]:
        if "axis" in layer["encoding"].get("x", {}):
            layer["encoding"]["x"]["axis"] = {"labels": False, "ticks": False, "title": None, "grid": False}
    return VegaChart(spec, chart.values)


def thin(frame: pd.DataFrame, limit: int = MAX_POINTS) -> pd.DataFrame:
    """At most `limit` rows: the steps on the grid for the newest one, and the newest."""
    if len(frame) <= limit:
        return frame
    steps = frame["step"].to_numpy()
    keep = thinning.on_grid(steps, thinning.stride_for(int(steps[-1]), limit - 1))
    keep[-1] = True
    return frame.loc[keep]


def rows_of(
    history: pd.DataFrame, columns: Mapping[str, str], limit: int | None = MAX_POINTS, last: int | None = None
) -> dict[str, np.ndarray]:
    """Step and the named columns of the newest epoch; a column that the history lacks is blank, infinities too.

    Of at most `limit` rows (None: all), those on the grid for the newest step (or `last`, where that is later) and the newest. A sparse
    column keeps the steps at which it was measured; beside it the others stay blank there, so that they look the same with and without it.
    """
    epochs, steps = history["epoch"].to_numpy(), history["step"].to_numpy()
    where = np.flatnonzero(epochs == epochs.max()) if len(epochs) else np.empty(0, int)
    known, grid, drawn = set(history.columns), np.ones(len(where), bool), np.ones(len(where), bool)
    if limit is not None and len(where):
        end = max(int(steps[where[-1]]), last or 0)
        grid = thinning.on_grid(steps[where], thinning.stride_for(end, thinning.dense_limit(limit)))
        grid[-1] = True
        drawn = grid.copy()
        for name in known & set(columns) & set(thinning.SPARSE):
            drawn |= np.isfinite(history[name].to_numpy()[where])
    table = {"step": steps[where[drawn]]}
    for name, label in columns.items():
        values = history[name].to_numpy()[where] if name in known else np.full(len(where), np.nan, np.float32)
        there = np.isfinite(values) if name in thinning.SPARSE else np.isfinite(values) & grid
        table[label] = np.where(there, values, np.nan)[drawn]
    if not len(where):  # with a time axis, as when there are rows: nothing below moves when the first one comes
        return {"step": np.zeros(1, int), **{label: np.full(1, np.nan, np.float32) for label in columns.values()}}
    return table


def _lines(
    history: pd.DataFrame,
    columns: Mapping[str, str],
    title: str,
    translate: Translate,
    *,
    domain: tuple[float, float] | None = None,
    form: str = ".3~g",
    fair: float | None = None,
    area: bool = False,
    limit: int | None = MAX_POINTS,
    sparse: bool = False,
    batch: str | None = None,
    runs: bool = False,
    room: bool = False,
) -> VegaChart:
    names = list(columns.values())
    batch = batch_of(list(columns)) if batch is None else batch
    # series that are not experts stay out of the experts' colours: quiet tones, then dashes; of runs each has dashes of its own, so that
    # one that lies on another leaves it to be seen
    colors = [SERIES[i % len(SERIES)] for i in range(len(names))]
    dashes = [list(DASHES.values())[(i if runs else i // len(SERIES)) % 8] for i in range(len(names))]
    scale = {"domain": list(domain), "clamp": True} if domain else {"zero": False, "nice": True}
    legend = (
        None
        if len(names) == 1
        else {
            "orient": "top",
            "title": None,
            "offset": 2,
            "symbolType": "stroke",
            "columns": legend_columns(names),
            "labelLimit": 400,
        }
    )
    layer: dict[str, Any] = {
        "transform": [{"fold": names, "as": ["series", "value"]}, *([{"filter": "isValid(datum.value)"}] if sparse else [])],
        "mark": {"type": "line", "strokeWidth": 2, "clip": True, **({"type": "area", "line": True, "fillOpacity": 0.25} if area else {})},
        "encoding": {
            "y": {"field": "value", "type": "quantitative", "scale": scale, "axis": {**Y_AXIS, "format": form}},
            "color": {"field": "series", "type": "nominal", "scale": {"domain": names, "range": colors}, "legend": legend},
            "tooltip": [tip("step", translate(N_("Step")), "d"), tip("series", " "), tip("value", title, ".1%" if form == "%" else ".4~g")],
        },
    }  # fmt: skip
    if any(dashes):
        layer["encoding"]["strokeDash"] = {"field": "series", "type": "nominal", "scale": {"domain": names, "range": [d or [1, 0] for d in dashes]}, "legend": legend}  # fmt: skip
    layers = [layer]
    if fair is not None:
        mark = {"type": "rule", "strokeDash": [4, 4], "color": NEUTRAL}
        layers.append(
            {
                "data": {"values": [{"fair": fair}]},
                "mark": mark,
                "encoding": {"y": {"field": "fair", "type": "quantitative"}},
            }
        )
    return VegaChart(strip(layers, title, translate, batch, room), rows_of(history, columns, limit))


def legend_columns(names: Sequence[str]) -> dict[str, str]:
    """As many legend entries beside one another as fit; the chart knows its width only on the page."""
    return {"expr": f"max(1, floor(width / {26 + 6.3 * max(map(len, names), default=1):g}))"}


def time_axis(translate: Translate) -> dict[str, Any]:
    """The steps, from left to right, with numbers that say what they are."""
    # the first tick says what the axis is, so that a slim strip needs no line for a title
    first = translate(N_("step {number}")).replace("'", "’").format(number="' + datum.label + '")
    axis = {
        "title": None,
        "labelExpr": f"datum.index === 0 ? '{first}' : datum.label",
        "format": "d",
        "tickMinStep": 1,
        "grid": False,
        "labelFlush": FLUSH,
        "labelOverlap": True,
    }
    return {"field": "step", "type": "quantitative", "scale": {"zero": False, "nice": False}, "axis": axis}


def strip(layers: list[dict], title: str, translate: Translate, batch: str = "", room: bool = False) -> dict[str, Any]:
    """A slim strip; its time axis is the first layer's, whatever the others add."""
    x = time_axis(translate)
    for layer in layers:
        if "data" not in layer:
            layer["encoding"]["x"] = dict(x)
    return {
        "title": heading(title, batch, translate, offset=4 + LEGEND if room else 4),
        "height": STRIP,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
        "config": {"view": {"stroke": None}, "axis": {"labelFontSize": 11, "titleFontSize": 11}},
    }


def tip(field: str, title: str, form: str | None = None) -> dict[str, Any]:
    return {
        "field": field,
        "title": title,
        **({"format": form, "type": "quantitative"} if form else {"type": "nominal"}),
    }

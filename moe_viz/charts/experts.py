"""Figures about what experts are: their words, their change, their likeness, their bias, and what is lost without them. Plotly, for one moment.

As in `plotly_charts.py`: every function returns the figure and the table it was drawn from, on a fixed domain, so that two runs can be compared.
"""

from __future__ import annotations

import math
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from moe_viz.charts import plotly_charts
from moe_viz.charts.palette import DASHES, NEUTRAL, PLOTLY_PATTERNS, SERIES, expert_style
from moe_viz.charts.plotly_charts import PlotlyChart, Translate
from moe_viz.records import specialisation
from moe_viz.records.analysis import Ablation, Analysis, Geometry
from moe_viz.records.numbers import number
from moe_viz.records.token_identity import readable
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_

NAMED_TOKENS = 12
"""Token ids written on an expert's bar, its most faithful first."""
LEAST_SCALE = 0.05
"""The switch-off map's colours never reach full tone below this change of the loss: noise must not look like an effect."""


def vocabulary_bars(trace: RoutingTrace, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Per expert, the mean share that it gets of the token ids whose favourite it is; those ids are written on the bar."""
    table = specialisation.vocabulary_specialisation(trace)
    figure = go.Figure()
    numbers = [f"{i + 1}" for i in range(trace.n_experts)]
    mine = [table.loc[table["expert"] == i] for i in range(trace.n_experts)]
    shown = [" ".join(escape(readable(t, translate)) for t in part["token"].head(NAMED_TOKENS)) for part in mine]
    styles = [expert_style(i) for i in range(trace.n_experts)]
    figure.add_bar(
        y=numbers, x=[part["share"].mean() if len(part) else None for part in mine], orientation="h", text=shown, textposition="inside", insidetextanchor="start",
        textfont={"color": [s.ink for s in styles], "size": 13}, customdata=[len(part) for part in mine], constraintext="none", showlegend=False,
        hovertemplate=translate(N_("expert %{y}: favourite of %{customdata} token ids, which send it %{x:.0%} of their tokens")) + "<extra></extra>",
        marker={"color": [s.color for s in styles], "pattern": {"shape": [PLOTLY_PATTERNS[s.pattern] for s in styles]}},
    )  # fmt: skip
    figure.add_vline(1 / trace.n_experts, line={"color": NEUTRAL, "dash": "dash", "width": 1})
    mean = float(np.mean(table["share"])) if len(table) else math.nan
    title = translate(N_("Each expert's own tokens: an id sends its favourite {share} of its occurrences")).format(
        share=_percent(mean)
    )
    plotly_charts._dress(figure, title, theme, height=110 + 34 * trace.n_experts)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", title=translate(N_("expert")))
    names = [readable(t, translate) for t in table["token"]]
    return PlotlyChart(figure, table.assign(expert=table["expert"] + 1, token=names))


def change_curves(change: pd.DataFrame, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Saturation and settling of the probe batch over the run, one line per layer; the last point of both is 1 by definition."""
    titles = [
        translate(N_("Saturation: choices of then that are still today's")),
        translate(N_("Settled: tokens that have kept their expert ever since")),
    ]
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.04)
    dashes = [",".join(f"{n}px" for n in dash) or "solid" for dash in DASHES.values()]
    for layer in sorted(set(change["layer"].astype(int))):
        rows = change.loc[change["layer"] == layer]
        line = {"color": SERIES[layer % 2], "dash": dashes[layer // 2 % 8], "width": 2}
        name = translate(N_("layer {number}")).format(number=layer + 1)
        for column, what in enumerate(("saturation", "settled"), 1):
            figure.add_scatter(x=rows["step"], y=rows[what], mode="lines", line=line, name=name, showlegend=column == 1, row=1, col=column,
                               hovertemplate=translate(N_("step %{x}: %{y:.0%}")) + f"<extra>{escape(name)}</extra>")  # fmt: skip
    plotly_charts._dress(figure, translate(N_("How routing came to be what it is now")), theme, height=340)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_xaxes(title=translate(N_("step")))
    return PlotlyChart(figure, change.assign(layer=change["layer"] + 1))


def bias_lines(bias: pd.DataFrame, layer: int, n_experts: int, theme: str = "light", translate: Translate = str) -> PlotlyChart:  # fmt: skip
    """The selection bias of each expert over the run: pushed up while the expert has too few tokens, down while it has too many."""
    figure = go.Figure()
    columns = [f"bias.{layer}.{i}" for i in range(n_experts)]
    for i, column in enumerate(columns):
        style = expert_style(i)
        dash = ",".join(f"{n}px" for n in DASHES[style.pattern]) or "solid"
        figure.add_scatter(x=bias["step"], y=bias[column], mode="lines", name=f"{i + 1}", line={"color": style.color, "dash": dash, "width": 2}, text=[number(value, ".3f") for value in bias[column]],
                           hovertemplate=translate(N_("step %{x}: bias %{text}")) + f"<extra>{i + 1}</extra>")  # fmt: skip
    figure.add_hline(0, line={"color": NEUTRAL, "dash": "dash", "width": 1})
    plotly_charts._dress(figure, translate(N_("Selection bias of each expert")), theme, height=340)
    figure.update_xaxes(title=translate(N_("step")))
    figure.update_layout(legend={"y": -0.25})
    wide = bias.loc[:, ["step", *columns]].rename(columns={c: f"expert {i + 1}" for i, c in enumerate(columns)})
    return PlotlyChart(figure, wide)


def router_likeness(geometry: Geometry, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Cosine between router rows on the scale -1 to 1. Raises ValueError where the geometry has none."""
    if geometry.router_cosine is None:
        raise ValueError("this router has no rows to compare")
    title = translate(N_("Router rows: cosine between the directions two experts answer to"))
    return plotly_charts.matrices({"": geometry.router_cosine}, title, theme, translate, domain=(-1, 1), signed=True)


def expert_distances(geometry: Geometry, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Distance of expert weights on the scale 0 (the same) to the square root of 2 (opposite)."""
    title = translate(N_("Experts: distance of their weights (0 the same, 1 unrelated)"))
    return plotly_charts.matrices(
        {"": geometry.expert_distance}, title, theme, translate, domain=(0, float(np.sqrt(2)))
    )


def switched_off(ablation: Ablation, scale: float, analysis: Analysis, theme: str = "light", translate: Translate = str) -> PlotlyChart:  # fmt: skip
    """Rise of the loss per domain (rows) when an expert (columns) says nothing, on a scale shared by the runs compared.

    The table adds `served`, the part of the domain's tokens that choose the expert: correlation beside cause.
    """
    values = ablation.change().T
    title = translate(N_("Loss per domain without one expert (more: it was needed)"))
    names = [translate(domain) for domain in ablation.domains]
    chart = plotly_charts.matrices(
        {"": values}, title, theme, translate, domain=(-scale, scale), signed=True, names=names
    )
    chart.figure.update_traces(
        text=plotly_charts.written(values, "+.2f"), texttemplate="%{text}", textfont={"size": 11}
    )
    chart.figure.update_xaxes(title=translate(N_("expert switched off")))
    table = ablation.table()
    share = specialisation.domain_specialisation(analysis.traces[ablation.layer])
    served = [share.loc[expert, domain] for expert, domain in zip(table["expert"], table["domain"])]
    return PlotlyChart(chart.figure, table.assign(served=served, expert=table["expert"] + 1))


def scale_for(ablations: list[Ablation]) -> float:
    """A round end of the colour scale that holds every change of these ablations."""
    most = max((float(np.abs(a.change()).max(initial=0)) for a in ablations), default=0.0)
    steps = np.array([1, 2, 5, 10]) * 10.0 ** np.floor(np.log10(max(most, LEAST_SCALE)))
    return float(steps[steps >= max(most, LEAST_SCALE) - 1e-12][0])


def _percent(value: float) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.0%}"

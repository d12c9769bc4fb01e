"""Figures for paused or compared moments, in Plotly (it remounts when its data changes, so none of these may stand in a ticking view).

Every function returns a `PlotlyChart`: the figure and the table it was drawn from. Heat maps have fixed domains, so that panels and moments can be
compared; one hue for magnitude, a diverging scale only for signed differences; what was clipped is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from moe_viz.charts.palette import (
    DIVERGING,
    GRID,
    INK,
    MAGNITUDE,
    NEUTRAL,
    PLOTLY_PATTERNS,
    TEXT,
    expert_colors,
    expert_style,
)
from moe_viz.charts.style import SMALL
from moe_viz.records import metrics, specialisation
from moe_viz.records.numbers import number
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_

Translate = Callable[[str], str]
FONT = '"Source Sans", "Source Sans Pro", sans-serif'
DOUBLINGS = 3
"""The load heat map reaches from 1/8 to 8 times the fair share; what lies beyond is clipped and counted."""


@dataclass(frozen=True)
class PlotlyChart:
    """A figure and its data: the table twin and the CSV."""

    figure: go.Figure
    table: pd.DataFrame

    def _repr_mimebundle_(self, **which: Any) -> dict[str, Any]:
        """What Jupyter draws where a cell ends with this chart."""
        return self.figure._repr_mimebundle_(**which)


def load_heatmap(traces: Sequence[RoutingTrace], theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Layers as rows, experts as columns, colour = log2(E * share) on a fixed domain with the fair share, "1x", as its labelled middle.

    "Never routed" is a cross on the bare background, so that it cannot be taken for "rarely".
    """
    table = specialisation.relative_load(traces)
    grid = table.pivot(index="layer", columns="expert", values="log2")
    never = table.loc[~table["routed"]]
    beyond = int(np.sum(np.abs(table["log2"]) > DOUBLINGS))
    ticks = np.arange(-DOUBLINGS, DOUBLINGS + 1)
    names = [f"{2.0**t:g}×" if t >= 0 else f"1/{2 ** int(-t)}×" for t in ticks]
    texts = [[_times(value) for value in row] for row in grid.to_numpy()]
    heat = go.Heatmap(
        z=grid.clip(-DOUBLINGS, DOUBLINGS), x=[f"{i + 1}" for i in grid.columns], y=_layer_names(grid.index.tolist(), translate), text=texts,
        texttemplate="%{text}" if grid.shape[1] <= 8 else None, textfont={"color": INK[theme]}, hovertemplate=translate(N_("%{y}, expert %{x}: %{text} the fair share")) + "<extra></extra>",
        zmin=-DOUBLINGS, zmax=DOUBLINGS, colorscale=list(DIVERGING[theme]), xgap=2, ygap=2,
        colorbar={"tickvals": ticks, "ticktext": names, "thickness": 12},
    )  # fmt: skip
    figure = go.Figure(heat)
    if len(never):
        figure.add_scatter(
            x=[f"{i + 1}" for i in never["expert"]], y=_layer_names(list(never["layer"]), translate), mode="markers", name=translate(N_("never routed")),
            marker={"symbol": "x-thin", "size": 11 if grid.shape[1] <= 8 else 6, "line": {"width": 2, "color": NEUTRAL}}, hovertemplate=translate(N_("%{y}, expert %{x}: never routed")) + "<extra></extra>",
        )  # fmt: skip
    title = translate(N_("Load, in multiples of the fair share"))
    if beyond:
        title += below(translate(N_("{n} clipped to the ends of the scale")).format(n=beyond))
    _dress(figure, title, theme, height=150 + 44 * len(grid))
    figure.update_xaxes(title=translate(N_("expert")), showgrid=False, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return PlotlyChart(figure, table.assign(expert=table["expert"] + 1, layer=table["layer"] + 1))


def balance_scatter(trace: RoutingTrace, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """One dot per expert at (load f, mean probability P); curves join equal parts E*f*P of the balancing loss, which is the sum over the dots.

    The loss pushes P down, and by its slope E*f: experts far to the right most.
    """
    table = metrics.balance_terms(metrics.requested_counts(trace), metrics.mean_probs(trace))
    n_experts, figure = len(table), go.Figure()
    # two fixed windows, so that moments can be compared: around the fair share, or everything
    near = n_experts > 4 and table[["load", "probability"]].max().max() <= 4 / n_experts
    ends = 4 / n_experts if near else 1.08
    f = np.linspace(ends / 400, ends, 400)
    for part in 4.0 ** np.arange(-1, 4) / n_experts:
        p = part / (n_experts * f)
        inside = p <= ends
        if not inside.any():
            continue
        figure.add_scatter(
            x=f[inside],
            y=p[inside],
            mode="lines",
            line={"color": GRID[theme], "width": 1},
            hoverinfo="skip",
            showlegend=False,
        )
        label = {
            "text": f"{part:.2g}",
            "showarrow": False,
            "xanchor": "left",
            "font": {"size": SMALL, "color": TEXT[theme]},
        }
        if p[-1] > ends / 20:
            figure.add_annotation(x=ends, y=p[-1], **label)
    for line in (figure.add_hline, figure.add_vline):
        line(1 / n_experts, line={"color": NEUTRAL, "dash": "dash", "width": 1})
    styles = [expert_style(i) for i in table["expert"]]
    figure.add_scatter(
        x=table["load"], y=table["probability"], mode="markers+text", text=table["expert"] + 1, showlegend=False, customdata=table["term"],
        textfont={"color": [s.ink for s in styles], "size": 11}, marker={"color": [s.color for s in styles], "size": 21},
        hovertemplate=translate(N_("expert %{text}: load %{x:.1%}, mean probability %{y:.1%}, its part of the loss %{customdata:.3f}")) + "<extra></extra>",
    )  # fmt: skip
    loss = table.loc[:, "term"].sum(min_count=1)
    title = translate(N_("What the balancing loss sees: {value} now, 1 when even")).format(value=number(loss, ".2f"))
    _dress(figure, title, theme, height=420)
    figure.update_xaxes(title=translate(N_("load f")), range=[-0.05 * ends, ends], tickformat=".0%", showgrid=False)
    figure.update_yaxes(
        title=translate(N_("mean probability P")), range=[-0.05 * ends, ends], tickformat=".0%", showgrid=False
    )
    return PlotlyChart(figure, table.assign(expert=table["expert"] + 1))


def domain_bars(trace: RoutingTrace, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Per domain, the part of its tokens that choose each expert, with the chance line k/E and what shuffled labels give (grey, 5th-95th percentile)."""
    share = specialisation.domain_specialisation(trace)
    null = specialisation.domain_specialisation_null(trace)
    low, high = np.quantile(null, [0.05, 0.95], axis=0) if len(share.columns) else (np.empty((0, 0)),) * 2
    chance = (trace.expert >= 0).sum() / max(trace.n_tokens, 1) / trace.n_experts
    by = translate(N_("sequences with shuffled labels, 5–95 %") if specialisation.shuffles_sequences(trace) else N_("tokens with shuffled labels, 5–95 %"))  # fmt: skip
    # as they follow one another in the picture of the batch, which is how a reader knows them
    where = [list(share.columns).index(name) for name in dict.fromkeys(trace.group)]
    share, low, high = share.iloc[:, where], low[:, where], high[:, where]
    domains, styles = list(share.columns), [expert_style(i) for i in range(trace.n_experts)]
    across = min(max(len(domains), 1), 4)
    down = -(-max(len(domains), 1) // across)
    figure = make_subplots(rows=down, cols=across, shared_yaxes=True, shared_xaxes=True, subplot_titles=[escape(translate(str(d))) for d in domains], horizontal_spacing=0.02, vertical_spacing=0.25 / down)  # fmt: skip
    numbers = [f"{i + 1}" for i in range(trace.n_experts)]
    for i, domain in enumerate(domains):
        at: dict[str, Any] = {"row": i // across + 1, "col": i % across + 1}
        figure.add_bar(
            x=numbers, y=share[domain], **at, showlegend=False, hovertemplate=translate(N_("expert %{x}: %{y:.0%} of its tokens")) + "<extra></extra>",
            marker={"color": [s.color for s in styles], "pattern": {"shape": [PLOTLY_PATTERNS[s.pattern] for s in styles]}},
        )  # fmt: skip
        figure.add_scatter(
            x=numbers, y=(low[:, i] + high[:, i]) / 2, mode="markers", **at, marker={"size": 6, "symbol": "line-ns-open", "color": INK[theme]}, hoverinfo="skip",
            error_y={"array": (high[:, i] - low[:, i]) / 2, "color": INK[theme], "thickness": 1, "width": 3}, name=by, showlegend=i == 0,
        )  # fmt: skip
        figure.add_hline(chance, line={"color": NEUTRAL, "dash": "dash", "width": 1}, **at)
    value, by_chance = specialisation.domain_information(trace), specialisation.domain_information_null(trace)
    texts = translate(N_("Domain information {value}, by chance {chance}")).format(
        value=number(value, ".2f"), chance=number(by_chance.mean() if len(by_chance) else np.nan, ".2f")
    )
    title = translate(N_("Which experts each domain uses")) + below(texts)
    _dress(figure, title, theme, height=130 + 150 * down)
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    figure.update_xaxes(showgrid=False, type="category")
    long = share.reset_index().melt("expert", var_name="domain", value_name="share")
    band = {"chance": chance, "shuffled_low": low.T.reshape(-1), "shuffled_high": high.T.reshape(-1)}
    return PlotlyChart(figure, long.assign(expert=long["expert"] + 1, **band))


def co_activation(trace: RoutingTrace, theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """N(i, j)/N(i) over all pairs of choices, beside what independence would give at the same loads; one scale for both."""
    panels = {
        translate(N_("observed")): specialisation.co_activation(trace),
        translate(N_("if independent")): specialisation.co_activation_if_independent(trace),
    }
    title = translate(N_("Chosen together: tokens of the row's expert that also choose the column's"))
    return matrices(panels, title, theme, translate)


def matrices(panels: dict[str, np.ndarray], title: str, theme: str = "light", translate: Translate = str, domain: tuple[float, float] = (0, 1), signed: bool = False, names: Sequence[str] | None = None) -> PlotlyChart:  # fmt: skip
    """Expert x expert (or names x expert) tables side by side on one fixed domain. signed: diverging colours around 0. NaN stays blank."""
    figure = make_subplots(
        rows=1, cols=len(panels), subplot_titles=list(panels), shared_yaxes=True, horizontal_spacing=0.05
    )
    tables, clipped = [], 0
    for column, (panel, values) in enumerate(panels.items(), 1):
        rows = list(names) if names is not None else [f"{i + 1}" for i in range(values.shape[0])]
        columns = [f"{i + 1}" for i in range(values.shape[1])]
        clipped += int((values < domain[0]).sum() + (values > domain[1]).sum())
        figure.add_heatmap(z=np.clip(values, *domain), text=written(values), x=columns, y=rows, coloraxis="coloraxis", xgap=1, ygap=1, row=1, col=column,
                           hovertemplate="%{y} → %{x}: %{text}<extra></extra>")  # fmt: skip
        wide = pd.DataFrame(values, index=pd.Index(rows, name="row"), columns=columns)
        tables.append(wide.reset_index().melt("row", var_name="column", value_name="value").assign(panel=panel))
    if clipped:
        title += below(translate(N_("{n} clipped to the ends of the scale")).format(n=clipped))
    _dress(figure, title, theme, height=130 + 26 * min(max((len(v) for v in panels.values()), default=1), 20))
    scale = list((DIVERGING if signed else MAGNITUDE)[theme])
    figure.update_layout(
        coloraxis={"colorscale": scale, "cmin": domain[0], "cmax": domain[1], "colorbar": {"thickness": 12}}
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(showgrid=False, type="category")
    return PlotlyChart(figure, pd.concat(tables, ignore_index=True))


def written(values: np.ndarray, form: str = ".3f") -> list[list[str]]:
    """A matrix as text: what Plotly formats by itself has a hyphen for a minus."""
    return [[number(value, form) for value in row] for row in np.asarray(values, float)]


def path_sankey(traces: Sequence[RoutingTrace], theme: str = "light", translate: Translate = str) -> PlotlyChart:
    """Tokens flowing from the expert that computed them in one layer to that of the next; grey: no expert computed them."""
    width = max((trace.n_experts for trace in traces), default=0) + 1
    rows = []
    for below, (here, above) in enumerate(pairwise(traces)):
        counts = specialisation.path_counts(here, above)
        for i, j in zip(*np.nonzero(counts)):
            rows.append((below, i if i < here.n_experts else -1, j if j < above.n_experts else -1, int(counts[i, j])))
    flow = pd.DataFrame(rows, columns=["layer", "from", "to", "tokens"])
    node = [layer * width + expert % width for layer, expert in zip(flow["layer"], flow["from"])]
    target = [(layer + 1) * width + expert % width for layer, expert in zip(flow["layer"], flow["to"])]
    used = sorted({*node, *target})
    place = {n: i for i, n in enumerate(used)}
    colors = [*expert_colors(width - 1), NEUTRAL]
    names = [translate(N_("none")) if n % width == width - 1 else f"{n % width + 1}" for n in used]
    figure = go.Figure(go.Sankey(
        node={"label": names, "color": [colors[n % width] for n in used], "pad": 8, "thickness": 14, "line": {"width": 0}},
        link={"source": [place[n] for n in node], "target": [place[n] for n in target], "value": flow["tokens"], "color": [_faint(colors[n % width]) for n in node]},
    ))  # fmt: skip
    _dress(figure, translate(N_("Paths of the probe tokens from layer to layer")), theme, height=380)
    share = flow["tokens"] / flow.groupby(["layer", "from"])["tokens"].transform("sum")
    shown = flow.assign(share=share, layer=flow["layer"] + 1, **{end: flow[end].where(flow[end] < 0, flow[end] + 1).replace(-1, pd.NA) for end in ("from", "to")})  # fmt: skip
    return PlotlyChart(figure, shown)


STAMP_LINE = 50
"""Characters that fit on a phone."""


def stamped(chart: PlotlyChart, text: str) -> PlotlyChart:
    """The chart with small lines at the foot that say what made it, so that a saved picture does, too. " · " in `text` is where a line may end."""
    figure = go.Figure(chart.figure)
    lines = [""]
    for part in text.split(" · "):
        if lines[-1] and len(lines[-1]) + len(part) > STAMP_LINE:
            lines.append(part)
        else:
            lines[-1] = f"{lines[-1]} · {part}" if lines[-1] else part
    layout: Any = figure.layout
    below = (layout.margin.b or 44) + 6 + 14 * len(lines)
    figure.add_annotation(
        text="<br>".join(escape(line) for line in lines),
        align="right",
        xref="paper",
        yref="paper",
        x=1,
        y=0,
        xanchor="right",
        yanchor="bottom",
        yshift=-below,
        showarrow=False,
        font={"size": SMALL},
    )
    figure.update_layout(margin_b=below, height=(layout.height or 400) + 6 + 14 * len(lines))
    figure.update_xaxes(title_standoff=4)
    return PlotlyChart(figure, chart.table)


def below(text: str) -> str:
    """A second, smaller line of a title."""
    return f'<br><span style="font-size: {SMALL}px">{text}</span>'


def _dress(figure: go.Figure, title: str, theme: str, height: int) -> None:
    ink = {"color": INK[theme], "size": 12, "family": FONT}
    figure.update_annotations(font_size=12, selector={"xanchor": "center"})
    figure.update_layout(
        template="none", title={"text": title, "font": {**ink, "size": 14}, "x": 0, "xref": "container", "y": 1, "yanchor": "top", "yref": "container", "pad": {"t": 18}}, font=ink, height=height,
        margin={"l": 60, "r": 24, "t": 64, "b": 44}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", legend={"orientation": "h", "y": -0.12, "x": 0}, bargap=0.15,
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID[theme], zeroline=False)
    figure.update_yaxes(gridcolor=GRID[theme], zeroline=False)


def _layer_names(layers: Sequence[int], translate: Translate) -> list[str]:
    return [translate(N_("layer {number}")).format(number=layer + 1) for layer in layers]


def _times(log2: float) -> str:
    return "" if np.isnan(log2) else f"{2**log2:.2g}×"


def _faint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"

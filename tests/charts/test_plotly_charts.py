"""Frozen figures: what is drawn is what the trace says, on fixed domains, with the uniform case marked."""

import numpy as np
import pytest

from moe_viz.charts import plotly_charts
from moe_viz.charts.palette import expert_style
from tests.records.traces import seeded_trace, trace_of


def all_figures(one, two, theme="light"):
    return {
        "heat": plotly_charts.load_heatmap([one, two], theme),
        "scatter": plotly_charts.balance_scatter(one, theme),
        "domains": plotly_charts.domain_bars(one, theme),
        "together": plotly_charts.co_activation(one, theme),
        "paths": plotly_charts.path_sankey([one, two], theme),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("n, k, n_experts", [(64, 2, 8), (64, 1, 1), (1, 1, 4), (128, 8, 64)])
def test_every_figure_draws_and_has_a_table(n, k, n_experts, theme):
    one, two = (seeded_trace(0, n=n, k=k, n_experts=n_experts, layer=layer) for layer in range(2))
    for name, chart in all_figures(one, two, theme).items():
        assert chart.figure.to_json() and len(chart.table), name
        assert chart.figure.layout.title.text


def test_an_empty_batch_draws_empty_figures():
    empty, above = (trace_of(np.empty((0, 2)), 4, layer=layer) for layer in range(2))
    for chart in all_figures(empty, above).values():
        assert chart.figure.to_json() and "nan" not in chart.figure.layout.title.text


def test_heat_map_has_a_fixed_domain_a_labelled_middle_and_marks_never():
    chart = plotly_charts.load_heatmap([trace_of([0] * 63 + [1], 32)])
    heat, never = chart.figure.data
    assert (heat.zmin, heat.zmax) == (-3, 3) and heat.colorbar.ticktext[3] == "1×" and heat.colorbar.tickvals[3] == 0
    assert heat.z[0][0] == 3 and "1 clipped" in chart.figure.layout.title.text  # 31.5 times the fair share
    assert len(never.x) == 30 and np.isnan(heat.z[0][2])


def test_scatter_adds_up_to_the_loss_and_marks_fair():
    probs = np.tile([0.7, 0.1, 0.1, 0.1], (4, 1))
    chart = plotly_charts.balance_scatter(trace_of([0, 0, 0, 1], 4, probs=probs))
    dots = next(trace for trace in chart.figure.data if trace.mode == "markers+text")
    assert chart.table["term"].sum() == pytest.approx(4 * (0.75 * 0.7 + 0.25 * 0.1))
    assert f"{chart.table['term'].sum():.2f}" in chart.figure.layout.title.text
    assert list(dots.marker.color) == [expert_style(i).color for i in range(4)] and list(dots.text) == [1, 2, 3, 4]
    assert {shape.x0 for shape in chart.figure.layout.shapes} >= {0.25}


def test_domain_bars_carry_chance_and_null():
    trace = seeded_trace(0, n=400, k=2)
    chart = plotly_charts.domain_bars(trace)
    assert chart.table["chance"].unique().tolist() == [0.25]
    assert chart.table.groupby("domain")["share"].sum().tolist() == pytest.approx([2] * 4)
    assert (chart.table["shuffled_low"] <= chart.table["shuffled_high"]).all()
    inside = chart.table["share"].between(chart.table["shuffled_low"] - 0.05, chart.table["shuffled_high"] + 0.05)
    assert inside.mean() > 0.9  # this trace's routing knows nothing of its labels
    for domain, bar in zip(dict.fromkeys(trace.group), [t for t in chart.figure.data if t.type == "bar"], strict=True):
        assert list(bar.y) == chart.table.loc[chart.table["domain"] == domain, "share"].tolist()


def test_both_co_activation_panels_share_one_scale():
    chart = plotly_charts.co_activation(seeded_trace(0, k=3))
    assert [heat.coloraxis for heat in chart.figure.data] == ["coloraxis", "coloraxis"]
    assert (chart.figure.layout.coloraxis.cmin, chart.figure.layout.coloraxis.cmax) == (0, 1)
    assert chart.table["panel"].unique().tolist() == ["observed", "if independent"]


def test_clipped_values_are_printed():
    chart = plotly_charts.matrices({"a": np.array([[0.5, 7.0]])}, "Title", domain=(0, 1))
    assert "1 clipped" in chart.figure.layout.title.text and chart.table["value"].tolist() == [0.5, 7.0]


def test_sankey_keeps_every_token_and_shows_those_without_an_expert():
    here = trace_of([0, 0, 1, 1], 2, kept=[1, 1, 1, 0])
    chart = plotly_charts.path_sankey([here, trace_of([1, 1, 1, 0], 2, layer=1)])
    assert sum(chart.figure.data[0].link.value) == 4 and "none" in chart.figure.data[0].node.label
    assert chart.table.loc[chart.table["from"] == 1, ["to", "tokens", "share"]].values.tolist() == [[2, 2, 1.0]]
    assert chart.table["from"].isna().sum() == 1


def test_hovers_survive_labels_with_markup():
    """Domain names come from files and users: Plotly shows a small set of tags, so none may come through."""
    trace = trace_of([0, 1], 2, group=["<b>a</b>", "b"])
    titles = [note.text for note in plotly_charts.domain_bars(trace).figure.layout.annotations]
    assert not any("<b>" in title for title in titles)

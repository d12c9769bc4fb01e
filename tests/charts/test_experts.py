"""Figures about experts against the records they are drawn from."""

import numpy as np
import pandas as pd
import pytest

from moe_viz.charts import experts as charts
from moe_viz.charts import plotly_charts
from moe_viz.records.analysis import Ablation, Analysis, Geometry
from tests.records.traces import trace_of


@pytest.fixture
def ablation():
    group = np.array(["a", "b", "a", "b"])
    return Ablation(10, 1, group, np.zeros(4), np.array([[1, 0, 3, 0], [0, 1, 0, 1.0]]))


def test_vocabulary_bars_show_the_mean_share_and_name_the_tokens():
    tokens = ["x"] * 10 + ["<b>"] * 20 + ["rare"]
    trace = trace_of([0] * 10 + [1] * 15 + [0] * 5 + [2], 3, tokens=tokens)
    chart = charts.vocabulary_bars(trace)
    bar = chart.figure.data[0]
    assert list(bar.x) == [1.0, 0.75, None]
    assert bar.text[0] == "x" and bar.text[1] == "&lt;b&gt;", "a token must not be read as markup"
    assert chart.table["expert"].tolist() == [1, 2], "ids seen fewer than ten times are left out"


def test_change_curves_have_one_line_per_layer_and_panel():
    change = pd.DataFrame(
        {"step": [0, 9] * 2, "layer": [0, 0, 1, 1], "saturation": [0.2, 1, 0.4, 1], "settled": [0, 1, 0.5, 1]}
    )
    lines = charts.change_curves(change).figure.data
    assert [list(line.y) for line in lines] == [[0.2, 1], [0, 1], [0.4, 1], [0.5, 1]]


def test_bias_lines_are_one_per_expert():
    bias = pd.DataFrame({"step": [1, 2], "bias.1.0": [0.0, 0.1], "bias.1.1": [0.0, -0.1]})
    chart = charts.bias_lines(bias, 1, 2)
    assert [list(line.y) for line in chart.figure.data] == [[0, 0.1], [0, -0.1]]
    assert list(chart.table) == ["step", "expert 1", "expert 2"]


def test_switched_off_has_domains_as_rows_on_a_scale_both_runs_share(ablation):
    trace = trace_of([0, 0, 0, 1], 2, group=["a", "a", "b", "b"])
    looked = Analysis(10, 0, {}, [trace, trace], [], pd.DataFrame(), pd.DataFrame())
    chart = charts.switched_off(ablation, 5.0, looked)
    heat = chart.figure.data[0]
    assert np.asarray(heat.z).tolist() == [[2, 0], [0, 1]] and list(heat.y) == ["a", "b"]
    assert (chart.figure.layout.coloraxis.cmin, chart.figure.layout.coloraxis.cmax) == (-5, 5)
    assert chart.table["expert"].tolist() == [1, 2, 1, 2]
    assert chart.table["served"].tolist() == [1, 0, 0.5, 0.5]


@pytest.mark.parametrize(("most", "scale"), [(0.0, 0.05), (0.03, 0.05), (0.07, 0.1), (1.684, 2.0), (6.0, 10.0)])
def test_the_scale_is_round_and_never_makes_noise_look_large(most, scale):
    seen = Ablation(0, 0, np.array(["a"]), np.zeros(1), np.array([[most]]))
    assert charts.scale_for([seen]) == pytest.approx(scale)


def test_geometry_on_fixed_scales():
    geometry = Geometry(0, np.array([[1, -0.5], [-0.5, 1]]), np.array([[0, 1.2], [1.2, 0]]))
    rows, apart = charts.router_likeness(geometry), charts.expert_distances(geometry)
    assert rows.figure.layout.coloraxis.cmin == -1 and apart.figure.layout.coloraxis.cmin == 0
    assert apart.table["value"].max() == pytest.approx(1.2)


def test_a_stamp_says_what_made_the_picture_and_leaves_the_original_alone():
    plain = charts.bias_lines(pd.DataFrame({"step": [1, 2], "bias.0.0": [0.0, 0.1]}), 0, 1)
    made = plotly_charts.stamped(plain, "moe_viz · seed 7 · <b>")
    assert made.figure.layout.annotations[-1].text == "moe_viz · seed 7 · &lt;b&gt;"
    assert not plain.figure.layout.annotations and made.table is plain.table

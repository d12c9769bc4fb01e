"""Pictures beside one another: axes that do not depend on the values, and data that is the record's own."""

import altair as alt
import numpy as np
import pandas as pd
import pytest

from moe_viz.charts.side_by_side import APART, NEAR, differences, experts_per_token, matrix, overlay, spread
from tests.records.test_differences import trace


def test_histogram_counts_tokens_on_a_fixed_axis():
    found = experts_per_token(trace([[True, True], [True, False], [False, False], [True, True]]))
    assert found.data["experts"].tolist() == ["0", "1", "2", "3", "4"]
    assert found.data["tokens"].tolist() == [1, 1, 2, 0, 0] and found.data["share"].sum() == 1
    other = experts_per_token(trace([[True]]))
    assert other.spec == found.spec


def test_histogram_of_many_experts_ends_in_an_open_bar():
    wide = trace(np.ones((3, 12), bool))
    wide = type(wide)(**{**vars(wide), "probs": np.full((3, 16), 1 / 16)})
    found = experts_per_token(wide).data
    assert found["experts"].tolist()[-1] == "8+" and found["tokens"].tolist() == [0] * 8 + [3]


def test_matrix_lays_slots_side_by_side_and_keeps_every_weight():
    values = np.arange(2 * 3 * 2, dtype=float).reshape(2, 3, 2) / 12
    found = matrix(values, 2, "title")
    assert found.data["slot"].tolist()[:6] == ["1.1", "1.2", "2.1", "2.2", "3.1", "3.2"]
    assert found.data["weight"].to_numpy() == pytest.approx(np.arange(12) / 12)
    assert found.data["token"].tolist() == [1] * 6 + [2] * 6
    assert matrix(values * 0.5, 2, "title").spec == found.spec


def test_matrix_shows_the_first_tokens_and_slots_only():
    values = np.random.default_rng(0).random((300, 8, 16))
    found = matrix(values, 100, "title").data
    assert len(found) == 64 * 32
    assert found["weight"].to_numpy() == pytest.approx(values.reshape(300, 128)[:64, :32].ravel(), rel=1e-6)


def test_overlay_puts_runs_on_one_time_axis():
    one = pd.DataFrame({"epoch": 0, "step": [1, 2, 3], "loss": [3.0, 2.0, 1.0]})
    two = pd.DataFrame({"epoch": 0, "step": [1, 2, 3], "loss": [3.0, 2.5, np.nan]})
    found = overlay({"A": one, "B": two}, "loss", "Loss", scale=2)
    assert found.data["step"].tolist() == [1, 2, 3]
    assert found.data["A"].tolist() == [6, 4, 2] and found.data["B"].tolist()[:2] == [6, 5]
    assert np.isnan(found.data["B"][2])


def runs(gap, n=40):
    """Two losses that fall from 3 to 1, `gap` apart."""
    steps = np.arange(1, n + 1)
    fall = 1 + 2 * np.exp(-steps / 8)
    return {
        name: pd.DataFrame({"epoch": 0, "step": steps, "loss": fall + add}) for name, add in (("A", 0.0), ("B", gap))
    }


def test_curves_that_hide_each_other_are_found_and_drawn_as_a_difference_from_a_named_baseline():
    assert spread(runs(0.02), "loss") < NEAR and spread(runs(0.5), "loss") > APART
    chart = differences(runs(0.02), "loss", "Loss", scale=10)
    assert chart.spec["title"]["text"] == "Loss: difference from A"
    assert "A" not in chart.data and chart.data["B"].to_numpy() == pytest.approx(0.2, abs=1e-6)
    alt.Chart.from_dict({**chart.spec, "data": {"values": []}})
    line, zero, names = chart.spec["layer"]
    assert line["transform"][0]["fold"] == ["B"] and zero["data"]["values"] == [{"fair": 0.0}]
    assert names["mark"]["type"] == "text" and names["encoding"]["text"] == {"field": "series"}
    same = overlay(runs(0.02), "loss", "Loss").spec["layer"][0]["encoding"]["color"]["scale"]
    assert line["encoding"]["color"]["scale"] == same, "a run keeps its colour"
    assert chart.spec == differences(runs(0.3), "loss", "Loss", scale=10).spec


def test_a_spread_needs_two_runs_with_common_steps():
    one = runs(0.1)
    assert spread({"A": one["A"]}, "loss") is None and spread(one, "nothing") is None
    assert spread({"A": one["A"], "B": one["B"].assign(loss=np.nan)}, "loss") is None
    assert spread({"A": one["A"].assign(loss=1.0), "B": one["B"].assign(loss=1.0)}, "loss") == 0


def test_curves_that_a_fixed_axis_lays_on_one_another_are_near_equal_whatever_their_own_range_is():
    steps = np.arange(1, 41)
    flat = {name: pd.DataFrame({"epoch": 0, "step": steps, "h": 0.99 + 0.002 * i}) for i, name in enumerate("AB")}
    assert spread(flat, "h") > APART and spread(flat, "h", drawn=1.0) < NEAR
    assert spread(runs(0.5), "loss", drawn=1.0) > APART


def test_of_runs_on_one_pair_of_axes_each_has_dashes_of_its_own():
    spec = overlay(dict(zip("ABCD", [*runs(0).values()] * 2)), "loss", "L").spec
    dashes = spec["layer"][0]["encoding"]["strokeDash"]["scale"]["range"]
    assert len({tuple(dash) for dash in dashes}) == 4

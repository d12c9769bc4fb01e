"""Pictures of a collapse: their data is the record's, their spec stands still while values tick."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from moe_viz.charts.collapse import NEAR, ledger_bars, push_scatter, with_marks
from moe_viz.charts.time_series import dropped_over_time
from moe_viz.records.collapse import balance_push, ledger
from tests.components.traces import make_trace


def history(n):
    return pd.DataFrame({"epoch": 0, "step": range(1, n + 1), "drop_rate.0": np.linspace(0, 0.5, n)})


def test_marks_stand_at_their_steps_and_leave_the_spec_alone():
    chart = dropped_over_time(history(30), [0])
    none, two = with_marks(chart, []), with_marks(chart, [(5, "1"), (17, "2")])
    assert none.spec == two.spec
    shown = two.data.dropna(subset="mark")
    assert list(zip(shown["mark"], shown["label"])) == [(5, "1"), (17, "2")]
    assert "mark" not in chart.data


def test_more_marks_than_rows_keep_the_newest():
    chart = with_marks(dropped_over_time(history(1), [0]), [(0, "1"), (1, "2")])
    assert chart.data["label"].tolist() == ["2"]
    at_start = with_marks(dropped_over_time(history(0), [0]), [(0, "1")]).data
    assert at_start[["step", "mark", "label"]].to_numpy().tolist() == [[0, 0, "1"]] and at_start["Layer 1"].isna().all()


def test_ledger_bars_show_the_three_shares():
    measured = {"load": [[0.9, 0.1]], "grad_share": [[0.7, 0.3]], "router_grad_share": [[0.5, 0.5]]}
    one = ledger_bars(ledger(measured, 0))
    assert one.data.iloc[0].tolist() == [1, 0.9, 0.7, 0.5]
    other = ledger_bars(ledger(measured | {"load": [[0.2, 0.8]]}, 0))
    assert one.spec == other.spec


def test_scatter_points_where_the_loss_pushes():
    trace = make_trace()
    chart, table = push_scatter(trace), balance_push(trace)
    assert chart.data["load"].tolist() == table["load"].tolist()
    moved = chart.data["tip"] - chart.data["probability"]
    assert np.sign(moved.to_numpy()).tolist() == np.sign(table["push"].to_numpy()).tolist()
    assert chart.data["term"].sum() == pytest.approx(table["term"].sum())


def test_curves_of_equal_parts_end_at_the_axes_and_are_not_bent_there():
    for n_experts in (2, 4, 8):
        spec = push_scatter(make_trace(n_tokens=64, k=1, n_experts=n_experts)).spec
        end = spec["layer"][1]["encoding"]["y"]["scale"]["domain"][1]
        curves = pd.DataFrame(spec["layer"][0]["data"]["values"])
        for part, curve in curves.groupby("part"):
            assert curve["P"].max() == pytest.approx(end, rel=1e-3) and curve["f"].max() == pytest.approx(end, rel=1e-3)
            assert (n_experts * curve["f"] * curve["P"]).to_numpy() == pytest.approx(float(part), rel=0.02)


def test_bars_fill_their_window_and_moments_share_one_of_two():
    def top(largest):
        measured = {"load": [[largest, 1 - largest]], "grad_share": [[0.2, 0.2]], "router_grad_share": [[0.2, 0.2]]}
        return ledger_bars(ledger(measured, 0)).spec["layer"][0]["encoding"]["y"]["scale"]["domain"][1]

    assert top(0.9) == 1
    eight = {name: [[0.125] * 8] for name in ("load", "grad_share", "router_grad_share")}
    assert ledger_bars(ledger(eight, 0)).spec["layer"][0]["encoding"]["y"]["scale"]["domain"][1] == NEAR

"""Ticking charts: valid Vega-Lite, a spec that does not change with the values, honest data beside it."""

import json

import altair as alt
import numpy as np
import pandas as pd
import pytest

from moe_viz.charts import counts, time_series
from moe_viz.charts.load import load_over_time
from moe_viz.charts.palette import expert_style
from moe_viz.charts.sizes import total_and_active
from tests.records.traces import seeded_trace, trace_of


def history(n=50, n_experts=4, seed=0, epoch=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"epoch": epoch, "step": np.arange(1, n + 1), "loss": rng.random(n), "drop_rate.0": rng.random(n)}
    )
    load = rng.dirichlet(np.ones(n_experts), n)
    for i in range(n_experts):
        frame[f"load.0.{i}"] = load[:, i]
    return frame.assign(**{"token_entropy.0": np.log(n_experts) / 2, "load_entropy.0": 0.9})


@pytest.mark.parametrize("words", [str, {"step {number}": "шаг {number}"}.get])
def test_no_number_of_a_time_axis_sticks_out_of_its_strip(words):
    """Strips under one another have one time axis: one that makes room for a number at its end is slimmer than the others."""
    axis = time_series.time_axis(words)["axis"]
    first = axis["labelExpr"].replace("' + datum.label + '", "100000").split("'")[1]
    a_letter = 0.62 * 11  # pixels of the font
    assert axis["labelFlush"] >= len(first) * a_letter / 2


SIZES = pd.DataFrame(
    {
        "name": ["small", "large", "late"],
        "year": [2021, 2021, 2024],
        "total": [2.0, 900.0, 30.0],
        "active": [0.5, 9.0, 3.0],
    }
)


def charts_of(rows, trace, n_experts=4):
    return {
        "load": load_over_time(rows, 0, n_experts),
        "dropped": time_series.dropped_over_time(rows, [0]),
        "dropped in two layers": time_series.dropped_over_time(rows, [0, 1]),
        "loss": time_series.curve(rows, {"loss": "loss"}, "Loss", fair=1.0),
        "entropies": time_series.entropies_over_time(rows, 0, n_experts),
        "twins": time_series.compared({"this": rows, "twin": rows}, "loss", "Loss"),
        "bare": time_series.without_time_axis(load_over_time(rows, 0, n_experts)),
        "per token": counts.experts_per_token(trace),
        "capacity": counts.drops_by_capacity(trace, [0.5, 1, 2], 1.0),
        "settled": counts.settled(np.stack([trace.expert[:, 0]] * 3), [0, 1, 2]),
        "sizes": total_and_active(SIZES),
        **{key: counts.drops_by(trace, key) for key in ("position", "group", "expert", "frequency")},
    }


@pytest.mark.parametrize("n_experts", [1, 4, 64])
def test_specs_are_valid_and_do_not_depend_on_values(n_experts):
    one = charts_of(history(50, n_experts), seeded_trace(1, k=1, n_experts=n_experts), n_experts)
    other = charts_of(history(80, n_experts, seed=1), seeded_trace(2, k=1, n_experts=n_experts), n_experts)
    for name, chart in one.items():
        alt.Chart.from_dict(
            {**chart.spec, "data": {"name": "x"}}
            if "layer" not in chart.spec
            else {**chart.spec, "data": {"values": []}}
        )
        assert json.dumps(chart.spec) == json.dumps(other[name].spec), name
        assert "NaN" not in json.dumps(chart.spec)


def test_long_histories_are_thinned_to_200_real_rows():
    rows = history(3000)
    data = time_series.curve(rows, {"loss": "loss"}, "Loss").data
    assert len(data) <= 200 and data["step"].iloc[-1] == 3000
    assert data["loss"].tolist() == rows.set_index("step")["loss"][data["step"]].tolist()
    longer = time_series.curve(history(3010), {"loss": "loss"}, "Loss").data
    assert set(data["step"]) - {3000} <= set(longer["step"])


def test_missing_is_blank_and_only_the_newest_start_is_shown():
    rows = pd.concat([history(5), history(3, epoch=1)])
    data = time_series.dropped_over_time(rows, [0, 1]).data
    assert data["step"].tolist() == [1, 2, 3] and data["Layer 2"].isna().all() and data["Layer 1"].notna().all()
    rows.loc[rows.index[-1], "loss"] = np.inf
    assert time_series.curve(rows, {"loss": "loss"}, "Loss").data["loss"].isna().tolist() == [False, False, True]


def test_load_has_the_experts_colours_and_the_fair_borders():
    chart = load_over_time(history(), 0, 4)
    bands, even, _ = chart.spec["layer"]
    assert bands["encoding"]["color"]["scale"]["range"] == [expert_style(i).color for i in range(4)]
    assert [row["at"] for row in even["data"]["values"]] == [0.25, 0.5, 0.75]
    assert bands["encoding"]["y"]["scale"]["domain"] == [0, 1]
    np.testing.assert_allclose(chart.table[[f"expert {i}" for i in range(1, 5)]].sum(1), 1)


def test_entropies_share_one_scale():
    data = time_series.entropies_over_time(history(), 0, 4).data
    assert data.iloc[0, 1] == pytest.approx(0.5) and data.iloc[0, 2] == 0.9


def test_texts_are_translated():
    spec = load_over_time(history(), 0, 4, lambda text: f"«{text}»").spec
    assert spec["title"]["text"] == "«Load per expert»"
    assert load_over_time(
        history(), 0, 4, lambda text: "l'étape {number}"
    ).spec  # an apostrophe must not end the expression
    assert "l’étape" in json.dumps(
        load_over_time(history(), 0, 4, lambda text: "l'étape {number}").spec, ensure_ascii=False
    )


def test_empty_records_still_draw():
    empty = pd.DataFrame({"epoch": [], "step": []})
    for chart in charts_of(empty, trace_of(np.empty((0, 1)), 4)).values():
        assert chart.spec and chart.table is not None


def test_charts_of_runs_of_different_length_share_a_time_axis():
    """The strips of a branch that begins at step 31 stand below those of its origin, and the playhead crosses both at one x."""
    whole, late = history(60), history(60).iloc[30:]
    for chart in charts_of(late, seeded_trace(1, n_experts=4)).values():
        if (
            "field" not in chart.spec["layer"][0]["encoding"].get("x", {})
            or chart.spec["layer"][0]["encoding"]["x"]["field"] != "step"
        ):
            continue
        spread = time_series.on_axis(chart, (1, 60))
        alt.Chart.from_dict({**spread.spec, "data": {"values": []}})
        assert (spread.data["axis_from"].iloc[0], spread.data["axis_to"].iloc[0]) == (1, 60)
        assert "axis_from" not in spread.table and spread.table.equals(chart.table)
        assert spread.spec == time_series.on_axis(chart, (1, 90)).spec, "a growing run must not remount its charts"
    joined = time_series.compared({"original": whole, "branch": late}, "loss", "Loss").data
    assert joined["branch"].isna().tolist() == [True] * 30 + [False] * 30


@pytest.mark.parametrize("n_experts, last", [(8, 900), (32, 901)])
def test_an_unchanged_branch_is_drawn_as_its_origin(n_experts, last):
    """Its rows begin later and are fewer; the steps drawn, and so its curve, are the origin's."""
    whole = history(last, n_experts)
    branch = whole.iloc[300 : last - 40]
    one, two = (load_over_time(rows, 0, n_experts, last=last).data.set_index("step") for rows in (whole, branch))
    both = one.loc[[step for step in one.index if 301 <= step < last - 40]]
    assert both.equals(two.loc[two.index < last - 40])
    drawn = time_series.compared({"original": whole, "branch": branch}, "loss", "Loss").data
    inner = drawn[(drawn["step"] >= 301) & (drawn["step"] < last - 40)]
    assert inner["original"].equals(inner["branch"].rename("original"))


def test_a_held_out_curve_keeps_its_points_and_leaves_the_loss_as_it_was():
    rows = history(3000).assign(task_metric=np.where(np.arange(1, 3001) % 77 == 0, 1.0, np.nan))
    alone = time_series.curve(rows, {"loss": "loss"}, "Loss").data.dropna().set_index("step")["loss"]
    beside = time_series.curve(rows, {"loss": "loss", "task_metric": "held out"}, "Loss", sparse=True).data
    assert beside.dropna(subset="loss").set_index("step")["loss"].equals(alone)
    assert beside.dropna(subset="held out")["step"].tolist() == list(range(77, 3001, 77))

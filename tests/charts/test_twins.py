"""The drift's curve and the agreement curve against their records."""

import json

import numpy as np
import pandas as pd

from moe_viz.charts.time_series import time_axis
from moe_viz.charts.twins import alike_over_time, gap_over_time
from moe_viz.records import twins


def pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    frames = [pd.DataFrame({"epoch": 0, "step": range(1, 31), "loss": rng.normal(size=30)}) for _ in range(2 * n)]
    return list(zip(frames[::2], frames[1::2]))


def test_the_gap_chart_holds_the_records_numbers():
    table = twins.gap(pairs(4), "loss")
    chart = gap_over_time(table, "Loss")
    pd.testing.assert_frame_equal(chart.data.reset_index(drop=True), table)
    assert chart.spec["layer"][0]["encoding"]["y"]["field"] == "low"
    assert chart.spec["layer"][0]["encoding"]["y2"]["field"] == "high"


def test_the_spec_does_not_depend_on_the_values():
    one, other = (gap_over_time(twins.gap(pairs(n, seed), "loss"), "Loss").spec for n, seed in ((1, 0), (5, 3)))
    assert json.dumps(one) == json.dumps(other)


def test_agreement_is_drawn_at_its_steps():
    chart = alike_over_time([1, 5], np.array([1.0, 0.25]))
    assert chart.data.to_dict("list") == {"step": [1, 5], "alike": [1.0, 0.25]}


def test_steps_are_written_as_on_every_other_chart():
    axis = time_axis(str)["axis"]
    gap, alike = gap_over_time(twins.gap(pairs(2), "loss"), "Loss"), alike_over_time([1, 5], np.array([1.0, 0.5]))
    for chart in (gap, alike):
        assert all(layer["encoding"]["x"]["axis"] == axis for layer in chart.spec["layer"] if "x" in layer["encoding"])

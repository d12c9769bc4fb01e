"""The table of differences on hand-made moments."""

import math
import re

import numpy as np
import pytest

from moe_viz.records.differences import ROWS, Row, expert_calls, values, written, written_gap
from moe_viz.records.snapshot import Snapshot
from moe_viz.records.trace import RoutingTrace

BY_NAME = {row.name: row for row in ROWS}


def trace(kept, capacity=None):
    kept = np.array(kept)
    n, k = kept.shape
    columns = {name: np.zeros(n, int) for name in ("group", "sequence", "position")}
    return RoutingTrace(
        7, 0, "topk", capacity, tokens=np.array(["a"] * n), **columns, expert=np.zeros((n, k), np.int16),
        weight=np.ones((n, k), np.float32), kept=kept, slot=np.zeros((n, k), np.int32), probs=np.full((n, 4), 0.25),
    )  # fmt: skip


def moment(found, metrics=None, **extras):
    return Snapshot(7, {}, metrics or {}, [found, found], extras=extras)


def test_expert_calls_are_kept_routes_or_slots_per_token():
    kept = [[True, True], [True, False], [False, False], [True, True]]
    assert expert_calls(moment(trace(kept)), 0) == 5 / 4
    blended = moment(trace(np.ones((4, 4), bool), capacity=2), dispatch=[np.zeros((4, 4, 2))] * 2)
    assert expert_calls(blended, 0) == 4 * 2 / 4


def test_values_take_one_layer_and_leave_blank_what_is_not_there():
    found = values(moment(trace([[True]]), {"loss": 1.5, "max_load": [0.25, 0.5], "drop_rate": [None, 0.1]}), 1)
    assert (found["step"], found["loss"], found["max_load"], found["drop_rate"]) == (7, 1.5, 0.5, 0.1)
    assert found["token_entropy"] is None and found.keys() == BY_NAME.keys()


@pytest.mark.parametrize(
    ("name", "value", "reference", "text"),
    [
        ("loss", 2.5, None, "2.500"),
        ("loss", 2.5, 2.25, "2.500 (+0.250)"),
        ("loss", 2.0, 2.25, "2.000 (−0.250)"),
        ("loss", 2.0, 2.0, "2.000"),
        ("loss", None, 2.0, "–"),
        ("loss", float("nan"), 2.0, "–"),
        ("loss", 2.0, None, "2.000"),
        ("max_load", 0.5, 0.125, "50.0% (+37.5%)"),
        ("dead_experts", 3, 1, "3 (+2)"),
        ("tokens_per_second", 12345.0, 2345.0, "12\u202f345 (+10\u202f000)"),
        ("step", 12, 10, "12"),
    ],
)
def test_written(name, value, reference, text):
    assert written(BY_NAME[name], value, reference) == text


def test_negative_numbers_have_one_minus_everywhere():
    row = Row("x", "x", ".2f")
    assert written(row, -1.5) == "−1.50" and written(row, -1.5, -1.0) == "−1.50 (−0.50)"


NUMBER = re.compile(r"^[+−]?(\d+(?:\.\d+)?)%?$")


@pytest.mark.parametrize(
    ("name", "one", "two", "low", "high"),
    [
        ("loss", 5.36185, 5.36136, -0.00103, 0.00004),
        ("max_load", 0.2058, 0.20576, -0.0002158, 0.0001344),
        ("dead_experts", 0.0, 0.0, 0.0, 0.0),
        ("dead_experts", 2.0, 3.5, -1.0, 4.0),
        ("token_entropy", 2.067, 2.067 - 1.9e-6, -5.2e-6, 1.4e-6),
        ("loss", 5.0, 4.0, math.nan, math.nan),
    ],
)
def test_two_values_and_their_gap_are_written_so_that_one_follows_from_the_others(name, one, two, low, high):
    texts = written_gap(BY_NAME[name], one, two, two - one, low, high)
    assert not any("-" in text or "e" in text for text in texts), "a real minus, and no powers of ten"
    known = [text for text in texts if text != "–"]
    decimals = {len(NUMBER.match(text)[1].partition(".")[2]) for text in known}
    assert len(decimals) == 1 and len(known) == (5 if math.isfinite(low) else 3)
    first, second, gap = (float(text.strip("%").replace("−", "-")) for text in texts[:3])
    assert second - first == pytest.approx(gap, abs=2.01 * 10 ** -decimals.pop())
    assert all(text.endswith("%") for text in known) == (name == "max_load")
    for text in known[2:]:
        assert text[0] in "+−" or not float(text.strip("%"))

"""The signals that practitioners log, against cases done by hand and against the limits that their definitions state."""

import numpy as np
import pandas as pd
import pytest

from moe_viz.records.metric_info import METRICS
from moe_viz.records.signals import SIGNALS, confidence, experts_touched, margin, percentiles, signal_table, signals
from moe_viz.spec import ROUTER_OPTIONS
from tests.records.traces import seeded_trace, trace_of

PROBS = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2], [0.6, 0.3, 0.1]], np.float32)


def hand_made(expert, router="topk", sequence=None):
    trace = trace_of(np.array(expert), 3, probs=PROBS)
    changed = {**vars(trace), "router": router}
    if sequence is not None:
        changed["sequence"] = np.array(sequence, np.int32)
    return type(trace)(**changed)


def test_confidence_is_the_mass_of_the_chosen():
    assert confidence(hand_made([[0], [2], [0], [0]])) == pytest.approx((0.5 + 0.7 + 0.4 + 0.6) / 4)
    assert confidence(hand_made([[0, 1], [2, 1], [0, 1], [0, 1]])) == pytest.approx((0.8 + 0.9 + 0.8 + 0.9) / 4)
    # a token that asks for nothing has no confidence, it is not unsure
    assert confidence(hand_made([[0], [-1], [-1], [0]])) == pytest.approx((0.5 + 0.6) / 2)
    assert confidence(hand_made([[-1]] * 4)) is None
    assert confidence(hand_made([[0]] * 4, router="hash")) is None


def test_margin_is_the_last_chosen_above_the_first_left_out():
    config = {"k": 1}
    assert margin(hand_made([[0], [2], [0], [0]]), config) == pytest.approx((0.2 + 0.5 + 0.0 + 0.3) / 4)
    assert margin(hand_made([[0, 1], [2, 1], [0, 1], [0, 1]]), config) == pytest.approx((0.1 + 0.1 + 0.2 + 0.2) / 4)
    # noise that chooses against the gate
    assert margin(hand_made([[1], [2], [0], [0]], router="noisy_topk"), config) == pytest.approx(
        (-0.2 + 0.5 + 0 + 0.3) / 4
    )
    assert margin(hand_made([[0, 1, 2]] * 4), config) is None  # nothing is left out


@pytest.mark.parametrize(
    "router", ["hierarchical", "hash", "random", "base", "sinkhorn", "expert_choice", "soft", "dense"]
)
def test_margin_is_absent_where_something_else_than_the_tokens_scores_decides(router):
    assert router in ROUTER_OPTIONS
    assert margin(hand_made([[0], [2], [0], [0]], router=router), {}) is None


def test_margin_is_absent_where_groups_decide():
    trace = hand_made([[0], [2], [0], [0]], router="deepseek_v3")
    assert margin(trace, {"n_group": 1}) is not None and margin(trace, {"n_group": 2}) is None


def test_experts_that_a_sequence_touches():
    one = hand_made([[0], [2], [0], [0]], sequence=[0, 0, 1, 1])
    assert experts_touched(one) == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert experts_touched(hand_made([[0], [2], [1], [-1]], sequence=[7, 7, 7, 7])) == 1
    assert experts_touched(hand_made([[-1]] * 4, sequence=[0, 0, 1, 1])) == 0
    empty = trace_of(np.empty((0, 1)), 4)
    assert experts_touched(empty) is None and confidence(empty) is None and margin(empty, {}) is None


def test_percentiles_over_layers_leave_out_what_is_missing():
    assert percentiles([1.0, None, 3.0, float("nan"), 2.0]) == {0: 1.0, 25: 1.5, 50: 2.0, 75: 2.5, 100: 3.0}
    assert percentiles([None]) == dict.fromkeys((0, 25, 50, 75, 100))


def test_the_table_has_layers_from_one_and_percentiles():
    table = signal_table({"margin": [0.1, 0.3], "confidence": [None, 0.5]})
    assert list(table) == ["metric", "layer 1", "layer 2", "0 %", "25 %", "50 %", "75 %", "100 %"]
    assert table["50 %"].tolist() == [pytest.approx(0.2), 0.5] and pd.isna(table["layer 1"][1])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_signals_keep_their_limits_and_have_definitions(k):
    traces = [seeded_trace(step, k=k, layer=step) for step in range(3)]
    found = signals(traces, {"k": k})
    assert tuple(found) == SIGNALS
    for name, values in found.items():
        info = METRICS[name]
        low, high = info.floor.at(8, k), info.ceiling.at(8, k)
        assert all(
            (low is None or value >= low - 1e-6) and (high is None or value <= high + 1e-6) for value in values
        ), name

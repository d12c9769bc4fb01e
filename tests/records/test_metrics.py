"""Each metric against numbers worked out by hand, and against the mistakes that public tools make."""

import math

import numpy as np
import pytest

from moe_viz.records import metrics as m
from moe_viz.records.metric_info import METRICS
from tests.records.traces import seeded_trace, trace_metrics, trace_of

LOG2 = math.log(2)


def test_loads_of_a_batch():
    trace = trace_of([[0, 1], [0, 2], [0, -1]], 4, kept=[[1, 1], [0, 1], [0, 0]])
    assert m.requested_counts(trace).tolist() == [3, 1, 1, 0]
    assert m.load(trace).tolist() == [0.6, 0.2, 0.2, 0]
    assert m.importance(trace).tolist() == pytest.approx([0.6, 0.2, 0.2, 0])
    weighted = trace_of([[0, 1], [1, -1]], 2, weight=[[0.9, 0.1], [0.5, 0]], kept=[[1, 0], [0, 0]])
    assert m.importance(weighted).tolist() == pytest.approx([0.6, 0.4])
    assert m.drop_rate(trace) == 2 / 5
    assert m.dropped_token_rate(trace) == 1 / 3


def test_imbalance_of_four_loads():
    counts = np.array([6, 1, 1, 0])  # mean 2, population variance (16 + 1 + 1 + 4) / 4
    assert m.max_load(counts) == 0.75
    assert m.max_over_mean(counts) == 3
    assert m.max_violation(counts) == 2
    assert m.coefficient_of_variation(counts) == pytest.approx(math.sqrt(22 / 4) / 2)
    expected = -(0.75 * math.log(0.75) + 2 * 0.125 * math.log(0.125)) / math.log(4)
    assert m.load_entropy(counts) == pytest.approx(expected)


@pytest.mark.parametrize("n_experts, k", [(8, 1), (8, 2), (4, 4), (1, 1), (64, 8)])
def test_even_and_collapsed_routing_meet_the_written_bounds(n_experts, k):
    even, collapsed = np.full(n_experts, 3), np.r_[np.full(k, 5), np.zeros(n_experts - k, int)]
    mass = np.r_[np.full(k, 1 / k), np.zeros(n_experts - k)]
    for counts, probs, side in ((even, np.full(n_experts, 1 / n_experts), "fair"), (collapsed, mass, "end")):
        found = {
            "max_load": m.max_load(counts),
            "max_over_mean": m.max_over_mean(counts),
            "max_violation": m.max_violation(counts),
            "cv": m.coefficient_of_variation(counts),
            "load_entropy": m.load_entropy(counts),
            "balance_loss": m.balance_loss(counts, probs),
            "dead_experts": m.dead_experts(m.shares(counts)).sum(),
        }
        for name, value in found.items():
            info = METRICS[name]
            at_collapse = info.floor if name == "load_entropy" else info.ceiling
            bound = info.fair if side == "fair" else at_collapse
            assert value == pytest.approx(bound.at(n_experts, k), abs=1e-12), (name, side)


def test_balance_loss_is_one_at_uniform_for_every_k():
    """Several public implementations give k here, because they divide by tokens and not by routes."""
    for k in (1, 2, 4, 8):
        counts = np.full(8, 100 * k / 8)
        assert m.balance_loss(counts, np.full(8, 1 / 8)) == pytest.approx(1)


def test_balance_loss_can_dip_below_one():
    assert m.balance_loss(np.array([3, 1]), np.array([0.4, 0.6])) == pytest.approx(2 * (0.75 * 0.4 + 0.25 * 0.6))
    assert m.balance_loss(np.array([3, 1]), np.array([0.4, 0.6])) < 1
    terms = m.balance_terms(np.array([3, 1]), np.array([0.4, 0.6]))
    assert terms["term"].tolist() == pytest.approx([0.6, 0.3])


def test_token_entropy_and_load_entropy_are_two_things():
    sure_and_balanced = np.array([[1.0, 0], [0, 1.0]])
    assert m.token_entropy(sure_and_balanced) == 0
    assert m.mean_gate_entropy(sure_and_balanced) == pytest.approx(LOG2)
    assert m.load_entropy(np.array([1, 1])) == 1
    unsure_and_collapsed = np.full((4, 2), 0.5)  # ties all go to the first expert
    assert m.token_entropy(unsure_and_collapsed) == pytest.approx(LOG2)
    assert m.load_entropy(np.array([4, 0])) == 0


def test_mean_gate_entropy_is_never_below_token_entropy():
    probs = seeded_trace(1).probs
    assert m.mean_gate_entropy(probs) >= m.token_entropy(probs)


def test_dead_is_under_a_tenth_of_fair_over_the_window():
    fair = 1 / 4
    window = np.array([[0.9, 0.09 * fair, 0.11 * fair, 0], [0.9, 0.09 * fair, 0.11 * fair, 0.5 * fair]])
    assert m.dead_experts(window).tolist() == [False, True, False, False]  # the last one came back: mean 0.25 of fair
    assert m.dead_experts(np.array([[np.nan, 0.0]])).tolist() == [False, True]


def test_drops_by_position_group_frequency_and_expert():
    trace = trace_of(
        [0, 0, 0, 1],
        2,
        kept=[1, 1, 0, 1],
        group=["a", "b", "b", "a"],
        tokens=["x", "x", "y", "z"],
        position=[0, 1, 2, 2],
    )
    assert m.drops_by(trace, "position").values.tolist() == [[0, 1, 0, 0], [1, 1, 0, 0], [2, 2, 1, 0.5]]
    assert m.drops_by(trace, "group")["rate"].tolist() == [0, 0.5]
    assert m.drops_by(trace, "expert")["dropped"].tolist() == [1, 0]
    assert m.drops_by(trace, "frequency").values.tolist() == [[1, 2, 1, 0.5], [2, 2, 0, 0]]
    with pytest.raises(ValueError, match="colour"):
        m.drops_by(trace, "colour")


def test_drops_against_capacity_factor():
    table = m.drops_by_capacity(np.array([6, 2]), [0.25, 0.5, 1.0, 1.25, 2.0])
    assert table["capacity"].tolist() == [1, 2, 4, 5, 8]
    assert table["drop_rate"].tolist() == [6 / 8, 4 / 8, 2 / 8, 1 / 8, 0]
    assert m.drops_by_capacity(np.full(10, 10), [1.1])["capacity"].tolist() == [11]


def test_experts_per_token_counts_the_skipped():
    trace = trace_of([[0, 1], [1, -1], [-1, -1], [2, 0]], 3, kept=[[1, 1], [1, 0], [0, 0], [1, 0]])
    assert m.experts_per_token(trace)["tokens"].tolist() == [1, 2, 1]


def test_cosine_of_router_rows():
    table = m.cosine_similarity(np.array([[1.0, 0], [0, 2], [3, 3], [0, 0]]))
    assert table[0, 1] == 0 and table[0, 2] == pytest.approx(math.sqrt(0.5))
    assert np.isnan(table[3]).all()


def test_nothing_measured_is_nan_not_zero():
    empty = trace_of(np.empty((0, 2)), 4)
    nothing = trace_of([[-1], [-1]], 4)
    for trace in (empty, nothing):
        assert math.isnan(m.drop_rate(trace)) and np.isnan(m.load(trace)).all()
        assert math.isnan(trace_metrics(trace)["balance_loss"]) and math.isnan(trace_metrics(trace)["load_entropy"])
    assert math.isnan(m.token_entropy(empty.probs)) and math.isnan(m.dropped_token_rate(empty))
    assert np.isnan(m.drops_by_capacity(np.zeros(3), [1.0])["drop_rate"]).all()


def test_one_expert_is_balanced():
    values = trace_metrics(trace_of([0, 0, 0], 1))
    assert values["load_entropy"] == 1 and values["balance_loss"] == 1 and values["cv"] == 0


def test_trace_metrics_stay_within_their_written_bounds():
    for seed in range(20):
        trace = seeded_trace(0, n=64, k=1 + seed % 3, n_experts=8, seed=seed)
        for name, value in trace_metrics(trace).items():
            info, k = METRICS[name], 1 + seed % 3
            for bound, sign in ((info.floor, 1), (info.ceiling, -1)):
                limit = bound.at(8, k)
                assert limit is None or sign * (value - limit) >= -1e-9, (name, value, limit)


def test_every_metric_is_fully_described():
    required = {
        "loss",
        "task_metric",
        "balance_loss",
        "z_loss",
        "load",
        "importance",
        "max_load",
        "load_entropy",
        "token_entropy",
    }
    assert required | {"dead_experts", "drop_rate", "cv", "tokens_per_second"} <= METRICS.keys()
    for name, info in METRICS.items():
        assert info.name == name and info.title and info.meaning
        assert info.formula or name == "task_metric"
        assert info.per in ("run", "layer", "expert", "token", "pair", "domain")

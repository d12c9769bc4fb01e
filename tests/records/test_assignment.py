"""Assignments of a few tokens: the best one against all of them, the rules by hand, and scores."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from moe_viz.records.assignment import NONE, AssignmentLosses, best, best_by_gate, first_come, next_best_free

PROBS = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.1, 0.4]])
numbers = hs.floats(-1, 1, width=32)


def game(losses, probs=PROBS, slots=1):
    tokens = np.array([f"A{i}" for i in range(len(losses))])
    return AssignmentLosses(200, 0, 0, slots, tokens, tokens, np.array(losses, float), probs, probs[:, ::-1])


def test_the_rules_by_hand():
    assert first_come(PROBS, 1).tolist() == [0, NONE, NONE]
    assert first_come(PROBS, 2).tolist() == [0, 0, NONE]
    assert next_best_free(PROBS, 1).tolist() == [0, 1, 2]
    assert next_best_free(PROBS[:, :1], 2).tolist() == [0, 0, NONE]
    assert best_by_gate(PROBS, 1).tolist() == [0, 1, 2]


@given(arrays(np.float64, hs.tuples(hs.integers(1, 4), hs.integers(2, 4)), elements=numbers), hs.integers(1, 2))
def test_the_best_is_the_least_of_all_assignments(losses, slots):
    n_experts = losses.shape[1] - 1
    allowed = [
        sum(losses[t, e] for t, e in enumerate(experts))
        for experts in product(range(NONE, n_experts), repeat=len(losses))
        if all(experts.count(e) <= slots for e in range(n_experts))
    ]
    found = best(losses, slots)
    assert np.bincount(found[found != NONE], minlength=n_experts).max(initial=0) <= slots
    assert losses[np.arange(len(losses)), found].sum() == pytest.approx(min(allowed))


def test_the_best_of_twelve_tokens_is_that_of_scipy():
    losses = np.random.default_rng(0).normal(size=(12, 5))
    columns = np.concatenate([np.repeat(losses[:, :4], 3, 1), np.repeat(losses[:, 4:], 12, 1)], 1)
    rows, places = linear_sum_assignment(columns)
    assert losses[np.arange(12), best(losses, 3)].sum() == pytest.approx(columns[rows, places].sum())


def test_loss_and_score_by_hand():
    one = game([[1, 2, 3, 5], [4, 1, 4, 2], [3, 3, 0, 9]])
    assert one.random == pytest.approx(21 / 9)
    assert one.loss(np.array([0, 1, 2])) == pytest.approx(2 / 3)
    assert one.loss(np.array([NONE, NONE, 2])) == pytest.approx(7 / 3)
    assert one.score(np.array([0, 1, 2])) == 1 and one.score(np.array([NONE, NONE, 2])) == pytest.approx(0)
    assert game([[1, 1, 1, 1]] * 3).score(np.array([0, 1, 2])) == 0, "nothing beats chance"
    with pytest.raises(ValueError, match="more than 1"):
        one.loss(np.array([0, 0, 1]))


def test_random_is_the_mean_over_all_full_assignments():
    losses = np.random.default_rng(1).normal(size=(4, 3))
    full = [e for e in product(range(2), repeat=4) if e.count(0) == 2]
    one = game(losses, np.full((4, 2), 0.5), slots=2)
    assert one.random == pytest.approx(np.mean([one.loss(np.array(e)) for e in full]))


def test_the_table_has_a_row_for_each_token_and_counts_experts_from_1():
    frame = game([[1, 2, 3, 5], [4, 1, 4, 2], [3, 3, 0, 9]]).to_frame()
    assert list(frame) == ["token", "cluster", "gate_1", "gate_2", "gate_3", "loss_1", "loss_2", "loss_3", "loss_none"]
    assert frame.loc[1, ["gate_1", "loss_2", "loss_none"]].tolist() == [0.6, 1, 2]

"""What the token id alone explains, against cases worked out by hand."""

import math

import numpy as np
import pytest

from moe_viz.records import token_identity as t
from tests.records.traces import trace_of


def trace(expert, tokens, group, sequence, n_experts=2):
    return trace_of(expert, n_experts, tokens=tokens, group=group, sequence=np.array(sequence, np.int32))


def test_a_router_that_follows_the_id_is_guessed_always_and_one_that_flips_never():
    tokens, group, sequence = ["a", "b"] * 4, ["x"] * 8, [0, 0, 1, 1, 2, 2, 3, 3]
    follows = t.predictability(trace([0, 1] * 4, tokens, group, sequence))
    assert (follows.by_token, follows.by_load, follows.covered) == (1, 0.5, 1)
    flips = t.predictability(trace([0, 1, 1, 0] * 2, tokens, group, sequence))
    assert flips.by_token == 0, "each half learns the opposite of the other half"


def test_a_rare_token_is_not_predictable_by_itself():
    found = t.predictability(trace([0, 1, 0, 1], ["a", "only here", "a", "only there"], ["x"] * 4, [0, 0, 1, 1]))
    assert found.covered == 0.5 and found.by_token == 1
    assert math.isnan(t.predictability(trace([0, 1], ["a", "b"], ["x", "x"], [0, 0])).by_token), "one sequence"
    assert math.isnan(t.predictability(trace([-1, -1], ["a", "a"], ["x", "x"], [0, 1])).by_token), "no routes"


def test_halves_are_taken_within_each_domain():
    # sequences take turns between domains: halves by sequence number would be halves by domain
    tokens, group, sequence = ["a"] * 4, ["x", "y", "x", "y"], [0, 1, 2, 3]
    assert t.predictability(trace([0, 1, 0, 1], tokens, group, sequence)).by_token == 0.5


def test_information_beyond_the_token():
    group = ["x", "x", "y", "y"]
    same = trace([0, 0, 1, 1], ["a", "a", "b", "b"], group, [0, 1, 2, 3])
    assert t.information_beyond_token(same) == pytest.approx(0), "the id explains it all"
    context = trace([0, 0, 1, 1], ["a", "a", "a", "a"], group, [0, 1, 2, 3])
    assert t.information_beyond_token(context) == pytest.approx(1), "one id, and the expert gives the domain away"
    # id a: domains x, y told apart; id b: not. Half of the tokens each, H(D) = log 2
    half = trace([0, 1, 0, 0], ["a", "a", "b", "b"], ["x", "y", "x", "y"], [0, 1, 2, 3])
    assert t.information_beyond_token(half) == pytest.approx(0.5)
    assert math.isnan(t.information_beyond_token(trace([0, 1], ["a", "b"], ["x", "x"], [0, 1])))


def test_the_null_keeps_ids_and_loses_the_rest():
    rng = np.random.default_rng(0)
    tokens, group = rng.choice(list("abcd"), 2000), np.repeat(["x", "y"], 1000)
    real = trace((group == "y").astype(int), tokens, group, np.arange(2000))
    null = t.information_beyond_token_null(real)
    assert t.information_beyond_token(real) == pytest.approx(1, abs=0.01) and null.max() < 0.02
    assert (null == t.information_beyond_token_null(real)).all()


def test_shuffled_tokens_keep_their_number():
    one = trace([0, 0, 1, 1], ["a", "a", "b", "b"], ["x"] * 4, [0, 1, 2, 3])
    assert sorted(t.shuffled_tokens(one).tokens) == ["a", "a", "b", "b"] and (one.tokens == ["a", "a", "b", "b"]).all()


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((0.34, 0.31, 0.04), "not from the router's learning"),
        ((0.30, 0.36, 0.04), "learned − frozen = −0.06"),
        ((0.55, 0.40, 0.02), "the router's learning, in this one pair"),
        ((0.03, 0.02, 0.02), "next to nothing"),
    ],
)
def test_the_verdict_says_what_follows(numbers, says):
    assert says in str(t.verdict(*numbers)).replace("\n", " ")


def test_a_byte_that_is_no_letter_is_said_to_be_a_byte():
    assert [t.readable(name) for name in ("<d1>", "ы", " ", "о<d0>", "<e2><82>", "<d1", "<x>")] == [
        "byte D1",
        "ы",
        "␣",
        "о+byte D0",
        "byte E2+byte 82",
        "<d1",
        "<x>",
    ]

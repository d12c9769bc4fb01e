"""Twins: the first parting, the drift of a metric and its interval, against hand-computed cases and simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moe_viz.records import twins
from tests.records.traces import trace_of


def history(values, start=1, epoch=0, column="loss"):
    return pd.DataFrame(
        {"epoch": epoch, "step": range(start, start + len(values)), column: np.asarray(values, np.float32)}
    )


def test_the_quantiles_are_those_of_students_t():
    for n, quantile in twins.T_95.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, n - 1), abs=1e-5)


def test_the_interval_agrees_with_scipy():
    values = [0.3, -0.1, 0.25, 0.4]
    mean, low, high = twins.t_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((np.mean(values), expected.low, expected.high), abs=1e-6)


def test_the_interval_covers_the_truth_in_19_of_20_cases():
    rng = np.random.default_rng(0)
    held = [low <= 1.5 <= high for _, low, high in (twins.t_interval(rng.normal(1.5, 2, 5)) for _ in range(4000))]
    assert 0.94 < np.mean(held) < 0.96


def test_one_value_has_no_interval_and_none_no_mean():
    mean, low, high = twins.t_interval([0.5, np.nan])
    assert mean == 0.5 and math.isnan(low) and math.isnan(high)
    assert all(math.isnan(value) for value in twins.t_interval([]))
    with pytest.raises(ValueError, match="9 pairs"):
        twins.t_interval(range(9))


def test_parting_names_the_first_token_layer_by_layer():
    one = [trace_of([0, 1, 2], 3, step=7, layer=0), trace_of([0, 1, 2], 3, step=7, layer=1)]
    two = [trace_of([0, 1, 2], 3, step=7, layer=0), trace_of([0, 2, 1], 3, step=7, layer=1)]
    found = twins.parting(one, two, since=6)
    assert (found.step, found.layer, found.index, found.token, found.before, found.after) == (7, 1, 1, "t1", 1, 2)
    assert found.tokens == 2 and found.exact
    assert not twins.parting(one, two, since=3).exact and not twins.parting(one, two).exact
    assert twins.parting(one, one, since=6) is None


def test_parting_refuses_different_steps_and_batches():
    with pytest.raises(ValueError, match="same step"):
        twins.parting([trace_of([0], 2, step=1)], [trace_of([0], 2, step=2)])
    with pytest.raises(ValueError, match="different batches"):
        twins.parting([trace_of([0], 2)], [trace_of([0, 1], 2)])


def test_agreement_is_the_share_of_tokens_alike_at_each_step():
    one = np.array([[0, 1, 2, 2], [0, 0, 0, 0]])
    two = np.array([[0, 1, 2, 1], [1, 1, 0, 1]])
    assert twins.agreement(one, two).tolist() == [0.75, 0.25]
    assert np.isnan(twins.agreement(np.empty((2, 0)), np.empty((2, 0)))).all()
    with pytest.raises(ValueError, match="same steps"):
        twins.agreement(one, two[:1])


def test_the_gap_is_second_minus_first_within_each_pair():
    pairs = [(history([1, 2, 3]), history([2, 2, 5])), (history([0, 0, 0]), history([3, 0, 0]))]
    table = twins.gap(pairs, "loss")
    assert table["step"].tolist() == [1, 2, 3] and table["mean"].tolist() == [2, 0, 1]
    assert table["high"][0] - table["mean"][0] == pytest.approx(twins.T_95[2] * np.std([1, 3], ddof=1) / math.sqrt(2))
    assert table["low"][1] == table["high"][1] == 0
    alone = twins.gap(pairs[:1], "loss")
    assert alone["low"].isna().all() and alone["pairs"].tolist() == [1, 1, 1]


def test_only_the_newest_epoch_and_common_steps_count():
    one = pd.concat([history([9, 9]), history([1, 1, 1], epoch=1)])
    two = history([4, 4], start=2, epoch=1)
    assert twins.gap([(one, two)], "loss")[["step", "mean"]].to_numpy().tolist() == [[2, 3], [3, 3]]
    assert twins.gap([(one, two)], "nothing").empty


def test_the_table_takes_one_difference_per_pair():
    rng = np.random.default_rng(1)
    ones = [rng.normal(size=200) for _ in range(3)]
    shifts = [0.5, 0.6, 0.7]
    pairs = [(history(one), history(one + shift)) for one, shift in zip(ones, shifts)]
    row = twins.gap_table(pairs, ["loss", "missing"], window=40).iloc[0]
    mean, low, high = twins.t_interval(shifts)
    assert (row["gap"], row["low"], row["high"]) == pytest.approx((mean, low, high), abs=1e-5)
    assert row["one"] == pytest.approx(np.mean([one[-40:].mean() for one in ones]), abs=1e-5) and row["pairs"] == 3
    assert len(twins.gap_table(pairs, ["missing"])) == 0


def test_identical_twins_have_no_gap_at_all():
    pairs = [(history(values), history(values)) for values in np.random.default_rng(2).normal(size=(3, 30))]
    row = twins.gap_table(pairs, ["loss"]).iloc[0]
    assert (row["gap"], row["low"], row["high"]) == (0, 0, 0) and twins.verdict(row["low"], row["high"]) == "unclear"


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0.1, 0.2, "higher"), (-0.2, -0.1, "lower"), (-0.1, 0.1, "unclear"), (math.nan, math.nan, "one pair")],
)
def test_the_verdict_follows_the_interval(low, high, says):
    assert twins.verdict(low, high) == says

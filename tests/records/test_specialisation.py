"""Specialisation and change of routing against cases worked out by hand."""

import math

import numpy as np
import pytest

from moe_viz.records import specialisation as s
from tests.records.traces import seeded_trace, trace_of


def test_domain_specialisation_columns_sum_to_k():
    trace = trace_of([[0, 1], [0, 2], [1, 2], [2, 3]], 4, group=["a", "a", "b", "b"])
    table = s.domain_specialisation(trace)
    assert table["a"].tolist() == [1, 0.5, 0.5, 0]
    assert table["b"].tolist() == [0, 0.5, 1, 0.5]
    assert table.sum().tolist() == [2, 2]


def test_domain_information_from_nothing_to_everything():
    group = ["a", "a", "b", "b"]
    assert s.domain_information(trace_of([0, 0, 1, 1], 2, group=group)) == pytest.approx(1)
    assert s.domain_information(trace_of([0, 1, 0, 1], 2, group=group)) == pytest.approx(0)
    # joint (2/4, 0; 1/4, 1/4): H(D) = log 2, H(e) = H(3/4), H(joint) = 1.5 log 2
    h = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = (math.log(2) + h - 1.5 * math.log(2)) / math.log(2)
    assert s.domain_information(trace_of([0, 0, 0, 1], 2, group=group)) == pytest.approx(expected)
    assert math.isnan(s.domain_information(trace_of([0, 1], 2)))  # one domain: no question to answer


def test_shuffle_null_is_chance_repeatable_and_moves_whole_sequences():
    group = np.repeat(["a", "b"], 400)
    real = trace_of((group == "b").astype(int), 2, group=group, sequence=np.repeat(np.arange(40, dtype=np.int32), 20))
    null = s.domain_information_null(real)
    assert s.domain_information(real) == pytest.approx(1) and np.quantile(null, 0.95) < 0.25
    assert (null == s.domain_information_null(real)).all()
    assert null.mean() > 2 * s.domain_information_null(trace_of(real.expert, 2, group=group)).mean()
    shuffled = s.shuffled_labels(real)
    assert all(len(set(shuffled.group[real.sequence == i])) == 1 for i in range(40))
    assert sorted(shuffled.group) == sorted(group) and (shuffled.group != group).any()


def test_one_sequence_per_domain_shuffles_tokens_because_swapping_would_only_rename():
    group = np.repeat(["a", "b"], 400)
    trace = trace_of((group == "b").astype(int), 2, group=group, sequence=np.repeat(np.arange(2, dtype=np.int32), 400))
    assert not s.shuffles_sequences(trace)
    assert s.domain_information_null(trace).max() < 0.05


def test_domain_null_table_lies_around_chance():
    group = np.repeat(["a", "b"], 400)
    null = s.domain_specialisation_null(trace_of((group == "b").astype(int), 2, group=group))
    assert null.shape == (s.SHUFFLES, 2, 2) and abs(null.mean() - 0.5) < 1e-9 and null.std() < 0.05


def test_vocabulary_specialisation_needs_enough_occurrences():
    trace = trace_of([0] * 8 + [1] * 2 + [2] * 9, 3, tokens=["x"] * 10 + ["y"] * 9)
    table = s.vocabulary_specialisation(trace)
    assert table.values.tolist() == [["x", 10, 0, 0.8]]
    assert s.vocabulary_specialisation(trace, 20).empty


def test_saturation_is_the_part_of_present_choices_made_before():
    then = trace_of([[0, 1], [2, 3], [0, 1], [1, 2]], 4)
    now = trace_of([[1, 0], [2, 1], [2, 3], [-1, -1]], 4)
    assert s.saturation(then, now) == pytest.approx((1 + 0.5 + 0) / 3)
    assert s.moved(then, now).tolist() == [True, False, True, True]
    with pytest.raises(ValueError, match="different batches"):
        s.saturation(then, trace_of([[0, 1]], 4))


def test_fluctuation_is_the_last_step_elsewhere():
    choices = [[0, 1, 2, 3], [1, 1, 2, 0], [0, 1, 5, 3], [0, 1, 2, 3]]
    last = s.last_change(choices, [0, 10, 20, 30])
    assert last.tolist()[0] == 10 and np.isnan(last[1]) and last.tolist()[2:] == [20, 10]
    assert s.fluctuation(choices, [0, 10, 20, 30])["settled"].tolist() == [0.25, 0.25, 0.75, 1.0]


def test_co_activation_counts_all_pairs_of_ranks():
    """Ranks (0, 1, 2): counting consecutive ranks only, as a public tool does, would give expert 0 with expert 2 nothing."""
    table = s.co_activation(trace_of([[0, 1, 2], [0, 1, 3]], 5))
    assert table[0].tolist()[1:] == [1, 0.5, 0.5, 0]
    assert table[2].tolist()[:2] == [1, 1] and table[2, 3] == 0
    assert np.isnan(np.diag(table)).all() and np.isnan(table[4]).all()


def test_co_activation_rows_and_baseline_rows_sum_to_the_further_choices():
    trace = seeded_trace(3, k=3)
    for table in (s.co_activation(trace), s.co_activation_if_independent(trace)):
        np.testing.assert_allclose(np.nansum(table, 1), 2)
        assert np.nanmax(table) <= 1


def test_independence_baseline_by_hand():
    # loads 3, 2, 1 of 6 routes: beside expert 0 the others fall 2 : 1, so 2/3 and 1/3; load x load would not even sum to 1
    trace = trace_of([[0, 1], [0, 1], [0, 2]], 3)
    table = s.co_activation_if_independent(trace)
    assert table[0, 1:].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert table[1, [0, 2]].tolist() == pytest.approx([3 / 4, 1 / 4])


def test_top_one_has_no_pairs():
    trace = trace_of([0, 1, 1], 2)
    assert s.co_activation(trace)[0, 1] == 0 and s.co_activation_if_independent(trace)[0, 1] == 0


def test_paths_between_layers_follow_the_expert_that_really_computed():
    here = trace_of([[0, 1], [0, 1], [0, 1], [1, 0]], 3, kept=[[1, 1], [0, 1], [0, 0], [1, 1]])
    above = trace_of([2, 2, 0, 1], 3, layer=1)
    assert s.first_kept(here).tolist() == [0, 1, -1, 1]
    counts = s.path_counts(here, above)
    assert counts.sum() == 4 and counts[3, 0] == 1 and counts[0, 2] == 1
    table = s.paths(here, above)
    assert table[1].tolist() == [0, 0.5, 0.5] and np.isnan(table[2]).all()


def test_relative_load_tells_never_from_rarely():
    table = s.relative_load([trace_of([0, 0, 1, 1], 4), trace_of([0, 0, 0, 3], 4, layer=1)])
    assert table["log2"].iloc[:2].tolist() == [1, 1] and table["log2"].iloc[[2, 3]].isna().all()
    assert table["routed"].tolist() == [True, True, False, False, True, False, False, True]
    assert table["log2"].iloc[7] == 0 and table["layer"].tolist() == [0] * 4 + [1] * 4


def test_an_empty_batch_says_nothing():
    empty = trace_of(np.empty((0, 2)), 4)
    assert math.isnan(s.domain_information(empty)) and math.isnan(s.saturation(empty, empty))
    assert np.isnan(s.co_activation(empty)).all() and s.vocabulary_specialisation(empty).empty
    assert s.domain_specialisation(empty).shape == (4, 0) and np.isnan(s.paths(empty, empty)).all()

"""Two moments of the same batch, by hand."""

import numpy as np
import pytest

from moe_viz.records import specialisation
from moe_viz.records.moved_tokens import moved_by_domain, who_moved
from tests.records.traces import seeded_trace, trace_of

THEN = trace_of(
    [0, 1, 2, -1], 3, group=["en", "en", "ru", "ru"], tokens=["a", "b", "c", "d"], probs=np.eye(4)[:, :3] / 2
)
NOW = trace_of(
    [0, 2, 2, 1], 3, group=["en", "en", "ru", "ru"], tokens=["a", "b", "c", "d"], probs=np.full((4, 3), 0.25)
)


def test_who_moved_lists_each_token_with_its_experts_and_gates():
    table = who_moved(THEN, NOW)
    assert table["index"].tolist() == [1, 3] and table["token"].tolist() == ["b", "d"]
    assert table["before"].tolist() == [1, -1] and table["after"].tolist() == [2, 1]
    assert table["gate_before"].tolist()[0] == 0.5 and np.isnan(table["gate_before"].tolist()[1])
    assert table["gate_after"].tolist() == [0.25, 0.25]


def test_domains_are_told_apart():
    table = moved_by_domain(THEN, NOW).set_index("group")
    assert table["tokens"].tolist() == [2, 2]
    assert table["moved"].tolist() == [0.5, 0.5] and table["saturation"].tolist() == [0.5, 0.5]


def test_domains_average_to_the_whole():
    then, now = seeded_trace(1), seeded_trace(2)
    table = moved_by_domain(then, now)
    assert np.average(table["saturation"], weights=table["tokens"]) == pytest.approx(
        specialisation.saturation(then, now)
    )
    assert np.average(table["moved"], weights=table["tokens"]) == pytest.approx(len(who_moved(then, now)) / 256)


def test_the_same_moment_has_no_movers_and_one_token_is_enough():
    assert who_moved(NOW, NOW).empty and moved_by_domain(NOW, NOW)["saturation"].tolist() == [1, 1]
    one = trace_of([1], 2)
    assert who_moved(one, trace_of([0], 2))["index"].tolist() == [0]
    nothing = trace_of([-1], 2)
    assert np.isnan(moved_by_domain(one, nothing)["saturation"][0]) and moved_by_domain(one, nothing)["moved"][0] == 1


def test_different_batches_are_refused():
    with pytest.raises(ValueError, match="different batches"):
        who_moved(THEN, trace_of([0, 1], 3))

"""Each rule of the narration on a case made for it, and that the sentence carries the case's own numbers."""

import string

import numpy as np
import pandas as pd
import pytest

from moe_viz.records.narration import EARLY, RULES, signs_of, story_of
from moe_viz.records.snapshot import Snapshot
from tests.records.traces import trace_of

EVEN = [0.125] * 8


def narrate(snapshot, history=None):
    return story_of(signs_of(snapshot, history, 0))


def moment(
    loads=(EVEN,), *, step=300, dead=None, drop=0.0, capacity=None, state="running", loss=2.0, config=None, k=1, **trace
):
    """A snapshot with these loads per layer; its probe batch has 64 tokens of k routes each."""
    n_experts = len(loads[0])
    expert = np.stack([(np.arange(64) + j) % n_experts for j in range(k)], 1)
    dead = [sum(share < 0.1 / n_experts for share in load) for load in loads] if dead is None else dead
    metrics = {
        "loss": loss,
        "load": [list(load) for load in loads],
        "dead_experts": dead,
        "drop_rate": [drop] * len(loads),
    }
    traces = [trace_of(expert, n_experts, capacity=capacity, layer=i, **trace) for i in range(len(loads))]
    return Snapshot(step, config or {"router": "switch", "k": k}, metrics, traces, state)


def history(*rows, layer=0):
    """Rows of (step, largest load, dead experts)."""
    columns = ["step", f"max_load.{layer}", f"dead_experts.{layer}"]
    return pd.DataFrame(rows, columns=columns, dtype=float).assign(epoch=0)


ONE_TAKES_ALL = [0.71, 0.2, 0.09, 0, 0, 0, 0, 0]
BUSY = [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
STEADY = history((280, 0.4, 0), (300, 0.4, 0))
CASES = [
    ("diverged", moment(state="diverged"), None, "step 300"),
    ("diverged", moment(loss=float("nan")), None, "no longer a number"),
    ("untrained", Snapshot(0, {"router": "switch", "k": 1}, {"load": [[None] * 8], "loss": None}, []), None, "random"),
    ("one_expert", moment([[1.0]]), None, "only one expert"),
    ("all_to_all", moment([[0.25] * 4], k=4), None, "all 4 experts"),
    ("fixed_load", moment(router="expert_choice"), None, "12 % of the routes each"),
    ("fixed_load_skips", moment(router="expert_choice", kept=[True] * 48 + [False] * 16), None, "25 % of the probe batch’s tokens"),
    ("collapsed", moment([ONE_TAKES_ALL]), STEADY, "Expert 1 takes 71 % of the routes. Routing has collapsed: 5 of 8"),
    ("collapsed_full", moment([ONE_TAKES_ALL], drop=0.22, capacity=10), STEADY, "is full: 22 % of the routes are dropped"),
    ("collapsing", moment([BUSY]), history((280, 0.2, 0), (300, 0.4, 0)), "Expert 1 takes 40 % of the routes (12 %"),
    ("collapsing", moment([[0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0, 0]]), history((280, 0.2, 0), (300, 0.2, 2)), "collapsing"),
    ("collapsing_full", moment([BUSY], drop=0.1, capacity=10), history((280, 0.2, 0)), "10 % of the routes are dropped"),
    ("recovering", moment([BUSY], dead=[2]), history((250, 0.9, 7), (280, 0.6, 5), (300, 0.4, 2)), "2 of 8 experts are dead; at step 250 it was 7"),
    ("recovered", moment(), history((250, 0.9, 6), (280, 0.2, 1), (300, 0.125, 0)), "6 experts were dead at step 250, now all 8"),
    ("overflowing", moment([BUSY], drop=0.3, capacity=10), STEADY, "30 % of the routes find their expert full"),
    ("just_begun", moment(step=7), None, "step 7"),
    ("some_dead", moment([[0.2, 0.2, 0.2, 0.2, 0.2, 0, 0, 0]]), history((280, 0.2, 3), (300, 0.2, 3)), "Dead experts: 3 of 8"),
    ("uneven", moment([BUSY]), STEADY, "40 % of the routes, 3.2 × its fair share"),
    ("few_drops", moment(drop=0.02, capacity=10), STEADY, "2 % of the routes are dropped"),
    ("even_dropless", moment(), STEADY, "buffers have no limit"),
    ("healthy", moment(capacity=100), STEADY, "nothing is dropped"),
]  # fmt: skip


@pytest.mark.parametrize("kind, snapshot, rows, words", CASES)
def test_rule(kind, snapshot, rows, words):
    story = narrate(snapshot, rows)
    assert story.kind == kind, story.text()
    assert words in story.text() and story.reason()


def test_every_rule_has_a_case():
    assert {rule.kind for rule in RULES} == {kind for kind, *_ in CASES}


def test_templates_use_only_values_that_exist_and_translate():
    values = narrate(moment()).values
    for rule in RULES:
        for text in (rule.template, rule.why):
            assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= values.keys()
    assert narrate(moment([ONE_TAKES_ALL])).text(lambda text: "эксперт {expert}: {share}") == "эксперт 1: 71 %"


def test_routes_are_spoken_of_whatever_k_is_as_on_badges_and_strips():
    """With two routes per token an even load is still 1/8 of the routes, which is what every other number of the page says."""
    for k in (1, 2):
        assert "12 % of the routes (12 % would be fair)" in narrate(moment(k=k)).text()
    assert (
        "mean of the last 10 steps" in narrate(moment()).reason()
        and "routes in the training batches" in narrate(moment()).reason()
    )


@pytest.mark.parametrize("step", [1, 7, 20, EARLY])
@pytest.mark.parametrize("rows", [None, history((1, 0.125, 0), (2, 0.9, 7))])
def test_a_young_run_is_not_judged(step, rows):
    """Before the window is full of learned steps, and the one that growth is measured against too, every number is the random start's."""
    story = narrate(moment([ONE_TAKES_ALL], step=step, drop=0.3, capacity=10), rows)
    assert (story.kind, story.severity) == ("just_begun", "info")
    assert "collaps" not in story.text() and "dead" not in story.text().lower()


def test_half_way_to_collapse_is_measured_against_the_most_that_k_allows():
    """With two routes per token and eight experts a load of a quarter of the routes is 1/3 of the way to the most, one half: slow growth is not collapse."""
    quarter = [0.25, *[0.75 / 7] * 7]
    assert narrate(moment([quarter], k=2), history((280, 0.19, 0))).kind == "uneven"
    assert narrate(moment([[0.4, *[0.6 / 7] * 7]], k=2), history((280, 0.3, 0))).kind == "collapsing"


def test_a_collapse_of_an_earlier_start_is_forgotten():
    rows = history((280, 0.9, 7), (290, 0.9, 7))
    rows.loc[len(rows)] = [295, 0.125, 0, 1]
    assert narrate(moment(), rows).kind == "even_dropless"


def test_slow_growth_counts_only_when_far_from_even():
    """2.4 times the fair share, a third more than 20 steps ago: 0.2 of the way to collapse with k = 1, so only uneven; far on it is collapse."""
    near, far = [0.3, *[0.1] * 7], [0.6, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]
    assert narrate(moment([near]), history((280, 0.225, 0))).kind == "uneven"
    assert narrate(moment([far]), history((280, 0.45, 0))).kind == "collapsing"


def test_the_first_steps_are_not_remembered_as_a_collapse():
    assert narrate(moment(step=60), history((2, 0.9, 7), (40, 0.2, 0), (60, 0.125, 0))).kind == "even_dropless"


def test_no_dash_is_ever_spoken():
    """A value that was not measured must not be part of the chosen sentence."""
    for _, snapshot, rows, _ in CASES:
        assert "–" not in narrate(snapshot, rows).text() + narrate(snapshot, rows).reason()

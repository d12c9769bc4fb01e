"""What a reader chose for a knob outlives a detour through gates that do not allow it, and what a switch changes is said."""

from itertools import permutations

import pytest

from moe_viz.spec import ROUTER_OPTIONS, RunConfig, change
from moe_viz.spec.chosen import Chosen, side_changes


def through(config, chosen, *routers):
    for router in routers:
        asked = {"router": router}
        after = change(config, **chosen.recall(config, asked))
        chosen.learn(config, asked)
        config = after
    return config


def test_a_round_trip_through_other_gates_ends_where_it_began():
    start = RunConfig(router="topk")
    assert through(start, Chosen(), "switch", "expert_choice", "deepseek_v3", "topk") == start


@pytest.mark.parametrize("routers", [(a, b) for a, b in permutations(ROUTER_OPTIONS, 2)][::7], ids="-".join)
def test_there_and_back_is_the_same_config(routers):
    here, there = routers
    start = RunConfig(router=here)
    assert through(start, Chosen(), there, here) == start


def test_a_readers_own_value_comes_back_and_one_that_a_gate_forced_does_not():
    config, chosen = RunConfig(router="topk"), Chosen()
    for asked in ({"k": 3}, {"capacity_factor": 1.5}, {"noise": 0.25}):
        chosen.learn(config, asked)
        config = change(config, **asked)
    away = through(config, chosen, "switch", "expert_choice")
    assert away.router.capacity_factor == 1.5, "chosen by the reader, and allowed here"
    back = through(away, chosen, "topk")
    assert (back.router.k, back.router.capacity_factor, back.router.noise) == (3, 1.5, 0.25)


def test_what_a_knob_was_turned_to_beside_the_gate_stands():
    config, chosen = RunConfig(router="topk"), Chosen()
    chosen.learn(config, {"k": 3})
    assert chosen.recall(config, {"router": "deepseek_v3", "k": 4})["k"] == 4
    assert chosen.recall(config, {"k": 4}) == {"k": 4}, "no switch: nothing is added"


def test_a_switch_names_the_knobs_it_changes():
    config = RunConfig(router="topk")
    after = change(config, router="switch")
    said = side_changes(config, after, {"router": "switch"})
    assert "k (experts per token) 2 → 1" in said
    assert side_changes(config, after, {"router": "switch", "k": 1}) is None or "k (" not in side_changes(config, after, {"router": "switch", "k": 1})  # fmt: skip
    assert "Balance 0.01 → 0.1" in side_changes(config, change(config, task="clusters"), {"task": "clusters"})
    assert side_changes(config, change(config, k=1), {"k": 1}) is None, "no switch, nothing to say"
    assert side_changes(config, change(config, router="expert_choice"), {"router": "expert_choice"}) is None, (
        "the experts per token of expert choice are another knob than the capacity factor of top-k"
    )

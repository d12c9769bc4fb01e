"""Capacities and drops, worked out by hand."""

import pytest
import torch

from moe_viz.moe import Experts, MoELayer, make_router
from moe_viz.moe.capacity import CAPACITY_FORMULAS, assign_slots, capacity, fill_buckets, reroute_slots
from tests.moe.logit_router import logit_router


def tensor(*rows):
    return torch.tensor(rows)


@pytest.mark.parametrize(
    "arguments, slots",
    [
        ((100, 8, 2, 1.0, "ceil"), 25),
        ((100, 8, 1, 1.0, "ceil"), 13),
        ((100, 8, 1, 1.0, "floor"), 12),
        ((100, 8, 1, 1.0, "round"), 12),  # 12.5: half to even
        ((100, 10, 1, 1.1, "ceil"), 11),  # 11.000000000000002 in floating point
        ((8, 8, 1, 0.05, "floor"), 1),  # never below the minimum
        ((100, 8, 2, None), None),
    ],
)
def test_capacity(arguments, slots):
    assert capacity(*arguments) == slots


def test_capacity_minimum_and_multiple():
    assert capacity(8, 8, 1, 1.0, "ceil", 4) == 4
    assert capacity(100, 8, 2, 1.0, "ceil", 1, 4) == 28
    with pytest.raises(ValueError, match="capacity_rounding = 'up'"):
        capacity(8, 8, 1, 1.0, "up")
    with pytest.raises(ValueError, match="capacity_factor = 0"):
        capacity(8, 8, 1, 0)


BY_HAND = {
    # (tokens, experts, k, factor) -> slots
    "switch": [((1024, 8, 1, 1.25), 160), ((16, 8, 1, 1.25), 4), ((2, 8, 1, 1.25), 4), ((16, 2, 1, 4.0), 16)],
    "flaxformer": [((1000, 64, 1, 1.25), 20), ((100, 8, 1, 1.0), 12), ((16, 8, 1, 1.0), 4)],
    "vmoe": [((1000, 8, 2, 1.05), 264), ((8, 8, 1, 1.0), 4)],
    "deepspeed": [((100, 8, 2, 1.0), 25), ((8, 8, 1, 1.0), 4)],
    "megatron": [((100, 8, 1, 1.0), 13), ((8, 8, 1, 0.5), 1)],
    "fairscale": [((64, 8, 2, 9.0), 16)],
    "nllb": [((100, 8, 2, 1.0), 26), ((100, 8, 1, 1.25), 16)],
    "nllb_eval": [((101, 8, 2, 0.25), 26)],
    "tutel": [((100, 8, 2, 1.25), 32)],
    "fastmoe": [((101, 8, 2, 1.2), 30)],
    "lucidrains": [((100, 8, 2, 1.25), 15), ((2, 8, 2, 1.25), 4), ((16, 2, 2, 4.0), 16)],
    "megablocks": [((100, 8, 2, 1.0), 25), ((100, 8, 1, 1.0), 12)],
    "hf_switch": [((999, 8, 1, 1.0), 64)],
    "expert_choice": [((64, 8, 1, 2.0), 16), ((100, 8, 1, 1.0), 12)],
    "soft": [((16, 8, 1, 1.0), 2), ((4, 16, 1, 1.0), 1)],
}


@pytest.mark.parametrize("name", CAPACITY_FORMULAS)
def test_formula_of_each_implementation(name):
    for arguments, slots in BY_HAND[name]:
        assert CAPACITY_FORMULAS[name](*arguments) == slots, arguments


def test_fairscale_refuses_what_it_cannot_divide():
    with pytest.raises(ValueError, match=r"10.*8"):
        CAPACITY_FORMULAS["fairscale"](10, 8)


def test_buckets():
    rank, counts, order = fill_buckets(torch.tensor([1, 0, 1, 1, 0]), 3)
    assert rank.tolist() == [0, 0, 1, 2, 1]
    assert counts.tolist() == [2, 3, 0]
    assert order.tolist() == [1, 4, 0, 2, 3]
    rank, _, _ = fill_buckets(torch.tensor([1, 0, 1, 1, 0]), 3, torch.tensor([4, 3, 2, 1, 0]))
    assert rank.tolist() == [2, 1, 1, 0, 0]


GATES = tensor([0.6, 0.4], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2])
EXPERT = tensor([0, 1], [0, 1], [1, 0], [0, 1])
"""First choices: expert 0 by tokens 0, 1, 3 and expert 1 by token 2; second choices the other way round."""


def kept(policy, slots, gates=GATES, **options):
    return assign_slots(EXPERT, gates, 2, slots, policy, **options).kept.int().tolist()


def test_first_choices_come_before_all_second_ones():
    # Expert 0: tokens 0, 1, then 3 overflows at C = 2; token 2's second choice is behind all of them.
    # Expert 1: token 2 first, then token 0's second choice, although token 0 comes earlier in the batch.
    assert kept("position", 2) == [[1, 1], [1, 0], [1, 0], [0, 0]]
    landed = assign_slots(EXPERT, GATES, 2, 2)
    assert landed.slot.tolist() == [[0, 1], [1, 2], [0, 3], [2, 3]]
    assert landed.counts.tolist() == [[4, 4]]


def test_probability_keeps_the_highest_gates_of_each_expert():
    # Expert 0 has .6 .9 .3 .8 -> tokens 1 and 3; expert 1 has .4 .1 .7 .2 -> tokens 2 and 0.
    assert kept("probability", 2) == [[0, 1], [1, 0], [1, 0], [1, 0]]


def test_batch_priority_serves_the_surest_tokens_first():
    # Order of tokens 1 (.9), 3 (.8), 2 (.7), 0 (.6): expert 0 takes 1 and 3; expert 1 takes 2, then token 1's second choice.
    assert kept("batch_priority", 2) == [[0, 0], [1, 1], [1, 0], [1, 0]]


def test_random_keeps_each_route_equally_often():
    torch.manual_seed(0)
    expert = torch.zeros(8, 1, dtype=torch.int64)
    times = torch.zeros(8)
    for _ in range(2000):
        landed = assign_slots(expert, torch.ones(8, 1), 2, 3, "random")
        assert landed.kept.sum() == 3
        times += landed.kept[:, 0]
    expected = 2000 * 3 / 8
    chi_squared = ((times - expected) ** 2 / (expected * (1 - 3 / 8))).sum() * 7 / 8
    assert chi_squared < 24.3  # 0.1 % of the chi-squared distribution with 7 degrees of freedom lies above


def test_unrequested_routes_take_no_slot():
    requested = tensor([False, True], [True, True], [True, True], [True, True])
    landed = assign_slots(EXPERT, GATES, 2, 2, requested=requested)
    assert landed.kept.int().tolist() == [[0, 1], [1, 0], [1, 0], [1, 0]]
    assert landed.counts.tolist() == [[3, 4]]


def test_groups_have_buffers_of_their_own():
    expert = torch.zeros(4, 1, dtype=torch.int64)
    landed = assign_slots(expert, torch.ones(4, 1), 2, 1, n_groups=2)
    assert landed.kept[:, 0].tolist() == [True, False, True, False]
    assert landed.slot[:, 0].tolist() == [0, 2, 1, 2], "group 0 owns slot 0, group 1 slot 1; 2 and more is overflow"
    assert landed.counts.tolist() == [[2, 0], [2, 0]]


def test_a_rerouted_token_lands_at_its_next_best_expert():
    ranking = tensor([3.0, 2.0, 1.0], [3.0, 1.0, 2.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0])
    landed = reroute_slots(ranking, 1, 1)
    # Token 0 takes expert 0. In round 2 token 1 wants 2, token 2 wants 1: both free; token 3 wants 1: taken, then 2: taken.
    assert landed.expert[:, 0].tolist() == [0, 2, 1, 0]
    assert landed.kept[:, 0].tolist() == [True, True, True, False]
    assert landed.counts.tolist() == [[4, 0, 0]]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rerouting_fills_every_slot_when_there_is_room(k):
    torch.manual_seed(0)
    landed = reroute_slots(torch.randn(12, 4), k, 3 * k)
    filled = torch.bincount(landed.expert[landed.kept], minlength=4)
    assert (filled <= 3 * k).all()
    if k == 1:  # C = T / E and every expert tried: perfectly even
        assert filled.tolist() == [3, 3, 3, 3]
    for row, ok in zip(landed.expert.tolist(), landed.kept.tolist()):
        mine = [expert for expert, there in zip(row, ok) if there]
        assert len(set(mine)) == len(mine)


def test_an_unknown_policy_is_named():
    with pytest.raises(ValueError, match="drop_policy = 'luck'"):
        assign_slots(EXPERT, GATES, 2, 1, "luck")


LOGITS = torch.tensor([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 2.0]])


def test_renormalising_before_and_after_the_drop():
    p = LOGITS[0].softmax(0)
    before = logit_router("topk", 2, k=2, capacity_factor=0.5, renormalize="before_drop")(LOGITS)
    after = logit_router("topk", 2, k=2, capacity_factor=0.5, renormalize="after_drop")(LOGITS)
    never = logit_router("topk", 2, k=2, capacity_factor=0.5, renormalize="never")(LOGITS)
    assert before.capacity == 2
    # Expert 0 keeps tokens 0 and 1; expert 1 keeps token 3 (first choice) and token 0's second one.
    for routing in (before, after, never):
        assert routing.kept.view(4, 2).tolist() == [[True, True], [True, False], [False, False], [True, False]]
        assert routing.dropped.tolist() == [False, False, True, False]
    torch.testing.assert_close(before.route_weight.view(4, 2)[1], torch.tensor([p[0], 0.0]))
    torch.testing.assert_close(after.route_weight.view(4, 2)[1], torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(never.weight.sum(), p[0] + p[1] + p[0] + p[0])


def test_a_dropped_token_gets_zero_and_padding_reaches_no_bias():
    router = make_router("switch", 4, 4, capacity_factor=0.25)
    layer = MoELayer(router, Experts(4, 4, 3, bias=True)).double()
    x = torch.randn(16, 4, dtype=torch.float64)
    y, routing = layer(x)
    assert routing.capacity == 1
    assert not y[routing.dropped].any() and routing.dropped.sum() >= 12
    y.sum().backward()
    mass = torch.zeros(4, dtype=torch.float64).index_add(0, routing.expert_idx, routing.weight.detach())
    torch.testing.assert_close(layer.experts.b2.grad, mass[:, None].expand(4, 4), msg="empty slots leak into b2")

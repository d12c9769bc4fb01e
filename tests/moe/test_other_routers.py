"""Routers that are not plain token choice and look at the whole group: expert choice, soft, BASE, Sinkhorn, hierarchical, residual."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from moe_viz.moe import Experts, MoELayer, make_router
from moe_viz.moe.balance import cv_squared
from moe_viz.moe.transport import balanced_assignment, sinkhorn_plan
from tests.moe.logit_router import dense_kept, dense_weights, logit_router


def layer_of(name: str, n_experts: int = 4, d_model: int = 8, **options) -> MoELayer:
    torch.manual_seed(1)
    router = make_router(name, d_model, n_experts, **options)
    return MoELayer(router, Experts(n_experts, d_model, 16)).double()


# -- expert choice ---------------------------------------------------------------------------------------------------------


def test_expert_choice_by_hand():
    """Four tokens, two experts, one expert per token on average: each takes its two favourites, with the plain softmax as weight."""
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 0.5], [3.0, 0.0]])
    routing = logit_router("expert_choice", 2, capacity_factor=1.0)(logits)
    taken = dense_kept(routing)
    assert taken.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert torch.allclose(dense_weights(routing), logits.softmax(-1) * taken)
    assert not routing.dropped.any()


@pytest.mark.parametrize(
    ("n_tokens", "group", "factor"), [(64, None, 2.0), (64, 16, 0.5), (10, None, 1.3), (3, None, 0.1)]
)
def test_expert_choice_load_is_fixed(n_tokens, group, factor):
    n_experts = 8
    router = make_router("expert_choice", 8, n_experts, capacity_factor=factor)
    routing = router(torch.randn(n_tokens, 8), group_size=group)
    slots = max(1, round((group or n_tokens) * factor / n_experts)) * (n_tokens // (group or n_tokens))
    assert routing.capacity == slots
    assert routing.post_counts.tolist() == [float(slots)] * n_experts
    kept = dense_kept(routing)
    assert kept.max() <= 1, "a token twice in one expert"
    assert kept.sum() == slots * n_experts
    assert torch.equal(routing.dropped, kept.sum(1) == 0)


def test_expert_choice_takes_the_best_of_each_group():
    logits = torch.randn(32, 4)
    routing = logit_router("expert_choice", 4, capacity_factor=1.0)(logits, group_size=8)
    probs, kept = logits.softmax(-1).view(4, 8, 4), dense_kept(routing).bool().view(4, 8, 4)
    worst_taken = probs.masked_fill(~kept, 2).amin(1)
    best_left = probs.masked_fill(kept, -1).amax(1)
    assert (worst_taken >= best_left).all()


def test_expert_choice_takes_earlier_tokens_where_equal():
    routing = logit_router("expert_choice", 4, capacity_factor=1.0)(torch.zeros(200, 4))
    assert routing.token_idx.view(4, 50).eq(torch.arange(50)).all()


def test_expert_choice_sees_the_future():
    """The causality test must fail here: changing the last token changes an earlier token's output."""
    layer = layer_of("expert_choice", capacity_factor=1.0).eval()
    x = torch.randn(16, 8, dtype=torch.float64)
    changed = x.clone()
    changed[-1] *= 50
    before, after = layer(x)[0][:-1], layer(changed)[0][:-1]
    assert not torch.allclose(before, after)
    assert layer.router.options.looks_ahead(4)


# -- soft ------------------------------------------------------------------------------------------------------------------


def test_soft_weights_are_convex():
    router = make_router("soft", 8, 4, slots_per_expert=3)
    routing = router(torch.randn(20, 8), group_size=5)
    assert routing.dispatch.shape == routing.combine.shape == (20, 4, 3) and routing.soft_groups == 4
    assert routing.capacity == 12 and routing.post_counts.tolist() == [12.0] * 4
    assert torch.allclose(routing.dispatch.view(4, 5, 4, 3).sum(1), torch.ones(4, 4, 3), atol=1e-6)
    assert torch.allclose(routing.combine.sum((1, 2)), torch.ones(20), atol=1e-6)
    assert torch.allclose(routing.logits.softmax(-1), routing.probs, atol=1e-6)


def test_soft_by_formula():
    """Against the formula written out with explicit normalisation (vmoe's parametrisation), through the layer."""
    layer = layer_of("soft", slots_per_expert=2)
    with torch.no_grad():
        layer.router.scale.fill_(3.0)
    x = torch.randn(6, 8, dtype=torch.float64)
    phi = layer.router.phi.detach()
    unit_x = x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    unit_phi = phi / (phi.square().sum(0, keepdim=True) + 1e-6).sqrt()
    logits = 3.0 * torch.einsum("td,dep->tep", unit_x, unit_phi)
    slots = torch.einsum("tep,td->epd", logits.softmax(0), x)
    out = torch.stack([torch.relu(slots[e] @ layer.experts.w1[e]) @ layer.experts.w2[e] for e in range(4)])
    y = torch.einsum("tep,epd->td", logits.flatten(1).softmax(-1).view(6, 4, 2), out)
    assert torch.allclose(layer(x)[0], y, atol=1e-12)


def test_soft_groups_equal_separate_calls():
    layer = layer_of("soft", slots_per_expert=2)
    x = torch.randn(12, 8, dtype=torch.float64)
    apart = torch.cat([layer(part)[0] for part in x.split(4)])
    assert torch.allclose(layer(x, group_size=4)[0], apart, atol=1e-12)


def test_soft_is_permutation_equivariant_and_everybody_counts():
    layer = layer_of("soft", slots_per_expert=2)
    x = torch.randn(9, 8, dtype=torch.float64, requires_grad=True)
    order = torch.randperm(9)
    assert torch.allclose(layer(x)[0][order], layer(x[order])[0], atol=1e-12)
    (grad,) = torch.autograd.grad(layer(x)[0][0].sum(), x)
    assert (grad.norm(dim=1) > 0).all(), "every token influences the first token's output"


def test_soft_one_slot_averages():
    """E = 1, one slot, identity expert: everybody gets the same weighted mean."""
    router = make_router("soft", 4, 1, slots_per_expert=1).double()
    layer = MoELayer(router, Experts(1, 4, 8, "identity").double())
    with torch.no_grad():
        layer.experts.w1.copy_(torch.eye(4, 8)[None])
        layer.experts.w2.copy_(torch.eye(8, 4)[None])
    x = torch.randn(5, 4, dtype=torch.float64)
    y, routing = layer(x)
    assert torch.allclose(y, (routing.dispatch[:, 0] * x).sum(0).expand(5, -1))


def test_soft_hardens_with_scale():
    router = make_router("soft", 8, 4, slots_per_expert=2)
    with torch.no_grad():
        router.scale.fill_(1e5)
    routing = router(torch.randn(7, 8))
    assert torch.allclose(routing.dispatch.amax(0), torch.ones(4, 2))
    assert torch.allclose(routing.combine.flatten(1).amax(1), torch.ones(7))


def test_soft_capacity_factor_counts_slots():
    router = make_router("soft", 8, 4, slots_per_expert=16, capacity_factor=0.5)
    assert router(torch.randn(64, 8)).capacity == 8
    assert router(torch.randn(256, 8)).capacity == 16, "no more than there are"
    assert router(torch.randn(3, 8)).capacity == 1


# -- BASE ------------------------------------------------------------------------------------------------------------------


def test_base_by_hand():
    """Everybody likes expert 0; the two who lose least by leaving are sent to expert 1."""
    logits = torch.tensor([[5.0, 1.0], [5.0, 4.0], [5.0, 3.0], [5.0, 0.0]])
    router = logit_router("base", 2)
    routing = router(logits)
    assert routing.expert_idx.tolist() == [0, 1, 1, 0]
    assert torch.allclose(routing.residual_mix, torch.tensor([5.0, 4.0, 3.0, 5.0]).sigmoid())
    assert routing.weight.tolist() == [1.0] * 4
    assert router.eval()(logits).expert_idx.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("n_tokens", "group"), [(64, None), (64, 16), (61, None), (3, None)])
def test_base_is_even_in_training(n_tokens, group):
    router = make_router("base", 8, 4)
    routing = router(torch.randn(n_tokens, 8) + 3, group_size=group)
    share = -(-(group or n_tokens) // 4)
    assert routing.post_counts.sum() == n_tokens and routing.kept.all()
    for part in routing.expert_idx.split(group or n_tokens):
        counts = part.bincount(minlength=4)
        assert counts.max() <= share
        if (group or n_tokens) % 4 == 0:
            assert counts.tolist() == [share] * 4


def test_base_mixes_expert_and_input():
    layer = layer_of("base")
    x = torch.randn(12, 8, dtype=torch.float64, requires_grad=True)
    y, routing = layer(x)
    expert, alpha = routing.expert_idx, routing.residual_mix[:, None]
    out = torch.stack([torch.relu(x[t] @ layer.experts.w1[e]) @ layer.experts.w2[e] for t, e in enumerate(expert)])
    assert torch.allclose(y, alpha * out + (1 - alpha) * x, atol=1e-12)
    y.square().sum().backward()
    assert layer.router.gate.weight.grad.abs().sum() > 0, "the gate learns through alpha"
    gated = layer_of("base", mix="gate")
    routing = gated.router(x)
    assert routing.residual_mix is None
    assert torch.allclose(routing.weight, routing.logits.gather(1, routing.expert_idx[:, None])[:, 0].sigmoid())


# -- Sinkhorn --------------------------------------------------------------------------------------------------------------


def test_sinkhorn_marginals_and_dual_invariance():
    scores = torch.randn(48, 6, dtype=torch.float64) * 3
    plan, used, error = sinkhorn_plan(scores, iterations=500, tolerance=1e-9)
    assert 1 < used < 500 and error <= 1e-9
    assert torch.allclose(plan.exp().sum(1), torch.ones(48, dtype=torch.float64))
    assert torch.allclose(plan.exp().sum(0), torch.full((6,), 8.0, dtype=torch.float64))
    shifted, *_ = sinkhorn_plan(scores + torch.randn(6, dtype=torch.float64) * 100, iterations=3)
    assert torch.allclose(shifted, sinkhorn_plan(scores, iterations=3)[0])


def test_sinkhorn_is_bounded_and_survives_huge_scores():
    plan, used, error = sinkhorn_plan(torch.randn(32, 4) * 1e4, iterations=7, tolerance=1e-12)
    assert used == 7 and torch.isfinite(plan.exp()).all() and torch.isfinite(error)
    uniform, used, error = sinkhorn_plan(torch.zeros(32, 4), iterations=7, tolerance=1e-6)
    assert used == 1 and torch.allclose(uniform.exp(), torch.full((32, 4), 0.25)) and error < 1e-6


def test_sinkhorn_router_balances_in_training_only():
    logits = torch.randn(512, 8) + torch.tensor([3.0] + [0.0] * 7)
    router = logit_router("sinkhorn", 8, iterations=64)
    routing = router(logits)
    assert routing.pre_counts.max() < 2 * 64 < logits.argmax(1).bincount(minlength=8).max()
    chosen = routing.expert_idx
    assert torch.allclose(routing.weight, logits.softmax(-1).gather(1, chosen[:, None])[:, 0]), (
        "gates are the raw scores'"
    )
    assert torch.equal(router.eval()(logits).expert_idx, logits.argmax(1))
    gate = logit_router("sinkhorn", 8, gate="sigmoid").eval()(logits)
    assert torch.allclose(gate.weight, logits.amax(1).sigmoid())


@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_sinkhorn_balances_scores_divided_by_the_temperature(temperature):
    logits = torch.randn(40, 4)
    routing = logit_router("sinkhorn", 4, iterations=5, tolerance=0.0, temperature=temperature)(logits)
    plan, *_ = sinkhorn_plan(logits / temperature, iterations=5)
    assert torch.equal(routing.expert_idx, plan.argmax(-1))
    torch.testing.assert_close(routing.weight, logits.softmax(-1).gather(1, plan.argmax(-1)[:, None]).squeeze(-1))


def test_sinkhorn_noise_changes_the_choice_in_training_only():
    logits = torch.randn(64, 4)
    plain, noisy = (logit_router("sinkhorn", 4, noise=noise) for noise in (0.0, 5.0))
    assert not torch.equal(noisy(logits).expert_idx, plain(logits).expert_idx)
    assert torch.equal(noisy.eval()(logits).expert_idx, plain.eval()(logits).expert_idx)


def test_sinkhorn_groups_are_separate():
    logits = torch.randn(32, 4)
    router = logit_router("sinkhorn", 4, k=2)
    together = router(logits, group_size=8)
    apart = torch.cat([router(part).expert_idx for part in logits.split(8)])
    assert torch.equal(together.expert_idx, apart)


def test_transport_handles_degenerate_input():
    assert balanced_assignment(torch.zeros(0, 4)).shape == (0,)
    assert balanced_assignment(torch.randn(5, 1)).tolist() == [0] * 5
    bad = torch.tensor([[float("nan"), 1.0], [float("inf"), 0.0], [0.0, float("-inf")], [0.0, 1.0]])
    assert balanced_assignment(bad).tolist() == [1, 0, 0, 1]
    largest = torch.tensor([[1.0, -1.0]] * 4, dtype=torch.float64) * torch.finfo(torch.float64).max
    assert balanced_assignment(largest).bincount().tolist() == [2, 2]


# -- hierarchical and residual ---------------------------------------------------------------------------------------------


def test_hierarchical_by_hand():
    router = make_router("hierarchical", 6, 4, n_groups=2, k_groups=2, k=2)
    with torch.no_grad():
        router.group_gate.weight.copy_(torch.eye(6)[:2])
        router.gate.weight.copy_(torch.eye(6)[2:])
    x = torch.tensor([[0.3, -0.2, 1.0, 0.0, 0.5, 2.0]])
    group, first, second = x[0, :2].softmax(0), x[0, 2:4].softmax(0), x[0, 4:].softmax(0)
    expected = torch.cat([group[0] * first, group[1] * second])
    routing = router(x)
    assert torch.allclose(dense_weights(routing)[0], expected) and torch.allclose(routing.probs[0], expected)
    assert torch.allclose(routing.logits.softmax(-1), routing.probs)
    assert routing.expert_idx.tolist() == [0, 1, 3, 2], "best group first, best expert first"
    # With one group and one expert, the weight is the plain product: a gate that is always 1 would not learn.
    router.options = router.options.model_copy(update={"k_groups": 1, "k": 1})
    routing = router(x)
    assert routing.expert_idx.tolist() == [0] and torch.allclose(routing.weight, expected[:1])


def test_hierarchical_importance_and_load():
    router = make_router("hierarchical", 8, 8, n_groups=4, k_groups=2, k=1)
    x = torch.randn(100, 8)
    routing = router(x)
    weights = dense_weights(routing)
    assert torch.allclose(routing.info["importance"], weights.sum(0), atol=1e-5)
    assert torch.equal(routing.info["load"], (weights > 0).sum(0).float())
    assert torch.allclose(routing.aux["importance"], cv_squared(weights.sum(0)))
    groups = (weights > 0).view(100, 4, 2).any(-1).sum(1)
    assert (groups == 2).all(), "two groups per token, one expert in each"
    (grad,) = torch.autograd.grad(routing.aux["importance"], router.group_gate.weight)
    assert grad.abs().sum() > 0


def test_hierarchical_with_one_group_is_topk():
    logits = torch.randn(20, 4)
    router = logit_router("hierarchical", 4, n_groups=1, k_groups=1, k=2)
    assert torch.allclose(dense_weights(router(logits)), dense_weights(logit_router("topk", 4, k=2)(logits)), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_groups": 3}, "n_groups = 3 does not divide the 8 experts"),
        ({"n_groups": 2, "k_groups": 3}, "k_groups = 3 is more than n_groups = 2"),
        ({"n_groups": 4, "k": 3}, "k = 3 is more than the 2 experts in each of the 4 groups"),
    ],
)
def test_hierarchical_refuses_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        make_router("hierarchical", 8, 8, **options)


def test_residual_mixes_mlp_and_expert():
    layer = layer_of("residual")
    x = torch.randn(10, 8, dtype=torch.float64)
    y, routing = layer(x)
    mix = (x @ layer.router.coefficient.weight.t() + layer.router.coefficient.bias).softmax(-1)
    assert torch.allclose(routing.residual_mix, mix)
    expert = routing.expert_idx
    assert torch.equal(expert, layer.router.gate(x).argmax(1))
    out = torch.stack([torch.relu(x[t] @ layer.experts.w1[e]) @ layer.experts.w2[e] for t, e in enumerate(expert)])
    mlp = torch.relu(x @ layer.beside.w1[0]) @ layer.beside.w2[0]
    assert torch.allclose(y, mix[:, :1] * routing.weight[:, None] * out + mix[:, 1:] * mlp, atol=1e-12)
    nn.init.zeros_(layer.router.coefficient.weight)
    layer.router.coefficient.bias.data = torch.tensor([-1e3, 0.0], dtype=torch.float64)
    assert torch.allclose(layer(x)[0], mlp), "all the weight on the MLP leaves the MLP alone"

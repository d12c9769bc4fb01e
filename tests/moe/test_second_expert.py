"""GShard, ST-MoE and NLLB: what happens to the second expert, the z-loss, and the gate between experts and a shared network."""

import math

import pytest
import torch

from moe_viz.moe import Experts, MoELayer, make_router
from moe_viz.moe.capacity import capacity
from moe_viz.moe.routers.second_expert import budget_loss
from tests.moe.logit_router import dense_weights, logit_router

E = 4
LOG = math.log


def _many(probs, copies=40_000):
    """Logits of many tokens that all have these probabilities."""
    return torch.tensor([[LOG(p) for p in probs]]).repeat(copies, 1)


def _kept_second(routing):
    return routing.kept.view(-1, 2)[:, 1].float().mean().item()


def test_gshard_weights_by_hand():
    x = torch.tensor([[LOG(0.5), LOG(0.3), LOG(0.1), LOG(0.1)], [LOG(0.1), LOG(0.1), LOG(0.2), LOG(0.6)]])
    weights = dense_weights(logit_router("gshard", E).eval()(x))
    expected = torch.tensor([[0.625, 0.375, 0, 0], [0, 0, 0.25, 0.75]])
    torch.testing.assert_close(weights, expected)


def test_gshard_counts_first_choices_only():
    x = torch.full((8, E), -30.0)
    x[:, 0], x[:, 1] = 1.0, 0.0
    p = 1 / (1 + math.exp(-1))
    for name in ("gshard", "st_moe", "nllb"):
        assert logit_router(name, E).eval()(x).aux["balance"].item() == pytest.approx(E * p, rel=1e-5)
    assert logit_router("mixtral", E).eval()(x).aux["balance"].item() == pytest.approx(E / 2, rel=1e-5)
    even = torch.eye(E) * 50
    assert logit_router("gshard", E).eval()(even).aux["balance"].item() == pytest.approx(1.0)


@pytest.mark.parametrize("second", [0.05, 0.2, 0.4, 0.499])
def test_gshard_keeps_the_second_expert_in_proportion(second):
    first = 1 - second
    x = _many([first * 0.9, second * 0.9, 0.05, 0.05])
    torch.manual_seed(0)
    routing = logit_router("gshard", E).train()(x)
    rate = min(1, 2 * second) if second * 0.9 > 0.05 else None
    if rate is None:  # the runner-up is one of the two small ones: w2 = 0.05 / (0.05 + first * 0.9)
        rate = 2 * 0.05 / (0.05 + first * 0.9)
    assert _kept_second(routing) == pytest.approx(rate, abs=0.01)
    assert torch.equal(routing.requested, routing.kept)
    assert routing.kept.view(-1, 2)[:, 0].all()


def test_a_lost_second_expert_leaves_the_first_ones_share_alone_unless_normalised_after():
    x = _many([0.6, 0.2, 0.1, 0.1], 400)
    torch.manual_seed(0)
    routing = logit_router("gshard", E).train()(x)
    first = routing.route_weight.view(-1, 2)[:, 0]
    torch.testing.assert_close(first, torch.full_like(first, 0.75))
    after = logit_router("gshard", E, renormalize="after_drop").train()(x)
    weights = dense_weights(after)
    assert 0 < _kept_second(after) < 1
    torch.testing.assert_close(weights.sum(1), torch.ones(400))


def test_gshard_sampling_draws_the_second_expert_from_the_rest():
    probs = [0.5, 0.3, 0.15, 0.05]
    torch.manual_seed(0)
    routing = logit_router("gshard", E, second_expert="sampling").train()(_many(probs))
    second = routing.route_expert.view(-1, 2)[:, 1]
    rates = torch.bincount(second, minlength=E) / len(second)
    torch.testing.assert_close(rates, torch.tensor([0.0, 0.6, 0.3, 0.1]), atol=0.01, rtol=0)
    weights = routing.route_weight.view(-1, 2)
    p = torch.tensor(probs)
    torch.testing.assert_close(weights[:, 1], p[second] / (p[second] + 0.5))


@pytest.mark.parametrize("policy", ["random", "sampling", "all"])
def test_second_expert_is_certain_at_evaluation(policy):
    x = torch.randn(50, E)
    options = {"second_expert": policy}
    first = dense_weights(logit_router("gshard", E, **options).eval()(x))
    torch.testing.assert_close(first, dense_weights(logit_router("mixtral", E)(x)))


@pytest.mark.parametrize("policy", ["random", "sampling"])
def test_rerouting_serves_only_what_was_asked_for(policy):
    torch.manual_seed(0)
    x = torch.randn(64, E) + torch.tensor([2.0, 1.0, 0, 0])
    router = logit_router("gshard", E, second_expert=policy, capacity_factor=0.9, drop_policy="reroute").train()
    routing = router(x)
    assert not (routing.kept & ~routing.requested).any()
    assert routing.post_counts.max() <= routing.capacity
    assert routing.pre_counts.sum() == routing.requested.sum()
    if routing.dropped.any():
        assert (routing.post_counts == routing.capacity).all()  # only when there is no room anywhere
    pairs = torch.stack([routing.token_idx, routing.expert_idx], 1)
    assert len(pairs.unique(dim=0)) == len(pairs)


# -- ST-MoE ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.5, 1.0])
def test_st_moe_keeps_by_threshold(threshold):
    x = _many([0.72, 0.08, 0.1, 0.1])
    torch.manual_seed(0)
    routing = logit_router("st_moe", E, threshold=threshold).train()(x)
    second = 0.1 / 0.82
    assert _kept_second(routing) == pytest.approx(min(1, second / threshold), abs=0.01)
    assert routing.kept.view(-1, 2)[:, 0].all()  # whatever the threshold, the first choice is certain
    assert logit_router("st_moe", E, threshold=threshold).eval()(x[:500]).kept.all()


def test_st_moe_threshold_0_is_renormalised_topk():
    x = torch.randn(60, E)
    for k in (2, 3):
        ours = dense_weights(logit_router("st_moe", E, k=k, threshold=0.0).train()(x))
        torch.testing.assert_close(ours, dense_weights(logit_router("topk", E, k=k)(x)))


@pytest.mark.parametrize("level", [-LOG(E), 0.0, 3.0, -7.0])
def test_z_loss_of_constant_logits(level):
    z = logit_router("st_moe", E).eval()(torch.full((9, E), level)).aux["z"]
    assert z.item() == pytest.approx((LOG(E) + level) ** 2, abs=1e-5)


def test_z_loss_gradient_and_shift():
    x = torch.randn(30, E, requires_grad=True)
    router = logit_router("st_moe", E).eval()
    routing = router(x)
    routing.aux["z"].backward()
    lse = x.detach().logsumexp(-1, keepdim=True)
    torch.testing.assert_close(x.grad, 2 * lse * x.detach().softmax(-1) / 30)
    shifted = router(x.detach() + 5)
    torch.testing.assert_close(shifted.probs, routing.probs.detach(), atol=1e-6, rtol=1e-5)
    assert shifted.aux["z"] > routing.aux["z"]


# -- NLLB ------------------------------------------------------------------------------------------------------------


def _nllb_layer(bias, **options):
    torch.manual_seed(2)
    layer = MoELayer(make_router("nllb", d_model=8, n_experts=E, **options), Experts(E, 8, 16)).eval()
    with torch.no_grad():
        layer.router.share_gate.weight.zero_()
        layer.router.share_gate.bias.fill_(bias)
    return layer, torch.randn(40, 8)


def test_nllb_gate_blends_shared_network_and_experts():
    for bias in (-200.0, 200.0, LOG(0.25 / 0.75)):
        layer, x = _nllb_layer(bias)
        g = 1 / (1 + math.exp(-bias))
        y, routing = layer(x)
        shared, experts = layer.beside(x[None])[0], layer.mix(x, routing)
        torch.testing.assert_close(y, (1 - g) * shared + g * experts)
        torch.testing.assert_close(routing.residual_mix, torch.full((40,), g))
    assert not torch.allclose(shared, experts)


def test_nllb_budget_is_met_from_both_sides():
    for start in (-2.0, 4.0):
        layer, x = _nllb_layer(start, budget=0.8)
        optimizer = torch.optim.SGD([layer.router.share_gate.bias], lr=0.2)
        distance = []
        for _ in range(400):
            optimizer.zero_grad()
            loss = layer.router.train()(x).aux["cmr"]
            loss.backward()
            optimizer.step()
            distance.append(loss.item())
        assert distance[0] > 0.15
        assert distance[-1] < 0.02
    exact, x = _nllb_layer(LOG(0.8 / 0.2), budget=0.8)
    assert exact.router(x).aux["cmr"].item() == pytest.approx(0, abs=1e-6)


def test_budget_holds_over_all_layers_together():
    gates = [torch.full((10,), 0.9), torch.full((10,), 0.7)]
    assert budget_loss(gates, 0.8).item() == pytest.approx(0, abs=1e-6)
    assert budget_loss(gates[:1], 0.8).item() == pytest.approx(0.1, abs=1e-6)


def test_expert_output_masking_expects_what_evaluation_gives():
    layer, x = _nllb_layer(200.0, output_mask=0.2)
    plain, _ = _nllb_layer(200.0)
    with torch.no_grad():
        at_eval = layer(x)[0]
        torch.testing.assert_close(at_eval, 0.8 * plain(x)[0], atol=1e-6, rtol=1e-5)
        layer.train()
        torch.manual_seed(0)
        draws = torch.stack([layer(x)[0] for _ in range(3000)])
    error = (draws.mean(0) - at_eval).abs() / (draws.std(0) / 3000**0.5 + 1e-9)
    assert error.max() < 5
    full = dense_weights(plain.router(x))
    masked = dense_weights(layer.router(x))
    assert ((masked == 0) | torch.isclose(masked, full)).all()  # blanked or untouched, never scaled up
    share_blank = ((masked == 0) & (full > 0)).sum() / (full > 0).sum()
    assert 0 < share_blank < 0.5


def test_gate_dropout_keeps_the_mean_gate():
    layer, _ = _nllb_layer(LOG(0.5 / 0.5), gate_drop=0.2)
    torch.manual_seed(0)
    g = layer.router.train()(torch.randn(20_000, 8)).residual_mix
    assert (g == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert g.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (layer.router.eval()(torch.randn(50, 8)).residual_mix == 0.5).all()


def test_nllb_training_capacity_is_twice_the_even_share():
    routing = logit_router("nllb", E, capacity_factor=1.0).train()(torch.randn(64, E))
    assert routing.capacity == capacity(64, E, 2, 1.0) == 2 * (64 // E)

"""DBRX, OLMoE and DeepSeek-V3: gate sizes, bias balancing, groups of experts and the sequence-wise balancing loss."""

import numpy as np
import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.spec import RunConfig, router_options
from tests.moe.logit_router import dense_kept, dense_weights, logit_router

E = 8


def _logits(n_tokens=64, seed=0):
    return torch.randn(n_tokens, E, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_dbrx_gates_have_norm_1(p):
    weights = dense_weights(logit_router("dbrx", E, k=3, norm_p=p)(_logits()))
    torch.testing.assert_close(weights.pow(p).sum(1), torch.ones(64))
    ratio = weights.max(1).values / weights.masked_fill(weights == 0, 9).min(1).values
    top = _logits().softmax(-1).topk(3).values
    torch.testing.assert_close(ratio, top[:, 0] / top[:, 2])


def test_dbrx_after_drop_scales_what_is_left():
    routing = logit_router("dbrx", E, k=3, norm_p=2.0, renormalize="after_drop", capacity_factor=0.5)(_logits())
    norms = dense_weights(routing).norm(dim=1)
    assert routing.dropped.any()
    assert (routing.post_counts < routing.pre_counts).any()
    torch.testing.assert_close(norms[~routing.dropped], torch.ones(int((~routing.dropped).sum())))


def test_olmoe_gates_keep_their_size():
    weights = dense_weights(logit_router("olmoe", E, k=3)(_logits()))
    torch.testing.assert_close(weights.sum(1), _logits().softmax(-1).topk(3).values.sum(1))
    assert weights.sum(1).max() < 1


# -- DeepSeek-V3 -----------------------------------------------------------------------------------------------------


def test_deepseek_by_hand():
    x = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    router = logit_router("deepseek_v3", 4, k=2, routed_scaling=2.5)
    router.bias.copy_(torch.tensor([0.0, -0.5, 0.0, 0.5]))
    s = 1 / (1 + np.exp(-x.numpy()[0]))  # .881 .731 .5 .269; with bias .881 .231 .5 .769
    expected = np.zeros(4)
    expected[[0, 3]] = 2.5 * s[[0, 3]] / (s[0] + s[3])
    np.testing.assert_allclose(dense_weights(router(x)).detach().numpy()[0], expected, rtol=1e-6)


def test_bias_moves_choices_and_never_weights():
    x, router = _logits(), logit_router("deepseek_v3", E, k=2)
    free = dense_weights(router(x))
    router.bias += 3.7  # the same for all: no choice changes
    assert torch.equal(dense_weights(router(x)), free)
    router.bias[5] += 2.0
    routing = router(x)
    assert (routing.expert_idx == 5).sum() == 64
    s = x.sigmoid()
    chosen = dense_kept(routing).bool()
    torch.testing.assert_close(dense_weights(routing), s * chosen / (s * chosen).sum(1, keepdim=True))


def test_bias_is_state_and_not_a_parameter():
    router = logit_router("deepseek_v3", E)
    assert "bias" not in dict(router.named_parameters())
    routing = router(_logits())
    sum(routing.aux.values()).backward()
    router.after_step(routing)
    assert router.bias.grad is None and not router.bias.requires_grad
    other = logit_router("deepseek_v3", E)
    other.load_state_dict(router.state_dict())
    assert router.bias.abs().sum() > 0
    assert torch.equal(other.bias, router.bias)


def test_bias_update_by_hand():
    router = logit_router("deepseek_v3", 4, k=2, bias_step=0.01)
    x = torch.tensor([[9.0, 5.0, 0.0, -5.0], [9.0, 5.0, 0.0, -5.0], [9.0, -5.0, 5.0, 0.0], [9.0, -5.0, 0.0, 5.0]])
    routing = router(x)
    assert routing.pre_counts.tolist() == [4, 2, 1, 1]
    assert routing.info["bias"].tolist() == [0, 0, 0, 0]
    router.after_step(routing)
    assert router.bias.tolist() == pytest.approx([-0.01, 0.0, 0.01, 0.01])
    balanced = router(torch.tensor([[9.0, 8.0, 0, 0], [0, 0, 9.0, 8.0]]))
    router.after_step(balanced)
    assert router.bias.tolist() == pytest.approx([-0.01, 0.0, 0.01, 0.01])
    assert routing.info["bias"].tolist() == [0, 0, 0, 0]  # a snapshot, not a view


def test_repeated_updates_balance_fixed_data():
    torch.manual_seed(0)
    x = torch.randn(512, E) + torch.linspace(-1, 1, E)
    router = logit_router("deepseek_v3", E, k=2, bias_step=1e-3)
    violation = []
    with torch.no_grad():
        for _ in range(1500):
            routing = router(x)
            violation.append((routing.pre_counts.max() / routing.pre_counts.mean() - 1).item())
            router.after_step(routing)
    assert violation[0] > 0.8
    assert violation[-1] < 0.05


@pytest.mark.parametrize("group_score", ["top2", "max"])
@pytest.mark.parametrize("n_group, topk_group, k", [(4, 2, 3), (2, 1, 4), (4, 1, 2), (4, 3, 2)])
def test_groups_against_a_loop(n_group, topk_group, k, group_score):
    x = _logits(50, 3)
    bias = torch.linspace(-2.5, -0.5, E)[torch.randperm(E, generator=torch.Generator().manual_seed(1))]
    options = {"n_group": n_group, "topk_group": topk_group, "k": k, "group_score": group_score}
    router = logit_router("deepseek_v3", E, **options)
    router.bias.copy_(bias)
    routing = router(x)
    size = E // n_group
    for t in range(50):
        s = 1 / (1 + np.exp(-x[t].numpy()))
        wish = s + bias.numpy()
        groups = wish.reshape(n_group, size)
        worth = groups.max(1) if group_score == "max" else np.sort(groups, 1)[:, -2:].sum(1)
        allowed = [e for g in np.argsort(-worth)[:topk_group] for e in range(g * size, (g + 1) * size)]
        best = sorted(allowed, key=lambda e: -wish[e])[:k]
        got = routing.expert_idx[routing.token_idx == t].tolist()
        assert set(got) == set(best)
        assert len({e // size for e in got}) <= topk_group


def test_rerouting_stays_in_the_groups():
    options = {"n_group": 4, "topk_group": 2, "k": 2, "capacity_factor": 0.5, "drop_policy": "reroute"}
    routing = logit_router("deepseek_v3", E, **options)(_logits(100))
    assert routing.dropped.any() or (routing.post_counts == routing.capacity).all()
    for t in range(100):
        assert len({e // 2 for e in routing.expert_idx[routing.token_idx == t].tolist()}) <= 2


def test_sequence_wise_balance_against_a_loop():
    n_sequences, length, k, expected = 6, 16, 2, 0.0
    x = _logits(n_sequences * length, 8)
    router = logit_router("deepseek_v3", E, k=k)
    router.bias.copy_(torch.linspace(-0.4, 0.4, E))  # must not matter: the loss counts what s alone would choose
    router.balance_group = length
    for sequence in x.numpy().reshape(n_sequences, length, E):
        s = 1 / (1 + np.exp(-sequence))
        chosen = np.argsort(-s, 1)[:, :k]
        f = E / (k * length) * np.bincount(chosen.ravel(), minlength=E)
        expected += (f * (s / s.sum(1, keepdims=True)).mean(0)).sum() / n_sequences
    assert router(x).aux["balance"].item() == pytest.approx(expected, rel=1e-5)
    router.balance_group = None
    assert router(x).aux["balance"].item() < expected  # whole-batch balance forgives uneven sequences


def test_scaling_is_the_sum_of_gates():
    weights = dense_weights(logit_router("deepseek_v3", E, k=3, routed_scaling=2.5)(_logits()))
    torch.testing.assert_close(weights.sum(1), torch.full((64,), 2.5))
    raw = dense_weights(logit_router("deepseek_v3", E, k=3, renormalize="never")(_logits()))
    torch.testing.assert_close(raw.sum(1), _logits().sigmoid().topk(3).values.sum(1))


@pytest.mark.parametrize("level", [-200.0, -60.0, 0.0, 60.0, 200.0])
def test_saturated_scores_stay_finite(level):
    x = (_logits() + level).requires_grad_()
    routing = logit_router("deepseek_v3", E)(x)
    (routing.weight.sum() + sum(routing.aux.values())).backward()
    for tensor in (routing.weight, routing.probs, x.grad):
        assert torch.isfinite(tensor).all()
    torch.testing.assert_close(routing.probs.sum(1), torch.ones(64))


BAD = {
    "does not divide": {"n_group": 3},
    "more than n_group": {"n_group": 2, "topk_group": 3},
    "in topk_group": {"n_group": 4, "topk_group": 1, "k": 3},
    "needs two experts": {"n_group": 8, "topk_group": 4},
    "more than the 8 experts": {"k": 9},
}


@pytest.mark.parametrize("words", BAD)
def test_bad_groups_are_refused_by_name_and_value(words):
    with pytest.raises(ValueError, match=words):
        make_router("deepseek_v3", d_model=E, n_experts=E, **BAD[words])
    with pytest.raises(ValueError, match=words):
        RunConfig(router={"name": "deepseek_v3", **BAD[words]}, n_experts=E)


def test_one_gate_is_not_normalised_away():
    assert router_options("deepseek_v3", k=1).renormalize == "never"
    with pytest.raises(ValueError, match="gets no gradient"):
        router_options("deepseek_v3", k=1, renormalize="before_drop")

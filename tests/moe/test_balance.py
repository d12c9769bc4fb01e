"""Balancing terms: hand-computed values, conventions, scopes, and what their gradients may reach."""

import math

import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.moe.balance import (
    as_share,
    balance_loss,
    cv_squared,
    importance_loss,
    routed_share,
    smooth_load,
    z_loss,
)
from tests.moe.logit_router import logit_router


def test_balanced_is_one_and_collapsed_is_the_number_of_experts():
    uniform, one_hot = torch.full((6, 4), 0.25), torch.eye(4)[[0] * 6]
    assert balance_loss(uniform, torch.full((4,), 0.25)) == pytest.approx(1)
    assert balance_loss(one_hot, torch.tensor([1.0, 0, 0, 0])) == pytest.approx(4)


def test_balance_by_hand():
    probs = torch.tensor([[0.7, 0.3], [0.6, 0.4]])
    # 2 * (1 * .65 + 0 * .35)
    assert balance_loss(probs, torch.tensor([1.0, 0.0])) == pytest.approx(1.3)


@pytest.mark.parametrize("convention, value", [("switch", 1), ("hf", 2), ("flaxformer", 2), ("fairscale", 1 / 16)])
def test_conventions_at_perfect_balance(convention, value):
    found = balance_loss(torch.full((6, 4), 0.25), torch.full((4,), 0.25), convention, k=2)
    assert found == pytest.approx(value)


def test_an_unknown_convention_is_named():
    with pytest.raises(ValueError, match="convention = 'ours'"):
        balance_loss(torch.ones(2, 2), torch.ones(2), "ours")


@pytest.mark.parametrize("k", [1, 2, 4])
def test_balance_of_a_router_is_one_for_every_k_when_even(k):
    logits = 5 * torch.eye(4).repeat(3, 1) + 2 * torch.eye(4).roll(1, 1).repeat(3, 1)
    routing = logit_router("topk", 4, k=k)(logits)
    assert routing.pre_counts.tolist() == [3 * k] * 4
    assert routing.aux["balance"].item() == pytest.approx(1, abs=1e-6)


def test_groups_average_their_own_losses():
    probs = torch.eye(2)[[0, 0, 1, 1]]
    expert = torch.tensor([[0], [0], [1], [1]])
    assert balance_loss(probs, routed_share(expert, 2)) == pytest.approx(1), "even over the batch"
    assert balance_loss(probs, routed_share(expert, 2, group_size=2)) == pytest.approx(2), "collapsed in each sequence"
    with pytest.raises(ValueError, match=r"4 tokens.*groups of 3"):
        routed_share(expert, 2, group_size=3)


def test_shares_count_requested_routes_only():
    expert, requested = torch.tensor([[0, 1], [0, 1]]), torch.tensor([[True, False], [True, True]])
    torch.testing.assert_close(routed_share(expert, 2, requested), torch.tensor([[2 / 3, 1 / 3]]))
    torch.testing.assert_close(as_share(torch.zeros(4)), torch.full((4,), 0.25))


def test_over_all_micro_batches_with_running_counts():
    """With the counts of the whole step, the mean over micro-batches is the full batch's loss (it is linear in P)."""
    torch.manual_seed(0)
    logits = torch.randn(12, 4)
    whole = logit_router("topk", 4, k=2)(logits)
    router = logit_router("topk", 4, k=2)
    router.global_counts = torch.zeros(4)
    parts = [router(part) for part in logits.split(4)]
    torch.testing.assert_close(router.global_counts, whole.pre_counts)
    share = as_share(router.global_counts)
    mean = torch.stack([balance_loss(part.probs, share) for part in parts]).mean()
    torch.testing.assert_close(mean, whole.aux["balance"])
    torch.testing.assert_close(parts[-1].aux["balance"], balance_loss(parts[-1].probs, share))
    router.eval()(logits)
    torch.testing.assert_close(router.global_counts, whole.pre_counts, msg="evaluation was counted")


def test_balance_over_sequences_is_a_switch_on_the_router():
    router = logit_router("topk", 2, k=1)
    logits = 20 * torch.eye(2)[[0, 0, 1, 1]]
    assert router(logits).aux["balance"].item() == pytest.approx(1)
    router.balance_group = 2
    assert router(logits).aux["balance"].item() == pytest.approx(2)


def test_gradient_flows_through_probabilities_alone():
    probs, share = torch.rand(6, 4, requires_grad=True), torch.rand(4, requires_grad=True)
    balance_loss(probs, share).backward()
    assert share.grad is None
    torch.testing.assert_close(probs.grad, (share.detach() * 4 / 6).expand(6, 4))


def test_half_precision_is_raised():
    assert balance_loss(torch.full((6, 4), 0.25).half(), torch.full((4,), 0.25).half()).dtype == torch.float32
    assert z_loss(torch.zeros(2, 4).bfloat16()).dtype == torch.float32


def test_z_loss():
    assert z_loss(torch.full((3, 8), 2.0)) == pytest.approx((math.log(8) + 2) ** 2)
    assert z_loss(torch.full((3, 8), -math.log(8))) == pytest.approx(0, abs=1e-12)
    logits = torch.randn(5, 4, requires_grad=True, dtype=torch.float64)
    z_loss(logits).backward()
    torch.testing.assert_close(logits.grad, 2 * logits.logsumexp(-1, keepdim=True) * logits.softmax(-1) / 5)


def test_cv_squared_is_zero_when_even_and_e_minus_one_when_one_hot():
    assert cv_squared(torch.full((4,), 3.0)) == 0
    assert cv_squared(torch.tensor([5.0, 0, 0, 0])) == pytest.approx(3)
    assert importance_loss(torch.tensor([[1.0, 0], [1.0, 0], [0, 1.0]])) == pytest.approx(1 / 9)


def test_smooth_load_against_brute_force():
    """P(x, i) from its words: draw expert i's noise again, keep the others', count how often i is among the k best."""
    torch.manual_seed(0)
    clean, std = torch.randn(3, 5, dtype=torch.float64), torch.rand(3, 5, dtype=torch.float64) + 0.5
    noisy = clean + std * torch.randn(3, 5, dtype=torch.float64)
    found = smooth_load(clean, noisy, std, 2)
    draws = torch.randn(40_000, dtype=torch.float64)
    for t in range(3):
        for i in range(5):
            others = torch.cat([noisy[t, :i], noisy[t, i + 1 :]]).sort(descending=True).values
            again = clean[t, i] + std[t, i] * draws
            assert found[t, i].item() == pytest.approx((again > others[1]).double().mean().item(), abs=0.01)
    assert smooth_load(clean, noisy, std, 5).eq(1).all()


def test_a_dense_router_is_charged_for_uneven_gate_mass():
    router = make_router("dense", 4, 4)
    with torch.no_grad():
        router.gate.weight.copy_(30 * torch.eye(4))
    assert router(torch.eye(4)).aux["balance"].item() == pytest.approx(1)
    assert router(torch.eye(4)[[0] * 4]).aux["balance"].item() == pytest.approx(4, rel=1e-3)

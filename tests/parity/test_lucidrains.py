"""lucidrains' packages: mixture-of-experts (GShard after tensor2tensor), st-moe-pytorch and soft-moe-pytorch."""

from __future__ import annotations

import pytest
import torch

from tests.moe.logit_router import logit_router
from tests.parity.cases import APART, HUGE, TIGHT, E, dense_slots

WHOLE = [case for case in APART if case != "few"]
"""Their smallest buffer is 4, which is all of the tokens there."""


def _ours(name: str, factor: float, **options):
    """Their factor has no k in it: capacity int(factor * n / E), at least 4."""
    return logit_router(name, E, capacity_factor=factor / 2, capacity_rounding="floor", min_capacity=4, **options)


@pytest.mark.parametrize("factor", [0.5, 1.25, 2.0])
@pytest.mark.parametrize("case", WHOLE)
def test_top2_gating(case, factor):
    reason = "mixture-of-experts is not installed (make parity)"
    peer = pytest.importorskip("mixture_of_experts.mixture_of_experts", reason=reason)
    gate = peer.Top2Gating(E, E, second_policy_eval="all", capacity_factor_eval=factor).eval()
    with torch.no_grad():
        gate.w_gating.copy_(torch.eye(E))
        _, combine, loss = gate(APART[case].clone()[None])
    routing = _ours("gshard", factor, renormalize="before_drop").eval()(APART[case])
    assert routing.capacity == combine.shape[3]
    torch.testing.assert_close(dense_slots(routing, routing.capacity), combine[0], **TIGHT)
    torch.testing.assert_close(routing.aux["balance"], loss, **TIGHT)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("factor", [0.5, 1.25, 2.0])
@pytest.mark.parametrize("case", WHOLE)
def test_st_moe(case, factor, training):
    peer = pytest.importorskip("st_moe_pytorch.st_moe_pytorch", reason="st-moe-pytorch is not installed (make parity)")
    gate = peer.TopNGating(
        E,
        E,
        threshold_train=1e-9,  # every second expert is kept, as ours are at evaluation
        threshold_eval=1e-9,
        capacity_factor_train=factor,
        capacity_factor_eval=factor,
        straight_through_dispatch_tensor=False,
    ).train(training)
    with torch.no_grad():
        gate.to_gates.weight.copy_(torch.eye(E))
        _, combine, balance, z = gate(APART[case].clone()[None])
    routing = _ours("st_moe", factor, threshold=0.0).train(training)(APART[case])
    assert routing.capacity == combine.shape[3]
    torch.testing.assert_close(dense_slots(routing, routing.capacity), combine[0], **TIGHT)
    if training:  # at evaluation theirs are 0
        torch.testing.assert_close(routing.aux["z"], z, **TIGHT)
        # Their mask of first choices is cut down in place before the loss reads it, so that dropped ones no longer count.
        first = torch.nn.functional.one_hot(routing.route_expert.view(-1, 2)[:, 0], E) * routing.kept.view(-1, 2)[:, :1]
        kept_only = E * (first.float().mean(0) * routing.probs.mean(0)).sum()
        torch.testing.assert_close(kept_only, balance, **TIGHT)
        if first.sum() == len(first):
            torch.testing.assert_close(routing.aux["balance"], balance, **TIGHT)


def test_the_threshold_keeps_as_many_second_experts():
    peer = pytest.importorskip("st_moe_pytorch.st_moe_pytorch", reason="st-moe-pytorch is not installed (make parity)")
    torch.manual_seed(0)
    probs = torch.tensor([0.6, 0.06, 0.02, 0.02])
    logits = probs.log().repeat(20_000, 1)
    gate = peer.TopNGating(4, 4, threshold_train=0.2, capacity_factor_train=4.0)
    with torch.no_grad():
        gate.to_gates.weight.copy_(torch.eye(4))
        # Sequences of 40 tokens, or their tensor would be of 20,000 x 4 x 20,000 numbers.
        _, combine, _, _ = gate(logits.view(-1, 40, 4))
    kept = logit_router("st_moe", 4, threshold=0.2).train()(logits).kept.view(-1, 2)[:, 1].float().mean()
    assert kept.item() == pytest.approx((combine.sum(-1)[..., 1] > 0).float().mean().item(), abs=0.02)


@pytest.mark.parametrize("case", [*WHOLE, *HUGE])
def test_soft_moe(case):
    """Their logits are sqrt(D) * sqrt(D) times the cosine, and they mix the *normalised* tokens, so these are given to both."""
    peer = pytest.importorskip("soft_moe_pytorch", reason="soft-moe-pytorch is not installed (make parity)")
    from moe_viz.moe import make_router

    tokens = {**APART, **HUGE}[case]
    x = torch.nn.functional.normalize(tokens, dim=1) * E**0.5
    torch.manual_seed(0)
    theirs = peer.SoftMoE(E, num_experts=4, num_slots=3)
    theirs.experts = torch.nn.Identity()
    ours = make_router("soft", E, 4, slots_per_expert=3)
    with torch.no_grad():
        theirs.slot_embeds.normal_()
        ours.phi.copy_(theirs.slot_embeds.permute(2, 0, 1))
        ours.scale.fill_(E)
        routing = ours(x)
        slots = torch.einsum("td,tes->esd", x, routing.dispatch)
        y = torch.einsum("esd,tes->td", slots, routing.combine)
        # ours guards the square root with 1e-6, theirs the norm: equal to 1e-5 for vectors of unit size
        torch.testing.assert_close(y, theirs(x[None])[0], **TIGHT)

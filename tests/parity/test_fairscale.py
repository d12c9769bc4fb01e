"""fairscale's top-2 gate (GShard)."""

from __future__ import annotations

import pytest
import torch

from tests.moe.logit_router import logit_router
from tests.parity.cases import APART, EQUAL, HUGE, TIGHT, E, dense_slots

peer = pytest.importorskip("fairscale.nn.moe.top2gate", reason="fairscale is not installed (make parity)")


def _theirs(logits, monkeypatch):
    # Their second expert is drawn even at evaluation: without the noise it is the second best.
    monkeypatch.setattr(peer, "gumbel_rsample", lambda shape, device: torch.zeros(shape))
    return peer.top2gating(logits)


@pytest.mark.parametrize("case", [case for case in APART if case != "few"])
def test_combine_weights_slots_and_loss(case, monkeypatch):
    loss, combine, dispatch = _theirs(APART[case].clone(), monkeypatch)
    router = logit_router("gshard", E, capacity_factor=1.0, renormalize="after_drop", capacity_rounding="floor")
    routing = router.eval()(APART[case])
    assert routing.capacity == combine.shape[2]
    torch.testing.assert_close(dense_slots(routing, routing.capacity), combine, **TIGHT)
    assert torch.equal(dense_slots(routing, routing.capacity) > 0, dispatch)
    torch.testing.assert_close(loss * E**2, routing.aux["balance"], **TIGHT)


@pytest.mark.parametrize("case", [*HUGE, *EQUAL])
def test_extremes(case, monkeypatch):
    logits = {**HUGE, **EQUAL}[case]
    loss, combine, _ = _theirs(logits.clone(), monkeypatch)
    router = logit_router("gshard", E, capacity_factor=1.0, renormalize="after_drop")
    routing = router.eval()(logits)
    torch.testing.assert_close(loss * E**2, routing.aux["balance"], **TIGHT)
    ours = dense_slots(routing, routing.capacity)
    torch.testing.assert_close(ours.sum((1, 2)), combine.sum((1, 2)), **TIGHT)


def test_the_second_expert_is_drawn_with_the_same_chances():
    torch.manual_seed(0)
    # No second expert is drawn by more than half of the tokens, so each of them finds a slot in theirs.
    logits = torch.tensor([1.0, 0.3, 0.0, -0.2]).repeat(4_000, 1)
    chances = [
        torch.stack([(peer.top2gating(part)[1].sum(2) > 0)[:, 1:].float().mean(0) for part in logits.split(400)])
    ]
    chances[0] = chances[0].mean(0)
    routing = logit_router("gshard", 4, second_expert="sampling").train()(logits)
    second = routing.route_expert.view(-1, 2)[:, 1]
    chances.append(torch.bincount(second, minlength=4)[1:] / len(second))
    torch.testing.assert_close(*chances, atol=0.03, rtol=0)

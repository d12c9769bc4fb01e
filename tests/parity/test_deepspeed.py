"""DeepSpeed's gates: top-1 (random token selection), top-2 (GShard) and top-k (by probability or position)."""

from __future__ import annotations

import pytest
import torch

from moe_viz.moe.capacity import CAPACITY_FORMULAS
from tests.moe.logit_router import dense_kept, dense_weights, logit_router
from tests.parity.cases import APART, EQUAL, HUGE, TIGHT, E, dense_slots

peer = pytest.importorskip("deepspeed.moe.sharded_moe", reason="deepspeed is not installed (make parity)")

every_case = pytest.mark.parametrize("case", [case for case in APART if case != "few"])


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@every_case
def test_top1(case, factor):
    """Who is dropped is drawn (or, without drawing, left to torch.topk among equals): how many are kept where, and their weights."""
    torch.manual_seed(0)
    loss, combine, _, counts = peer.top1gating(APART[case].clone(), factor, 4, use_rts=True)
    router = logit_router("switch", E, capacity_factor=factor, min_capacity=4, drop_policy="random")
    routing = router(APART[case])
    torch.testing.assert_close(routing.aux["balance"], loss, **TIGHT)
    assert torch.equal(routing.pre_counts, counts.float())
    kept = combine.sum(2) > 0
    assert torch.equal(routing.post_counts, kept.sum(0).float())
    both = kept & (dense_kept(routing) > 0)
    torch.testing.assert_close(dense_weights(routing)[both], combine.sum(2)[both], **TIGHT)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@every_case
def test_top2_with_slots(case, factor):
    loss, combine, _, counts = peer.top2gating(APART[case].clone(), factor, 4, top2_2nd_expert_sampling=False)
    router = logit_router("gshard", E, capacity_factor=factor, min_capacity=4, renormalize="after_drop").eval()
    routing = router(APART[case])
    assert routing.capacity == combine.shape[2]
    ours = dense_slots(routing, routing.capacity)
    # They divide by at least float32's epsilon: a second expert alone with a gate below that keeps less than 1.
    gates = (APART[case].softmax(1) * (ours.sum(2) > 0)).sum(1)
    sure = (gates == 0) | (gates > 1e-5)
    torch.testing.assert_close(ours[sure], combine[sure], **TIGHT)
    torch.testing.assert_close(routing.aux["balance"], loss, **TIGHT)
    assert torch.equal(routing.pre_counts, counts.float())


@pytest.mark.parametrize("case", HUGE)
def test_top2_where_the_second_gate_is_nothing(case):
    loss, combine, _, _ = peer.top2gating(HUGE[case].clone(), 1.0, 4, top2_2nd_expert_sampling=False)
    routing = logit_router("gshard", E, min_capacity=4, renormalize="after_drop", capacity_factor=1.0).eval()(
        HUGE[case]
    )
    torch.testing.assert_close(routing.aux["balance"], loss, **TIGHT)
    torch.testing.assert_close(dense_weights(routing).sum(1), combine.sum((1, 2)), **TIGHT)


@pytest.mark.parametrize("case", EQUAL)
def test_ties_go_to_the_first_expert_in_both(case):
    _, combine, _, _ = peer.top2gating(EQUAL[case].clone(), 1.0, 4, top2_2nd_expert_sampling=False)
    routing = logit_router("gshard", E, min_capacity=4, renormalize="after_drop", capacity_factor=1.0).eval()(
        EQUAL[case]
    )
    torch.testing.assert_close(dense_slots(routing, combine.shape[2]), combine, **TIGHT)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("case", [case for case in APART if case not in ("few", "ranks")])  # in "ranks", tokens tie
def test_topk_by_probability(case, factor, k):
    loss, combine, _, _ = peer.topkgating(APART[case].clone(), k, factor, 1, drop_policy="probs")
    options = {"k": k, "capacity_factor": factor, "drop_policy": "probability"}
    # With k = 1 they renormalise, too, which makes every weight 1 and takes the gate's gradient away; ours refuses that.
    options |= {"renormalize": "after_drop"} if k > 1 else {}
    routing = logit_router("topk", E, **options)(APART[case])
    torch.testing.assert_close(routing.aux["balance"], loss, **TIGHT)
    theirs = combine.sum(2)
    assert torch.equal(dense_kept(routing) > 0, theirs > 0)
    if k > 1:
        torch.testing.assert_close(dense_weights(routing), theirs, **TIGHT)


@pytest.mark.parametrize("factor", [0.5, 1.0])
@every_case
def test_top1_by_position(case, factor):
    """`topkgating` with k = 1 is exactly first come, first served (`top1gating` without random selection is not)."""
    _, combine, _, _ = peer.topkgating(APART[case].clone(), 1, factor, 1, drop_policy="position")
    routing = logit_router("switch", E, capacity_factor=factor, min_capacity=1)(APART[case])
    assert torch.equal(dense_kept(routing) > 0, combine.sum(2) > 0)
    ours = dense_slots(routing, routing.capacity) > 0
    assert torch.equal(ours, combine > 0)


def test_topk_by_position_serves_tokens_before_choices():
    """Different on purpose: theirs serves token by token, ours (GShard) all first choices before all second ones."""
    logits = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 2.0, 1.0]])
    _, combine, _, _ = peer.topkgating(logits.clone(), 2, 0.5, 1, drop_policy="position")
    ours = dense_kept(logit_router("topk", 3, k=2, capacity_factor=0.5)(logits)) > 0
    assert (combine.sum(2) > 0).tolist() == [[True, True, False], [False, False, False], [False, False, True]]
    assert ours.tolist() == [[True, False, False], [False, True, False], [False, False, True]]


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25, 2.0])
def test_capacity(factor):
    for tokens in (1, 7, 64, 100):
        for experts in (1, 3, 8):
            for k in (1, 2):
                theirs = peer._capacity(torch.zeros(tokens, experts), torch.tensor(factor * k), torch.tensor(4))
                assert CAPACITY_FORMULAS["deepspeed"](tokens, experts, k, factor) == int(theirs)

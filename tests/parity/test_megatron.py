"""Megatron-core: score functions, groups, dropping by probability, losses, bias update, Sinkhorn, capacity."""

from __future__ import annotations

import warnings

import pytest
import torch

from moe_viz.moe.capacity import CAPACITY_FORMULAS
from moe_viz.moe.transport import sinkhorn_plan
from tests.moe.logit_router import dense_kept, dense_weights, logit_router
from tests.parity.cases import APART, EQUAL, HUGE, TIGHT, E

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip(
        "megatron.core.transformer.moe.moe_utils", reason="megatron-core is not installed (make parity)"
    )

every_case = pytest.mark.parametrize("case", APART)
BIAS = torch.tensor([0.3, -0.2, 0.1, 0.0, -0.4, 0.25, -0.05, 0.15])


@pytest.mark.parametrize("k", [2, 4, E])
@every_case
def test_softmax_after_the_choice(case, k):
    probs, chosen = peer.topk_routing_with_score_function(APART[case], k)
    routing = logit_router("mixtral", E, k=k)(APART[case])
    torch.testing.assert_close(dense_weights(routing), probs, **TIGHT)
    assert torch.equal(dense_kept(routing) > 0, chosen)


@pytest.mark.parametrize("k", [1, 2, 4])
@every_case
def test_softmax_before_the_choice(case, k):
    probs, chosen = peer.topk_routing_with_score_function(APART[case], k, use_pre_softmax=True)
    routing = logit_router("olmoe", E, k=k)(APART[case])
    torch.testing.assert_close(dense_weights(routing), probs, **TIGHT)
    assert torch.equal(dense_kept(routing) > 0, chosen)


@pytest.mark.parametrize("case", [*HUGE, *EQUAL])
def test_extremes_have_the_same_sorted_weights(case):
    logits = {**HUGE, **EQUAL}[case]
    for name, before in (("mixtral", False), ("olmoe", True)):
        probs, _ = peer.topk_routing_with_score_function(logits, 2, use_pre_softmax=before)
        ours = dense_weights(logit_router(name, E, k=2)(logits))
        torch.testing.assert_close(ours.sort(1).values, probs.sort(1).values, **TIGHT)


@pytest.mark.parametrize("bias", [torch.zeros(E), BIAS, BIAS - 2], ids=["none", "mixed", "negative"])
@pytest.mark.parametrize("groups, group_k, k", [(1, 1, 1), (1, 1, 3), (4, 2, 2), (4, 2, 4), (2, 1, 3), (2, 1, 4)])
@pytest.mark.parametrize("case", ["normal", "tiny", "one_sided", "rising", "few"])
def test_sigmoid_with_bias_and_groups(case, groups, group_k, k, bias):
    limited = {"num_groups": groups, "group_topk": group_k} if groups > 1 else {}
    logits = APART[case]
    probs, chosen = peer.topk_routing_with_score_function(
        logits, k, score_function="sigmoid", expert_bias=bias, scaling_factor=2.5, **limited
    )
    router = logit_router(
        "deepseek_v3", E, k=k, n_group=groups, topk_group=group_k, group_score="share", routed_scaling=2.5
    )
    router.bias.copy_(bias)
    routing = router.eval()(logits)
    torch.testing.assert_close(dense_weights(routing), probs, **TIGHT)
    assert torch.equal(dense_kept(routing) > 0, chosen)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("case", [case for case in APART if case != "ranks"])  # there, tokens tie
def test_dropping_the_least_probable(case, factor, k):
    probs, chosen = peer.topk_routing_with_score_function(APART[case], k, use_pre_softmax=True)
    final, kept = peer.apply_router_token_dropping(probs, chosen, k, factor, "probs")
    router = logit_router("olmoe", E, k=k, capacity_factor=factor, drop_policy="probability")
    routing = router(APART[case])
    assert torch.equal(dense_kept(routing) > 0, kept)
    torch.testing.assert_close(dense_weights(routing), final, **TIGHT)


@pytest.mark.parametrize("k", [1, 2])
@every_case
def test_balance_and_its_gradient(case, k):
    theirs_in, ours_in = (APART[case].clone().requires_grad_() for _ in range(2))
    chosen, scores = peer.compute_routing_scores_for_aux_loss(theirs_in, k, "softmax")
    theirs = peer.switch_load_balancing_loss_func(scores, chosen.sum(0), len(scores), k, E, 1.0)
    ours = logit_router("olmoe", E, k=k)(ours_in).aux["balance"]
    torch.testing.assert_close(ours, theirs, **TIGHT)
    theirs.backward()
    ours.backward()
    torch.testing.assert_close(ours_in.grad, theirs_in.grad, **TIGHT)


@every_case
def test_balance_of_sigmoid_scores_counts_the_unbiased_choice(case):
    logits = APART[case]
    chosen, scores = peer.compute_routing_scores_for_aux_loss(logits, 2, "sigmoid")
    theirs = peer.switch_load_balancing_loss_func(scores, chosen.sum(0), len(scores), 2, E, 1.0)
    router = logit_router("deepseek_v3", E, k=2)
    router.bias.copy_(BIAS)
    routing = router(logits)
    if case == "negative":  # every sigmoid underflows to 1e-35: they divide by 1e-20, ours takes the exact shares
        assert theirs < 1e-3 and 0.5 < routing.aux["balance"] < E
        return
    torch.testing.assert_close(routing.probs, scores, **TIGHT)
    if case != "shifted":  # every sigmoid is exactly 1: who is counted is arbitrary
        torch.testing.assert_close(routing.aux["balance"], theirs, **TIGHT)


@pytest.mark.parametrize("case", [*APART, *HUGE, *EQUAL])
def test_z_loss(case):
    logits = {**APART, **HUGE, **EQUAL}[case]
    ours = logit_router("st_moe", E).eval()(logits).aux["z"]
    torch.testing.assert_close(ours, peer.z_loss_func(logits, 1.0), **TIGHT)


def test_bias_update(monkeypatch):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda *args, **kwargs: None)
    monkeypatch.setattr(peer.parallel_state, "get_tensor_and_data_parallel_group", lambda **kwargs: None)
    router = logit_router("deepseek_v3", E, k=2, bias_step=0.01).train()
    for case in APART:
        before, routing = router.bias.clone(), router(APART[case])
        router.after_step(routing)
        theirs = peer.get_updated_expert_bias(routing.pre_counts.clone(), before, 0.01)
        torch.testing.assert_close(router.bias, theirs, **TIGHT)


@pytest.mark.parametrize("case", ["normal", "tiny", "large"])
def test_sinkhorn(case):
    """Converged plans agree; theirs sums to 1 over everything, ours over each token. Theirs exponentiates, so logits of 1e4 overflow it."""
    scores = APART[case].double()
    theirs = peer.sinkhorn(scores.clone(), tol=1e-6) * len(scores)
    plan, _, _ = sinkhorn_plan(scores, 2000, 1e-10)
    torch.testing.assert_close(plan.exp(), theirs, **TIGHT)
    assert peer.sinkhorn(HUGE["huge"][:1], tol=1e8).isnan().any()
    assert sinkhorn_plan(HUGE["huge"].double(), 10)[0].isfinite().all()


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("case", ["normal", "tiny", "large"])
def test_sinkhorn_router(case, k):
    logits = APART[case]
    chosen = peer.sinkhorn(logits.double(), tol=1e-6).topk(k, 1).indices
    gates = logits.sigmoid() if k == 1 else logits.softmax(1)
    gate = "sigmoid" if k == 1 else "softmax"
    router = logit_router("sinkhorn", E, k=k, gate=gate, iterations=200, temperature=1.0, renormalize="never")
    routing = router.train()(logits)
    theirs = torch.zeros_like(gates).scatter(1, chosen, gates.gather(1, chosen))
    torch.testing.assert_close(dense_weights(routing), theirs, **TIGHT)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25, 2.0])
def test_capacity(factor):
    for tokens in (1, 7, 64, 100):
        for experts in (1, 3, 8):
            for k in (1, 2):
                theirs = peer.get_capacity(tokens * k, experts, factor)
                assert CAPACITY_FORMULAS["megatron"](tokens, experts, k, factor) == theirs

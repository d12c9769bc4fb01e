"""A whole MoE layer of transformers with our weights: output and gradients, where routers alone do not tell (shared experts)."""

from __future__ import annotations

import pytest
import torch

from moe_viz.moe import Experts, MoELayer, make_router

pytest.importorskip("transformers", minversion="5.23", reason="parity needs transformers 5.23 or newer")

T, E = 96, 8
TIGHT = {"atol": 1e-5, "rtol": 1e-5}


def test_a_whole_qwen2_layer():
    """Routed experts without renormalisation, plus a shared one that each token scales by a sigmoid gate: output and all gradients."""
    from transformers.models.qwen2_moe import Qwen2MoeConfig
    from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeSparseMoeBlock

    torch.manual_seed(0)
    width, hidden = 16, 12
    sizes = {"moe_intermediate_size": hidden, "shared_expert_intermediate_size": hidden}
    config = Qwen2MoeConfig(hidden_size=width, num_experts=E, num_experts_per_tok=2, norm_topk_prob=False, **sizes)
    config._experts_implementation = "eager"
    theirs = Qwen2MoeSparseMoeBlock(config).double()
    experts = Experts(E, width, hidden, "swiglu")
    ours = MoELayer(make_router("olmoe", width, E, k=2), experts, n_shared=1, shared_gate=True).double()
    shared = theirs.shared_expert
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.3)
    pairs = [
        (ours.shared.w1, torch.cat([shared.gate_proj.weight, shared.up_proj.weight]).T[None]),
        (ours.router.gate.weight, theirs.gate.weight),
        (ours.experts.w1, theirs.experts.gate_up_proj.transpose(1, 2)),
        (ours.experts.w2, theirs.experts.down_proj.transpose(1, 2)),
        (ours.shared.w2, shared.down_proj.weight.T[None]),
        (ours.shared_gate.weight, theirs.shared_expert_gate.weight),
    ]
    with torch.no_grad():
        for mine, other in pairs:
            mine.copy_(other)
    x, g = torch.randn(1, T, width, dtype=torch.float64), torch.randn(T, width, dtype=torch.float64)
    wanted = theirs(x)[0].view(T, width)
    found, _ = ours(x[0])
    torch.testing.assert_close(found, wanted, **TIGHT)
    for y in (found, wanted):
        y.backward(g)
    for mine, other in zip(
        (ours.router.gate.weight, ours.shared_gate.weight), (theirs.gate.weight, theirs.shared_expert_gate.weight)
    ):
        torch.testing.assert_close(mine.grad, other.grad, **TIGHT)
    torch.testing.assert_close(ours.experts.w2.grad, theirs.experts.down_proj.grad.transpose(1, 2), **TIGHT)

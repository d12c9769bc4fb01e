"""Helpers for routing tests: feed logits straight into a router, and read a routing back as a dense matrix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe import make_router
from moe_viz.moe.routing import Routing


def logit_router(name: str, n_experts: int, **options) -> nn.Module:
    """A router whose input is its logits: d_model = E and the gate is the identity."""
    router = make_router(name, d_model=n_experts, n_experts=n_experts, **options)
    with torch.no_grad():
        router.gate.weight.copy_(torch.eye(n_experts))
    return router


def dense_weights(routing: Routing) -> Tensor:
    """[T, E] combine weights of the kept routes, 0 elsewhere."""
    weights = torch.zeros(routing.n_tokens, routing.n_experts, dtype=routing.weight.dtype)
    return weights.index_put((routing.token_idx, routing.expert_idx), routing.weight, accumulate=True)


def dense_kept(routing: Routing) -> Tensor:
    """[T, E] how many kept routes lead from each token to each expert (0 or 1)."""
    kept = torch.zeros(routing.n_tokens, routing.n_experts, dtype=torch.int64)
    return kept.index_put((routing.token_idx, routing.expert_idx), torch.ones_like(routing.token_idx), accumulate=True)

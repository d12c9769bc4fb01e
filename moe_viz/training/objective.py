"""What a step minimises: task loss + coefficient x auxiliary terms, the terms averaged over the layers.

The balancing terms (`balance`, `importance`, `load`) are weighted by `balance_coef`, `z` by `z_coef`, the budget of NLLB's gate
(`cmr`) by `cmr_coef` and once for all layers together. Every other term a router brings (a policy gradient, an adaptive L1) carries its own
weight and counts once.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from moe_viz.moe.routers.second_expert import budget_loss
from moe_viz.moe.routing import Routing
from moe_viz.spec import RunConfig

BALANCING = ("balance", "importance", "load")


def coefficient(term: str, config: RunConfig) -> float:
    """Weight of one auxiliary term."""
    if term in BALANCING:
        return config.balance_coef
    if term == "cmr":
        return config.router.cmr_coef
    return config.z_coef if term == "z" else 1.0


def auxiliary_loss(routings: Sequence[Routing], config: RunConfig) -> Tensor | float:
    """Weighted auxiliary terms, averaged over the layers. Terms with weight 0 are left out, so that they cost nothing."""
    total: Tensor | float = 0.0
    for routing in routings:
        for name, term in routing.aux.items():
            if name == "cmr":
                mixes = [r.unpadded.residual_mix for r in routings]
                term = budget_loss([mix for mix in mixes if mix is not None], config.router.budget)
            weight = coefficient(name, config)
            if weight:
                total = total + weight * term
    return total / max(len(routings), 1)


def reward_routers(layers: Sequence, routings: Sequence[Routing], per_token_loss: Tensor) -> None:
    """Let routers that learn from a reward (-loss of each token, the same for every layer) add their terms to `aux`."""
    reward = -per_token_loss.detach()
    for layer, routing in zip(layers, routings):
        routing.aux.update(layer.router.feedback(routing, reward))

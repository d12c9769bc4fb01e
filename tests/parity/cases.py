"""Logits on which implementations are compared: random, and those that are known to tell implementations apart."""

from __future__ import annotations

import torch
from torch import Tensor

from moe_viz.moe.routing import Routing

T, E = 96, 8
TIGHT = {"atol": 1e-5, "rtol": 1e-5}


def _apart() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(11)
    normal = torch.randn(T, E, generator=draw)
    order = torch.argsort(torch.rand(T, E, generator=draw), dim=1).float()
    one_sided, rising = normal.clone(), normal.clone()
    one_sided[:, 3] += 6
    rising[:, 0] += torch.linspace(0, 9, T)  # overflow whose best tokens come last
    few = normal.clone()[: E // 2]
    return {
        "normal": normal,
        "tiny": normal * 0.01,
        "large": normal * 4,
        "ranks": order * 3,
        "shifted": normal + 80,
        "negative": normal - 80,
        "one_sided": one_sided,
        "rising": rising,
        "few": few,
    }


APART = _apart()
"""No two experts of a token are equal, and no gate underflows: everybody must choose the same experts."""

HUGE = {
    "huge": 1e4 * APART["normal"],
    "one_hot": 1e4 * torch.eye(E)[torch.randint(E, (T,), generator=torch.Generator().manual_seed(5))],
}
"""All gates but the first are exactly 0: who is second means nothing, first choices and weights do."""

EQUAL = {"constant": torch.full((T, E), 0.37), "two_levels": (torch.arange(T * E).reshape(T, E) % 2).float()}
"""Ties: who wins is a matter of taste; the sizes of the weights are not."""


def dense_slots(routing: Routing, capacity: int) -> Tensor:
    """[T, E, C] combine weights by slot, as in implementations with one-hot dispatch."""
    full = torch.zeros(routing.n_tokens, routing.n_experts, capacity)
    full[routing.token_idx, routing.expert_idx, routing.slot_idx] = routing.weight.detach().float()
    return full

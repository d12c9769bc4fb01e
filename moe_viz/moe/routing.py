"""Routing: the one record that every router returns, whatever its family.

Axes: T tokens, D width, E experts, M candidate routes, R kept routes, S soft slots, C capacity.

A router lists *candidate* routes in fixed shapes (`route_*`, length M known without looking at the data) with two masks:
`requested` (the router wanted it) and `kept` (it also found a slot). The layer works on the fixed shapes, so that nothing
forces the host to wait for the accelerator; the contract's flat list of kept routes (`token_idx`, `expert_idx`, `slot_idx`,
`weight`) is derived from them when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def numbers(stop: int, device: torch.device, step: int = 1) -> Tensor:
    """0, step, 2 step, ... below stop, int64. Kept, since every layer asks for the same few at each step: never change one in place."""
    with torch.inference_mode(False):
        return torch.arange(0, stop, step, device=device)


@dataclass
class Routing:
    """What a router decided for T tokens and E experts.

    logits   [T, E] raw router scores, or None where a router has none (hash, random)
    probs    [T, E] full distribution (softmax, or scores normalised over experts), with gradient
    route_token / route_expert [M] int64, candidate routes; route_weight [M] differentiable combine weight (0 where not kept)
    route_slot [M] int64 position in the expert's buffer (meaningful where `requested`; >= capacity means overflow)
    requested [M] bool, the router asked for it;  kept [M] bool, it was asked for and found a slot
    capacity slots per expert, or None when dropless
    pre_counts [E] routes asked for, post_counts [E] routes kept (float, detached)
    aux      unweighted scalar loss terms by name (`balance`, `z`, `importance`, `load`, ...); coefficients live in the trainer
    info     display only (thresholds, bias, iterations, ...); never read by the layer
    per_token K when the candidates are listed token by token, K for each (M = T*K, route m belongs to token m // K), else None
    complete every candidate is known to be kept, without looking at the data (lets the layer skip its masks)
    asked_weight [M] detached, the weight each route would have had if no expert were full; None where that is route_weight
    route_in_weight [M] multiplies the expert's *input*, or None for 1
    residual_mix  how the layer's output meets another branch: [T] or [T, 2], or None (see the router that sets it)
    dispatch / combine [T, E, S] for Soft MoE only (then M = 0): S slots of each expert for each of `soft_groups` runs of T/soft_groups tokens
    route_order [M] the routes sorted by expert, where they are `complete` and the router has sorted them anyway; else None. With it,
             route_token, route_slot, requested and kept may be left None: they follow from it and are made when first asked for
    """

    logits: Tensor | None
    probs: Tensor
    route_token: Tensor | None
    route_expert: Tensor
    route_weight: Tensor
    route_slot: Tensor | None
    requested: Tensor | None
    kept: Tensor | None
    capacity: int | None
    pre_counts: Tensor
    post_counts: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    per_token: int | None = None
    complete: bool = False
    asked_weight: Tensor | None = None
    route_in_weight: Tensor | None = None
    residual_mix: Tensor | None = None
    dispatch: Tensor | None = None
    combine: Tensor | None = None
    soft_groups: int = 1
    route_order: Tensor | None = None

    def __post_init__(self) -> None:
        if self.route_order is not None:
            for name in _FOLLOW_FROM_ORDER:
                if getattr(self, name) is None:
                    delattr(self, name)

    def __getattr__(self, name: str) -> Tensor:
        if name not in _FOLLOW_FROM_ORDER:
            raise AttributeError(name)
        value = _FOLLOW_FROM_ORDER[name](self)
        setattr(self, name, value)
        return value

    @property
    def n_tokens(self) -> int:
        return self.probs.shape[0]

    @property
    def n_experts(self) -> int:
        return self.pre_counts.shape[0]

    @cached_property
    def _kept_index(self) -> Tensor:
        return self.kept.nonzero().squeeze(-1)

    @property
    def token_idx(self) -> Tensor:
        """[R] token of each kept route."""
        return self.route_token[self._kept_index]

    @property
    def expert_idx(self) -> Tensor:
        """[R] expert of each kept route."""
        return self.route_expert[self._kept_index]

    @property
    def slot_idx(self) -> Tensor:
        """[R] position of each kept route in its expert's buffer, 0 .. capacity-1."""
        return self.route_slot[self._kept_index]

    @property
    def weight(self) -> Tensor:
        """[R] combine weight of each kept route, differentiable."""
        return self.route_weight[self._kept_index]

    @property
    def in_weight(self) -> Tensor | None:
        """[R] input weight of each kept route, or None for 1."""
        return None if self.route_in_weight is None else self.route_in_weight[self._kept_index]

    @cached_property
    def dropped(self) -> Tensor:
        """[T] bool: the token reached no expert at all (its output is zero; the residual stream carries it)."""
        if self.combine is not None:
            return torch.zeros(self.n_tokens, dtype=torch.bool, device=self.probs.device)
        reached = torch.zeros(self.n_tokens, dtype=torch.int64, device=self.probs.device)
        reached.index_add_(0, self.route_token, self.kept.long())
        return reached == 0


def _slots_in_order(routing: Routing) -> Tensor:
    """[M] a route's place among its expert's, first come first."""
    order, counts = routing.route_order, routing.post_counts.long()
    place = numbers(len(order), order.device) - (counts.cumsum(0) - counts)[routing.route_expert[order]]
    return torch.empty_like(place).scatter_(0, order, place)


_FOLLOW_FROM_ORDER = {
    "route_token": lambda r: numbers(len(r.route_expert), r.route_expert.device) // r.per_token,
    "route_slot": _slots_in_order,
    "requested": lambda r: torch.ones_like(r.route_expert, dtype=torch.bool),
    "kept": lambda r: torch.ones_like(r.route_expert, dtype=torch.bool),
}
"""What costs a handful of small operations per layer and step, and only views ask for."""

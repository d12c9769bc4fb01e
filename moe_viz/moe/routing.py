"""Routing: what a router decided. One small interface, and a record for each kind of routing.

Axes: T tokens, D width, E experts, K chosen per token, M candidate routes, R kept routes, S soft slots, C capacity.

`Routing`            what all kinds offer: logits, probs, counts, loss terms
`SparseRouting`      a list of routes, one token to one expert each; every router but Soft MoE
`  ListedRouting`    candidates with two masks: some were not asked for, or found no slot
`  CompleteRouting`  every candidate is kept, known without looking at the data
`SoftRouting`        matrices that blend tokens into slots and slots into tokens

A sparse router lists *candidate* routes in fixed shapes (`route_*`, length M known without looking at the data) with two masks:
`requested` (the router wanted it) and `kept` (it also found a slot). The layer works on the fixed shapes, so that nothing
forces the host to wait for the accelerator; the contract's flat list of kept routes (`token_idx`, `expert_idx`, `slot_idx`,
`weight`) is derived from them when somebody asks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import (
    _get_current_dispatch_mode,  # pyright: ignore[reportPrivateUsage] - no public name tells of this thread alone
)


def traced() -> bool:
    """Whether tensors made now may stand for others (compile, export, a fake mode): such a one must outlive no call."""
    return torch.compiler.is_compiling() or _get_current_dispatch_mode() is not None


def has_no_data(x: Tensor) -> bool:
    """Whether x stands for tensors of its shape: while torch compiles or exports, in a fake mode, on the meta device."""
    return torch.compiler.is_compiling() or x.is_meta or isinstance(x, FakeTensor)


def numbers(stop: int, device: torch.device, step: int = 1) -> Tensor:
    """0, step, 2 step, ... below stop, int64. Kept, since every layer asks for the same few at each step: never change one in place."""
    return torch.arange(0, stop, step, device=device) if traced() else _kept_numbers(stop, device, step)


@lru_cache(maxsize=64)
def _kept_numbers(stop: int, device: torch.device, step: int) -> Tensor:
    with torch.inference_mode(False):
        return torch.arange(0, stop, step, device=device)


def tokens_of_routes(n_tokens: int, k: int, device: torch.device) -> Tensor:
    """0, 0, .., 1, 1, ..: the token of each of T*K routes listed token by token, int64 [T*K]. Kept and never changed, as `numbers`."""
    if traced():
        return torch.arange(n_tokens, device=device).repeat_interleave(k, output_size=n_tokens * k)
    return _kept_tokens(n_tokens, k, device)


@lru_cache(maxsize=64)
def _kept_tokens(n_tokens: int, k: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.arange(n_tokens, device=device).repeat_interleave(k, output_size=n_tokens * k)


class Padding(NamedTuple):
    """What a mask left out. mask [T] bool, True = a real token; rows [N] int64 of the real tokens; real: the routing of these alone."""

    mask: Tensor
    rows: Tensor
    real: Routing

    def take(self, values: Tensor) -> Tensor:
        """The real tokens' rows of values [T, ...]: [N, ...]."""
        return values.index_select(0, self.rows)

    def put_back(self, values: Tensor) -> Tensor:
        """Values [N, ...] of the real tokens on all rows, [T, ...], 0 on the padded ones."""
        return values.new_zeros(len(self.mask), *values.shape[1:]).index_copy(0, self.rows, values)


@dataclass(kw_only=True)
class Routing(ABC):
    """What a router decided for T tokens and E experts, whatever its kind.

    logits   [T, E] raw router scores, or None where a router has none (hash, random)
    probs    [T, E] full distribution (softmax, or scores normalised over experts), with gradient
    capacity slots per expert, or None when dropless
    pre_counts [E] routes asked for, post_counts [E] routes kept (float, detached); slots for Soft MoE
    aux      unweighted scalar loss terms by name (`balance`, `z`, `importance`, `load`, ...); coefficients live in the trainer
    info     display only (thresholds, bias, iterations, ...); never read by the layer
    residual_mix  how the layer's output meets another branch: [T] or [T, 2], or None (see the router that sets it)
    padding  what a mask left out, or None; whatever counts or averages over tokens reads `unpadded`
    """

    logits: Tensor | None
    probs: Tensor
    capacity: int | None
    pre_counts: Tensor
    post_counts: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    residual_mix: Tensor | None = None
    padding: Padding | None = None

    @property
    def unpadded(self) -> Self:
        """The same routing without its padded rows."""
        return self if self.padding is None else cast(Self, self.padding.real)

    @property
    def n_tokens(self) -> int:
        return self.probs.shape[0]

    @property
    def n_experts(self) -> int:
        return self.pre_counts.shape[0]

    @property
    @abstractmethod
    def dropped(self) -> Tensor:
        """[T] bool: the token reached no expert at all (its output is zero; the residual stream carries it)."""


@dataclass(kw_only=True)
class SparseRouting(Routing):
    """A list of routes. Where they lie and which of them were kept is told by `ListedRouting` or `CompleteRouting`.

    route_token / route_expert [M] int64, candidate routes; route_weight [M] differentiable combine weight (0 where not kept)
    route_slot [M] int64 position in the expert's buffer (meaningful where `requested`; >= capacity means overflow)
    requested [M] bool, the router asked for it;  kept [M] bool, it was asked for and found a slot
    per_token K when the candidates are listed token by token, K for each (M = T*K, route m belongs to token m // K), else None
    asked_weight [M] detached, the weight each route would have had if no expert were full; None where that is route_weight
    route_in_weight [M] multiplies the expert's *input*, or None for 1
    """

    dispatch: ClassVar[None] = None
    combine: ClassVar[None] = None
    """Only `SoftRouting` has these; a reader of any routing may ask for them."""

    route_token: Tensor
    route_expert: Tensor
    route_weight: Tensor
    per_token: int | None = None
    asked_weight: Tensor | None = None
    route_in_weight: Tensor | None = None

    if TYPE_CHECKING:  # a field of ListedRouting each, and derived in CompleteRouting
        route_slot: ClassVar[cached_property[Tensor]]
        requested: ClassVar[cached_property[Tensor]]
        kept: ClassVar[cached_property[Tensor]]

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
    def dropped(self) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] - read alike, and computed once
        reached = torch.zeros(self.n_tokens, dtype=torch.int64, device=self.probs.device)
        reached.index_add_(0, self.route_token, self.kept.long())
        return reached == 0 if self.padding is None else (reached == 0) & self.padding.mask


@dataclass(kw_only=True)
class ListedRouting(SparseRouting):
    """Routes of which some were not asked for, or found their expert's buffer full."""

    route_slot: Tensor
    requested: Tensor
    kept: Tensor


@dataclass(kw_only=True)
class CompleteRouting(SparseRouting):
    """Routes that are all asked for and all kept, known without looking at the data: the layer skips its masks.

    route_order [M] the routes sorted by expert, first come first. Slots and masks follow from it and are made when first asked
    for: they cost a handful of small operations per layer and step, and only views ask.
    """

    route_order: Tensor

    @cached_property
    def route_slot(self) -> Tensor:
        order, counts = self.route_order, self.post_counts.long()
        place = numbers(len(order), order.device) - (counts.cumsum(0) - counts)[self.route_expert[order]]
        return torch.empty_like(place).scatter_(0, order, place)

    @cached_property
    def requested(self) -> Tensor:
        return torch.ones_like(self.route_expert, dtype=torch.bool)

    @cached_property
    def kept(self) -> Tensor:
        return self.requested


@dataclass(kw_only=True)
class SoftRouting(Routing):
    """Soft MoE: S slots of each expert for each of `soft_groups` runs of T / soft_groups tokens; no token is ever dropped.

    dispatch [T, E, S] what each slot takes of each token (columns of a group sum to 1)
    combine  [T, E, S] what each token takes of each slot (a token's sum to 1)
    Of the real tokens where some rows are padded; so are the runs.
    """

    dispatch: Tensor
    combine: Tensor
    soft_groups: int = 1

    @property
    def dropped(self) -> Tensor:
        return torch.zeros(self.n_tokens, dtype=torch.bool, device=self.probs.device)

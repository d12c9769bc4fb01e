"""Expert capacity: how many slots a buffer has (the formulas that papers and implementations really use), and who keeps a
slot when an expert is asked for more than that (drop policies). Axes: T tokens, E experts, K choices, G groups, M = T*K.

Everything here has a fixed shape and stays on the device: capacities follow from shapes alone, never from the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from moe_viz.moe.routing import numbers

ROUNDING: dict[str, Callable[[float], int]] = {"ceil": math.ceil, "floor": math.floor, "round": round}


def _clean(value: float) -> float:
    # 1.1 * 10 is 11.000000000000002 in floating point, and ceil would make 12 of it.
    return round(value, 9)


def capacity(
    n_tokens: int,
    n_experts: int,
    k: int = 1,
    factor: float | None = None,
    rounding: str = "ceil",
    minimum: int = 1,
    multiple_of: int = 1,
) -> int | None:
    """Slots per expert: max(minimum, rounding(k * T * factor / E)), rounded up to a multiple; None (dropless) where factor is None.

    Raises ValueError for an unknown rounding, or a factor that is not positive.
    """
    if factor is None:
        return None
    return _limited(n_tokens, n_experts, k, factor, rounding, minimum, multiple_of)


def _limited(
    n_tokens: int, n_experts: int, k: int, factor: float, rounding: str = "ceil", minimum: int = 1, multiple_of: int = 1
) -> int:
    if rounding not in ROUNDING:
        raise ValueError(f"capacity_rounding = {rounding!r} is not known; it can be: {', '.join(ROUNDING)}")
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"capacity_factor = {factor} must be a positive number, or None for dropless")
    slots = max(minimum, ROUNDING[rounding](_clean(k * n_tokens * factor / n_experts)))
    return -(-slots // multiple_of) * multiple_of


def _fairscale(n_tokens: int, n_experts: int, k: int = 2, factor: float = 1.0) -> int:
    if n_tokens % n_experts:
        raise ValueError(f"fairscale's capacity needs tokens ({n_tokens}) divisible by experts ({n_experts})")
    return 2 * n_tokens // n_experts


def _nllb(n_tokens: int, n_experts: int, k: int = 2, factor: float = 1.0) -> int:
    share = -(-n_tokens // n_experts)
    return 2 * share if k == 2 else int(factor * share)


CAPACITY_FORMULAS: dict[str, Callable[..., int]] = {
    # Switch paper, mesh-tensorflow: no factor k, never more than the group, never fewer than 4.
    "switch": lambda t, e, k=1, factor=1.25: max(min(t, int(_clean(t * factor / e))), 4),
    # flaxformer: round half to even, at least 4.
    "flaxformer": lambda t, e, k=1, factor=1.25: max(round(_clean(t * factor / e)), 4),
    # google-research/vmoe compute_capacity: rounded up to a multiple of 4.
    "vmoe": lambda t, e, k=2, factor=1.05: _limited(t, e, k, factor, "ceil", 1, 4),
    # DeepSpeed _capacity with the MoE layer's default minimum of 4.
    "deepspeed": lambda t, e, k=2, factor=1.0: _limited(t, e, k, factor, "ceil", 4),
    # Megatron-LM get_capacity: no minimum.
    "megatron": lambda t, e, k=2, factor=1.0: math.ceil(_clean(k * t * factor / e)),
    # fairscale top-2 (GShard): a fixed factor of 2.
    "fairscale": _fairscale,
    # fairseq NLLB, training: top-2 twice the even share, top-1 a factor of it.
    "nllb": _nllb,
    # fairseq NLLB, evaluation: a fraction of all tokens (0.25).
    "nllb_eval": lambda t, e, k=2, factor=0.25: math.ceil(_clean(factor * t)),
    # tutel, positive factor: k times the truncated share.
    "tutel": lambda t, e, k=2, factor=1.0: k * int(_clean(factor * -(-t // e))),
    # fastmoe GShard gate: 1.2 in training, 2.4 at evaluation.
    "fastmoe": lambda t, e, k=2, factor=1.2: math.ceil(_clean(factor * t)) * k // e,
    # lucidrains mixture-of-experts: per sequence, no factor k, at least 4.
    "lucidrains": lambda t, e, k=2, factor=1.25: max(min(t, int(_clean(t * factor / e))), 4),
    # megablocks, capacity factor above 0.
    "megablocks": lambda t, e, k=1, factor=1.0: int(_clean(factor * k * t / e)),
    # transformers Switch: a constant of the configuration (64), per sequence.
    "hf_switch": lambda t, e, k=1, factor=1.0: 64,
    # Expert choice (Zhou et al. 2022) as in flaxformer: factor = mean number of experts per token.
    "expert_choice": lambda t, e, k=1, factor=2.0: round(_clean(factor * t / e)),
    # Soft MoE as in vmoe: slots per expert, at least 1.
    "soft": lambda t, e, k=1, factor=1.0: max(1, round(_clean(factor * t / e))),
}
"""Implementation -> formula(n_tokens, n_experts, k, factor). Each states where it comes from; they differ on purpose."""


class Buckets(NamedTuple):
    """Routes put into buckets: rank [M] position of each route in its bucket, counts [n] int64 sizes, order [M] routes by (bucket, rank)."""

    rank: Tensor
    counts: Tensor
    order: Tensor


def fill_buckets(bucket: Tensor, n_buckets: int, priority: Tensor | None = None) -> Buckets:
    """Number the members of each bucket from 0, earlier in `priority` first (default: in the order given).

    bucket [M] int64 in 0 .. n_buckets-1;  priority [M] a permutation: the indices of the routes, first served first.
    """
    queue = bucket if priority is None else bucket[priority]
    ordered, order = queue.sort(stable=True)
    start = torch.searchsorted(ordered, numbers(n_buckets + 1, bucket.device))
    place = numbers(bucket.shape[0], bucket.device) - start[ordered]
    if priority is not None:
        order = priority[order]
    return Buckets(torch.empty_like(place).scatter_(0, order, place), start.diff(), order)


def priority_order(policy: str, gates: Tensor, n_groups: int) -> Tensor | None:
    """The order in which routes are served, for M = K*T routes listed k-major (all first choices before all second ones).

    gates [T, K] detached gate values. Returns [M] indices, or None for the order as listed.
      position        tokens as they come: GShard, Switch and most others
      probability     highest gate first: Megatron, DeepSpeed top-k
      random          any: DeepSpeed's random token selection
      batch_priority  tokens with the highest gate first, then k-major: V-MoE (Riquelme et al. 2021)
    """
    if policy in ("position", "reroute"):
        return None
    n_tokens, k = gates.shape
    if policy == "probability":
        return gates.t().reshape(-1).argsort(dim=0, descending=True, stable=True)
    if policy == "random":
        return torch.rand(n_tokens * k, device=gates.device).argsort()
    if policy == "batch_priority":
        tokens = gates.amax(-1).argsort(dim=0, descending=True, stable=True)
        return (numbers(k, gates.device)[:, None] * n_tokens + tokens).reshape(-1)
    raise ValueError(
        f"drop_policy = {policy!r} is not known; it can be: position, probability, random, batch_priority, reroute"
    )


class Slots(NamedTuple):
    """Where routes landed, [T, K] each: expert, slot (>= n_groups * capacity: overflow), kept; counts [G, E] routes asked for.

    slot and kept are None where every route is kept; then order [T*K] has the routes, token by token, sorted by expert.
    counts are in the dtype of the gates there, else int64.
    """

    expert: Tensor
    slot: Tensor | None
    kept: Tensor | None
    counts: Tensor
    order: Tensor | None = None


def assign_slots(
    expert: Tensor,
    gates: Tensor,
    n_experts: int,
    capacity: int | None,
    policy: str = "position",
    requested: Tensor | None = None,
    n_groups: int = 1,
) -> Slots:
    """Give each route a slot of its expert, group by group.

    expert, gates, requested [T, K]; capacity: slots of one expert in one group. Group g owns the slots g*capacity .. of each expert.
    Routes that were not requested take no slot; their `slot` only numbers them.
    """
    n_tokens, k = expert.shape
    if capacity is None and requested is None:
        routes = expert.reshape(-1)
        # Sums of ones are exact in floating point; as numbers of their final type they need no conversion.
        counts = gates.new_zeros(n_experts).scatter_add_(0, routes, gates.new_ones(()).expand_as(routes))
        return Slots(expert, None, None, counts[None], routes.argsort(stable=True))
    if capacity is None:
        n_groups = 1  # without a limit nothing is decided within groups
    group = numbers(n_tokens, expert.device).div(max(1, n_tokens // n_groups), rounding_mode="floor")
    bucket = expert if n_groups == 1 else expert + group[:, None] * n_experts
    if requested is not None:
        bucket = bucket.masked_fill(~requested, n_groups * n_experts)
    order = None if capacity is None else priority_order(policy, gates.detach(), n_groups)
    filled = fill_buckets(bucket.t().reshape(-1), n_groups * n_experts + 1, order)
    rank = filled.rank.view(k, n_tokens).t()
    counts = filled.counts[:-1].view(n_groups, n_experts)
    if capacity is None:
        return Slots(expert, rank, requested, counts)
    kept = rank < capacity if requested is None else (rank < capacity) & requested
    slot = torch.where(rank < capacity, rank + group[:, None] * capacity, rank + (n_groups - 1) * capacity)
    return Slots(expert, slot, kept, counts)


def reroute_slots(
    ranking: Tensor,
    k: int,
    capacity: int,
    n_groups: int = 1,
    expert: Tensor | None = None,
    requested: Tensor | None = None,
) -> Slots:
    """No token left behind (Switch, appendix B; mesh `_ntlb_gating`): a token whose expert is full tries its next best one.

    ranking [T, E]: the scores by which a token prefers experts; -inf bars an expert. In round i every token that still has fewer experts
    than it asked for tries its i-th choice, in token order. With k = 1 this is the published method. A choice that stays without a slot
    keeps its first wish. expert, requested [T, K]: the first K wishes and which of them count, where not simply the K best.
    """
    n_tokens, n_experts = ranking.shape
    ranking = ranking.detach()
    wishes = ranking.argsort(dim=-1, descending=True, stable=True)
    if expert is not None:
        place_of = wishes.argsort(dim=-1)
        first = torch.arange(-k, 0, device=ranking.device).expand(n_tokens, k)
        wishes = place_of.scatter(1, expert, first).argsort(dim=-1)
    in_groups = (n_groups, n_tokens // n_groups, n_experts)
    expert, asked = wishes[:, :k].clone(), torch.ones_like(wishes[:, :k]) if requested is None else requested.long()
    counts = torch.zeros_like(wishes).scatter_(1, expert, asked).view(in_groups).sum(1)
    settled = asked == 0
    slot = torch.full_like(expert, n_groups * capacity)
    used = torch.zeros(n_groups, 1, n_experts, dtype=torch.int64, device=ranking.device)
    offset = numbers(n_tokens, ranking.device).div(in_groups[1], rounding_mode="floor") * capacity
    for i in range(n_experts):
        wish = wishes[:, i : i + 1]
        column = torch.full_like(wish, i) if i < k else settled.int().argmin(-1, keepdim=True)
        trying = ~settled.gather(1, column) & (ranking.gather(1, wish) > -torch.inf)
        asks = torch.zeros_like(wishes).scatter_(1, wish, trying.long()).view(in_groups)
        place = (used + asks.cumsum(1) - 1).view(n_tokens, n_experts).gather(1, wish)
        lands = trying & (place < capacity)
        expert.scatter_(1, column, torch.where(lands, wish, expert.gather(1, column)))
        slot.scatter_(1, column, torch.where(lands, place + offset[:, None], slot.gather(1, column)))
        settled.scatter_(1, column, lands | settled.gather(1, column))
        used = (used + asks.sum(1, keepdim=True)).clamp(max=capacity)
    return Slots(expert, slot, settled & asked.bool(), counts)

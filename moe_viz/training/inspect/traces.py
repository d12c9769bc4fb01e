"""From a layer's Routing (tensors) to the RoutingTrace (numpy) that views read."""

from __future__ import annotations

from typing import Any

import numpy as np

from moe_viz.moe.routing import Routing, SoftRouting, SparseRouting
from moe_viz.records.trace import RoutingTrace
from moe_viz.training.metrics.statistics import weight_before_drop


def trace_of(routing: Routing, labels: Any, *, step: int, layer: int, router: str) -> RoutingTrace:
    """One layer's trace of a routing on the host, of its real tokens alone. `labels` has `tokens`, `group`, `sequence`, `position`, each [T]."""
    about = {name: getattr(labels, name) for name in ("tokens", "group", "sequence", "position")}
    if routing.padding is not None:
        rows, routing = routing.padding.rows.numpy(), routing.unpadded
        about = {name: values[rows] for name, values in about.items()}
    probs = routing.probs.detach().float().numpy()
    expert, weight, kept, slot = _routes(routing)
    return RoutingTrace(
        step, layer, router, routing.capacity, **about, expert=expert, weight=weight, kept=kept, slot=slot, probs=probs
    )


def joined(one: RoutingTrace, other: RoutingTrace) -> RoutingTrace:
    """Two batches of one layer, each routed by itself, as one: the slots of the second follow those of the first."""
    room, width = one.capacity or 0, max(one.expert.shape[1], other.expert.shape[1])
    columns: dict[str, np.ndarray] = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("tokens", "group", "sequence", "position", "probs")
    }
    for name, empty in (("expert", -1), ("weight", 0), ("kept", False), ("slot", -1)):
        first, second = (
            np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=empty)
            for values in (getattr(one, name), getattr(other, name))
        )
        if name == "slot":
            second = np.where(second >= 0, second + np.int32(room), second)
        columns[name] = np.concatenate([first, second])
    capacity = None if one.capacity is None or other.capacity is None else one.capacity + other.capacity
    return RoutingTrace(one.step, one.layer, one.router, capacity, **columns)


def first_choice(routing: Routing) -> np.ndarray:
    """[T] int16 the most weighted expert that each token asked for or was chosen by, kept or not; -1 = none. Of a routing on the host."""
    return _routes(routing)[0][:, 0]


def _routes(routing: Routing) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(expert, weight, kept, slot), each [T, K]; a token's routes stand most weighted first, kept or not."""
    if isinstance(routing, SoftRouting):
        return _soft_routes(routing)
    assert isinstance(routing, SparseRouting)
    return _sparse_routes(routing)


def _sparse_routes(routing: SparseRouting) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    asked = routing.requested.numpy()
    token, expert, kept, slot = (
        getattr(routing, name).numpy()[asked] for name in ("route_token", "route_expert", "kept", "route_slot")
    )
    weight = weight_before_drop(routing).numpy()[asked]
    order = np.lexsort((-weight, token))
    token, expert, kept, slot, weight = (column[order] for column in (token, expert, kept, slot, weight))
    counts = np.bincount(token, minlength=routing.n_tokens)
    rank = np.arange(len(token)) - (np.cumsum(counts) - counts)[token]
    k = routing.per_token or max(int(counts.max(initial=0)), 1)
    return (
        _table((routing.n_tokens, k), token, rank, expert.astype(np.int16), -1),
        _table((routing.n_tokens, k), token, rank, weight.astype(np.float32), 0),
        _table((routing.n_tokens, k), token, rank, kept, False),
        _table((routing.n_tokens, k), token, rank, slot.astype(np.int32), -1),
    )


def _table(shape: tuple[int, int], row: np.ndarray, column: np.ndarray, values: np.ndarray, empty: Any) -> np.ndarray:
    table = np.full(shape, empty, values.dtype)
    table[row, column] = values
    return table


def _soft_routes(routing: SoftRouting) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Soft MoE: every expert answers every token; the weight is the token's combine mass in that expert's slots."""
    combine = routing.combine.detach().float().numpy()
    mass = combine.sum(-1)
    expert = np.argsort(-mass, axis=1, kind="stable").astype(np.int16)
    slot = np.take_along_axis(combine.argmax(-1), expert.astype(np.int64), 1).astype(np.int32)
    # A group's slots follow those of the group before it, as everywhere else.
    group = np.arange(routing.n_tokens) * routing.soft_groups // max(routing.n_tokens, 1)
    slot += (group * combine.shape[-1]).astype(np.int32)[:, None]
    weight = np.take_along_axis(mass, expert.astype(np.int64), 1)
    return expert, weight, np.ones(expert.shape, bool), slot

"""Small routing traces for tests, written out by hand or derived from a seed; no torch."""

from __future__ import annotations

import numpy as np

from moe_viz.records import metrics
from moe_viz.records.trace import RoutingTrace


def trace_of(
    expert, n_experts, *, kept=None, weight=None, probs=None, group=None, tokens=None, layer=0, step=0, **more
):
    """A trace with the given choices; what is not given is what a dropless router with flat probabilities would say."""
    expert = np.asarray(expert, np.int16)
    if expert.ndim == 1:
        expert = expert[:, None]
    n, k = expert.shape
    kept = (expert >= 0) if kept is None else np.asarray(kept, bool).reshape(n, k)
    if weight is None:
        weight = np.where(expert >= 0, 1 / k, 0)
    if probs is None:
        probs = np.full((n, n_experts), 1 / n_experts)
    position = more.pop("position", np.arange(n))
    return RoutingTrace(
        step=step,
        layer=layer,
        router=more.pop("router", "topk"),
        capacity=more.pop("capacity", None),
        tokens=np.array(tokens if tokens is not None else [f"t{i}" for i in range(n)], dtype=object),
        group=np.array(group if group is not None else ["all"] * n, dtype=object),
        sequence=more.pop("sequence", np.zeros(n, np.int32)),
        position=np.asarray(position, np.int32),
        expert=expert,
        weight=np.asarray(weight, np.float32).reshape(n, k),
        kept=kept,
        slot=np.where(expert >= 0, np.arange(n)[:, None], -1).astype(np.int32),
        probs=np.asarray(probs, np.float32),
    )


def seeded_trace(step, n=256, k=2, n_experts=8, layer=0, seed=0):
    """A top-k trace of softmaxed normal logits."""
    logits = np.random.default_rng([seed, step, layer]).normal(size=(n, n_experts))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expert = np.argsort(-probs, axis=1)[:, :k]
    weight = np.take_along_axis(probs, expert, 1)
    group = np.array(["en", "ru", "py", "num"])[np.arange(n) % 4]
    return trace_of(expert, n_experts, weight=weight, probs=probs, group=group, layer=layer, step=step)


def trace_metrics(trace: RoutingTrace) -> dict[str, float | int]:
    """Every scalar that one layer's trace alone determines, by its name in `METRICS`."""
    counts, probs = metrics.requested_counts(trace), metrics.mean_probs(trace)
    return {
        "balance_loss": metrics.balance_loss(counts, probs),
        "max_load": metrics.max_load(counts),
        "max_over_mean": metrics.max_over_mean(counts),
        "max_violation": metrics.max_violation(counts),
        "cv": metrics.coefficient_of_variation(counts),
        "load_entropy": metrics.load_entropy(counts),
        "token_entropy": metrics.token_entropy(trace.probs),
        "mean_gate_entropy": metrics.mean_gate_entropy(trace.probs),
        "drop_rate": metrics.drop_rate(trace),
        "dropped_token_rate": metrics.dropped_token_rate(trace),
    }

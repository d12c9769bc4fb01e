"""Load, gate and drop metrics as pure functions of counts, probabilities and routing traces. `METRICS` says what each one means.

Axes: T tokens, K routes per token, E experts. Where there is nothing to measure (no tokens, no routes) the answer is NaN, never 0.
What experts specialise in is in `records/specialisation.py`; every formula with its floor, ceiling and source in `records/metric_info.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from moe_viz.records.metric_info import METRICS as METRICS
from moe_viz.records.metric_info import MetricInfo as MetricInfo
from moe_viz.records.trace import RoutingTrace

WINDOW = 10
"""Training steps of the moving window: loads, drops, entropies and balancing losses of a run are those of its last `WINDOW` steps."""
DEAD_SHARE = 0.1
"""An expert is dead below this part of the fair share 1/E, over a moving window."""
UNEVEN = 2.0
"""Times the fair share from which the busiest expert is called too busy."""


def is_dead(load: np.ndarray) -> np.ndarray:
    """[..., E] bool from the shares [..., E] of a moving window. The one definition: sentences, badges, tables and scenes count these."""
    load = np.asarray(load, float)
    return load < DEAD_SHARE / load.shape[-1]  # NaN compares false: unknown is not dead


def is_collapsed(dead: int, n_experts: int) -> bool:
    """At least half of a layer's experts are dead."""
    return n_experts > 1 and dead >= n_experts / 2


def is_rescued(dead: int, max_load: float, n_experts: int) -> bool:
    """No expert of the layer is dead and none has twice its fair share."""
    return dead == 0 and max_load < UNEVEN / n_experts


def requested_counts(trace: RoutingTrace) -> np.ndarray:
    """[E] routes asked for, before capacity."""
    return np.bincount(trace.expert[trace.expert >= 0], minlength=trace.n_experts)


def shares(amounts: np.ndarray) -> np.ndarray:
    """[..., E] parts of the whole along the last axis; NaN where the whole is 0."""
    amounts = np.asarray(amounts, float)
    total = amounts.sum(-1, keepdims=True)
    return np.divide(amounts, total, out=np.full(amounts.shape, np.nan), where=total > 0)


def load(trace: RoutingTrace) -> np.ndarray:
    """[E] share of the routes asked for, n_i / sum n (= n_i / kT for top-k)."""
    return shares(requested_counts(trace))


def importance(trace: RoutingTrace) -> np.ndarray:
    """[E] share of the gate weight of all routes asked for, before any was dropped (Shazeer et al. 2017, eq. 6)."""
    asked = trace.expert >= 0
    return shares(np.bincount(trace.expert[asked], weights=trace.weight[asked], minlength=trace.n_experts))


def mean_probs(trace: RoutingTrace) -> np.ndarray:
    """[E] mean router probability P_i; NaN for an empty batch."""
    return trace.probs.mean(0, dtype=float) if trace.n_tokens else np.full(trace.n_experts, np.nan)


def max_load(counts: np.ndarray) -> float:
    """Share of the busiest expert."""
    return float(np.max(shares(counts)))


def max_over_mean(counts: np.ndarray) -> float:
    """Load of the busiest expert in multiples of the mean: 1 when even."""
    return float(np.max(shares(counts)) * len(counts))


def max_violation(counts: np.ndarray) -> float:
    """MaxVio = (max - mean) / mean: 0 when even."""
    return max_over_mean(counts) - 1


def coefficient_of_variation(amounts: np.ndarray) -> float:
    """Population standard deviation over mean: 0 when even, sqrt(E - 1) when one expert has everything."""
    part = shares(amounts)
    return float(part.std() * len(part))


def entropy(distribution: np.ndarray) -> np.ndarray:
    """[...] entropy in nats along the last axis, 0 log 0 = 0. NaN stays NaN."""
    p = np.asarray(distribution, float)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1) + 0.0


def load_entropy(counts: np.ndarray) -> float:
    """H(load) / log E: 1 when even, 0 when one expert has everything. With one expert 1: there is nothing to balance."""
    part = shares(counts)
    if len(part) == 1:
        return float(part[0])
    return float(entropy(part) / np.log(len(part)))


def token_entropy(probs: np.ndarray) -> float:
    """mean_t H(p_t) in nats, probs [T, E]: how unsure the router is about single tokens. Says nothing about balance."""
    return float(entropy(probs).mean()) if len(probs) else float("nan")


def mean_gate_entropy(probs: np.ndarray) -> float:
    """H(mean_t p_t) in nats, probs [T, E]: how evenly the gates are spread over the whole batch. Never below the token entropy."""
    return float(entropy(np.mean(probs, 0, dtype=float))) if len(probs) else float("nan")


def balance_loss(counts: np.ndarray, mean_probabilities: np.ndarray) -> float:
    """E * sum_i f_i P_i with f_i = n_i / sum n: 1 at uniform routing for every k, E/k at total collapse; one layer.

    Dividing by all routes (kT), not by tokens, is what makes it 1 rather than k. It can dip below 1 when f and P disagree.
    """
    return float(len(counts) * (shares(counts) * np.asarray(mean_probabilities, float)).sum())


def balance_terms(counts: np.ndarray, mean_probabilities: np.ndarray) -> pd.DataFrame:
    """One row per expert: load f, mean probability P and its part E * f * P of the balancing loss, which is their sum."""
    f, p = shares(counts), np.asarray(mean_probabilities, float)
    return pd.DataFrame({"expert": np.arange(len(f)), "load": f, "probability": p, "term": len(f) * f * p})


def dead_experts(load_window: np.ndarray) -> np.ndarray:
    """[E] bool from loads [W, E] of the latest W steps of one layer: mean share under 10 % of the fair share 1/E."""
    window = np.atleast_2d(np.asarray(load_window, float))
    counted = np.isfinite(window)
    total, seen = np.where(counted, window, 0).sum(0), counted.sum(0)
    mean = np.divide(total, seen, out=np.full(window.shape[1], np.nan), where=seen > 0)
    return is_dead(mean)


def drop_rate(trace: RoutingTrace) -> float:
    """Share of the routes asked for that found no slot."""
    asked = trace.expert >= 0
    return float((asked & ~trace.kept).sum() / asked.sum()) if asked.any() else float("nan")


def dropped_token_rate(trace: RoutingTrace) -> float:
    """Share of the tokens that reached no expert at all; only the residual path carries them."""
    return float((~trace.kept.any(1)).mean()) if trace.n_tokens else float("nan")


def experts_touched(trace: RoutingTrace, group: int) -> float:
    """Mean number of different experts over consecutive groups of `group` tokens, a last incomplete group left out; NaN where there is none."""
    starts = range(0, trace.n_tokens - group + 1, group)
    parts = (trace.expert[start : start + group] for start in starts)
    counts = [len(np.unique(part[part >= 0])) for part in parts]
    return float(np.mean(counts)) if counts else float("nan")


def drops_by(trace: RoutingTrace, key: str) -> pd.DataFrame:
    """Who loses: routes asked for, dropped, and their rate, per value of `key`.

    key: "position" (place in the sequence), "group" (domain), "expert", or "frequency" (how often the token occurs in the batch).
    """
    if key == "expert":
        label = trace.expert
    elif key == "frequency":
        _, which, count = np.unique(trace.tokens, return_inverse=True, return_counts=True)
        label = np.broadcast_to(count[which][:, None], trace.expert.shape)
    elif key in ("position", "group"):
        label = np.broadcast_to(getattr(trace, key)[:, None], trace.expert.shape)
    else:
        raise ValueError(f"key = {key!r} is not known; it can be: position, group, expert, frequency")
    asked = trace.expert >= 0
    routes = pd.DataFrame({key: label[asked], "dropped": ~trace.kept[asked]})
    table = routes.groupby(key, sort=True)["dropped"].agg(requested="count", dropped="sum").reset_index()
    return table.assign(rate=table["dropped"] / table["requested"])


def drops_by_capacity(counts: np.ndarray, factors: Sequence[float]) -> pd.DataFrame:
    """Share of routes that these requests would lose at each capacity factor, C = ceil(factor * sum n / E), at least 1.

    Exact for every policy that only chooses *who* loses (position, probability, random, batch priority), because each keeps
    min(n_i, C) routes of expert i; not for re-routing, which changes the requests.
    """
    counts = np.asarray(counts, float)
    total = counts.sum()
    # the small number keeps 1.1 * 10 from rounding up to 12 in binary
    capacity = np.array([max(1, int(np.ceil(f * total / len(counts) - 1e-9))) for f in factors])
    lost = np.maximum(counts[None, :] - capacity[:, None], 0).sum(1)
    rate = lost / total if total else np.full(len(capacity), np.nan)
    return pd.DataFrame({"capacity_factor": list(factors), "capacity": capacity, "drop_rate": rate})


def experts_per_token(trace: RoutingTrace) -> pd.DataFrame:
    """How many tokens have 0, 1, 2, ... experts (kept routes); 0 = skipped. For expert choice this varies from token to token."""
    counts = np.bincount(trace.kept.sum(1), minlength=trace.kept.shape[1] + 1)
    share = counts / trace.n_tokens if trace.n_tokens else np.full(len(counts), np.nan)
    return pd.DataFrame({"experts": np.arange(len(counts)), "tokens": counts, "share": share})


def cosine_similarity(rows: np.ndarray) -> np.ndarray:
    """[E, E] cosine between vectors [E, D] (router rows, flattened expert weights); NaN for a vector of length 0."""
    rows = np.asarray(rows, float)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, length, out=np.full(rows.shape, np.nan), where=length > 0)
    return unit @ unit.T

"""Signals that practitioners log while a mixture trains, from routing traces: how sure the choice is, and how much of a layer a sequence meets.

Gate mass beside load are `importance` and `load` of `records/metrics.py`. None where a router makes a signal meaningless, never 0.
Axes: T tokens, K routes per token, E experts, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import ROUTER_OPTIONS

SCORED = ("token", "token_with_luck", "expert", "batch")
"""Who chooses, where gates have probabilities of their own that a choice can be held against."""
BY_TOKEN = ("token", "token_with_luck")
"""Who chooses, where a token's own scores decide between the last chosen expert and the first left out."""
SIGNALS = ("confidence", "margin", "experts_touched")
PERCENTILES = (0, 25, 50, 75, 100)


def confidence(trace: RoutingTrace) -> float | None:
    """Mean over tokens of the gate probability of the experts asked for; None for a router without scores, or where no token asks."""
    if _chooser(trace.router) not in SCORED:
        return None
    mass = np.where(_chosen(trace), trace.probs, 0).sum(1)[_asks(trace)]
    return _mean(mass)


def margin(trace: RoutingTrace, config: Mapping[str, Any]) -> float | None:
    """Mean over tokens of the least chosen expert's probability minus that of the first left out.

    Below 0 where noise or a selection bias chose against the gate. None where something else than the token's own scores decides: groups of
    experts, a hash, an assignment, the experts; and where no token leaves an expert out. config: the run's flat config.
    """
    grouped = trace.router == "hierarchical" or config.get("n_group", 1) > 1
    if _chooser(trace.router) not in BY_TOKEN or grouped:
        return None
    chosen = _chosen(trace)
    last = np.where(chosen, trace.probs, np.inf).min(1)
    first_out = np.where(chosen, -np.inf, trace.probs).max(1)
    counts = chosen.any(1) & ~chosen.all(1)
    return _mean((last - first_out)[counts])


def experts_touched(trace: RoutingTrace) -> float | None:
    """Mean over sequences (or images) of the share of a layer's experts that any of its tokens asks for; None for an empty batch."""
    chosen = _chosen(trace)
    _, which = np.unique(trace.sequence, return_inverse=True)
    if not len(which):
        return None
    touched = np.zeros((which.max() + 1, trace.n_experts), bool)
    np.logical_or.at(touched, which, chosen)
    return float(touched.mean())


def signals(traces: Sequence[RoutingTrace], config: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Each of `SIGNALS`, one number per layer [L]."""
    return {
        "confidence": [confidence(trace) for trace in traces],
        "margin": [margin(trace, config) for trace in traces],
        "experts_touched": [experts_touched(trace) for trace in traces],
    }


def percentiles(values: Sequence[float | None]) -> dict[int, float | None]:
    """`PERCENTILES` over layers (0 the least, 100 the largest, linear between); layers without the number do not count."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    return {q: float(np.percentile(known, q)) if known else None for q in PERCENTILES}


def signal_table(metrics: Mapping[str, Sequence[float | None]]) -> pd.DataFrame:
    """One row per metric with its number in each layer (`layer 1`, ...) and its percentiles over layers (`0 %`, ...)."""
    rows: list[dict[str, Any]] = []
    for name, values in metrics.items():
        layers = {f"layer {layer + 1}": value for layer, value in enumerate(values)}
        rows.append({"metric": name, **layers, **{f"{q} %": value for q, value in percentiles(values).items()}})
    return pd.DataFrame(rows)


def _chooser(router: str) -> str:
    """Of a router that is not ours (a trace from elsewhere) the plain one: its tokens choose by their scores."""
    return ROUTER_OPTIONS[router].facts.chooser if router in ROUTER_OPTIONS else "token"


def _chosen(trace: RoutingTrace) -> np.ndarray:
    """[T, E] bool: the experts that each token asks for."""
    chosen = np.zeros(trace.probs.shape, bool)
    token, route = np.nonzero(trace.expert >= 0)
    chosen[token, trace.expert[token, route]] = True
    return chosen


def _asks(trace: RoutingTrace) -> np.ndarray:
    """[T] bool: the tokens that ask for any expert."""
    return np.asarray((trace.expert >= 0).any(1))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean(dtype=float)) if len(values) else None

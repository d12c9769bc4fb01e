"""What feeds a collapse and what pushes against it, as tables: the gradient ledger, and the balancing loss's own gradient.

Axes: T tokens, E experts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records import metrics
from moe_viz.records.trace import RoutingTrace


def ledger(measured: dict[str, Any], layer: int) -> pd.DataFrame:
    """One row per expert of a layer: its share of the tokens (routes), of the experts' gradient, and of the router rows' gradient.

    measured: a snapshot's metrics. NaN where the run did not record it, or the router has no rows.
    """
    n_experts = len(measured["load"][layer])
    names = {"tokens": "load", "expert_gradient": "grad_share", "row_gradient": "router_grad_share"}
    columns = {name: _column(measured, key, layer, n_experts) for name, key in names.items()}
    return pd.DataFrame({"expert": np.arange(n_experts), **columns})


def _column(measured: dict[str, Any], key: str, layer: int, n_experts: int) -> np.ndarray:
    if key not in measured:
        return np.full(n_experts, np.nan)
    return np.array(measured[key][layer], float)


def balance_push(trace: RoutingTrace) -> pd.DataFrame:
    """What the balancing loss L = E * sum_i f_i P_i (Fedus et al. 2021, eq. 4) does to each expert, one row each.

    load f, probability P, term E f P;  slope = dL/dP_i = E f_i, never negative: alone it would lower every P;
    push = -dL/db_i, b_i a number added to expert i's score for all tokens: -mean_t p_ti (E f_i - sum_j p_tj E f_j). Because
    probabilities sum to 1 the pushes sum to 0: what busy experts lose, idle ones get.
    """
    counts = metrics.requested_counts(trace)
    table = metrics.balance_terms(counts, metrics.mean_probs(trace))
    slope = len(table) * table["load"].to_numpy()
    p = trace.probs.astype(float)
    push = -(p * (slope - (p @ slope)[:, None])).mean(0) if trace.n_tokens else np.full(len(table), np.nan)
    return table.assign(slope=slope, push=push)

"""From step statistics (sums on the host) to the metrics of a run. One computation serves the history, step by step, and the snapshot.

Everything about load is taken over a moving window of the last `WINDOW` steps; the definitions are those of `records/metrics.py`.
Axes: N steps, L layers, E experts. NaN marks what a router does not define; a snapshot turns it into None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from moe_viz.records.metrics import WINDOW, entropy, is_dead, shares
from moe_viz.training.metrics.statistics import StepRows


@dataclass(frozen=True)
class Window:
    """What each step's window holds, oldest step first. tokens [N, 1]; asked, kept (routes), mass (of probability), gates (weights), load [N, L, E];
    entropy, z: their mean over the window's tokens [N, L], NaN for a router without scores."""

    tokens: np.ndarray
    asked: np.ndarray
    kept: np.ndarray
    mass: np.ndarray
    gates: np.ndarray
    load: np.ndarray
    entropy: np.ndarray
    z: np.ndarray

    @property
    def n_experts(self) -> int:
        return self.asked.shape[-1]


def _balance_loss(w: Window) -> np.ndarray:
    # a router without scores has probabilities only in name: there is no P for its f to be multiplied with
    return np.where(np.isnan(w.entropy), np.nan, w.n_experts * (w.load * shares(w.mass)).sum(-1))


def _dead_experts(w: Window) -> np.ndarray:
    unknown = np.where(np.isnan(w.load).any(-1), np.nan, 0)
    return is_dead(w.load).sum(-1) + unknown


def _drop_rate(w: Window) -> np.ndarray:
    total = w.asked.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, 1 - w.kept.sum(-1) / total, np.nan)


PER_LAYER: dict[str, Callable[[Window], np.ndarray]] = {
    "balance_loss": _balance_loss,
    "z_loss": lambda w: w.z,
    "max_load": lambda w: w.load.max(-1),
    "load_entropy": lambda w: entropy(w.load) / math.log(w.n_experts) if w.n_experts > 1 else w.load[..., 0],
    "token_entropy": lambda w: w.entropy,
    "dead_experts": _dead_experts,
    "drop_rate": _drop_rate,
    "cv": lambda w: w.load.std(-1) * w.n_experts,
}
"""Metric with one number per layer -> [N, L] of a window. A new one is a line here and its definition in `records/metric_info.py`."""
PER_EXPERT: dict[str, Callable[[Window], np.ndarray]] = {
    "load": lambda w: w.load,
    "importance": lambda w: shares(w.gates),
}
"""The same with one number per expert, [N, L, E]."""
COUNTED = ("asked",)
"""Per expert too, in the history alone: counts of the step itself, from which drops at any capacity can be worked out."""
LEDGER = ("grad_share", "router_grad_share")
"""Per expert too, but only there while the gradient ledger is on: shares of the norms of gradients, of experts and of router rows."""


def measure(rows: StepRows, new: int) -> dict[str, np.ndarray]:
    """Metrics of the last `new` of these rows, the ones before them filling their windows: `loss` [N], others [N, L] or [N, L, E]."""
    tokens = _windowed(rows.tokens[:, None, None], new)[..., 0]  # [N, 1]
    asked, kept, mass, gates = (_windowed(getattr(rows, name), new) for name in ("asked", "kept", "mass", "gates"))
    with np.errstate(divide="ignore", invalid="ignore"):
        token_entropy, z = (_windowed(getattr(rows, name), new) / tokens for name in ("token_entropy", "z"))
    window = Window(tokens, asked, kept, mass, gates, shares(asked), token_entropy, z)
    ledger: dict[str, np.ndarray] = {}
    if rows.norms is not None and np.isfinite(rows.norms[-new:]).any():
        norms = _windowed(rows.norms, new)
        ledger = {name: shares(norms[:, :, i]) for i, name in enumerate(LEDGER)}
    measured = {name: of(window) for name, of in (*PER_LAYER.items(), *PER_EXPERT.items())}
    return {"loss": rows.loss[-new:], **measured, "asked": rows.asked[-new:], **ledger}


def _windowed(values: np.ndarray, new: int) -> np.ndarray:
    """Sum over each row and up to WINDOW-1 before it, oldest first, so that it does not matter in which portions rows arrive."""
    total = np.zeros((new, *values.shape[1:]))
    for back in range(WINDOW - 1, -1, -1):
        start = len(values) - new - back
        missing = max(0, -start)
        if missing < new:
            total[missing:] += values[max(start, 0) : len(values) - back]
    return total


def columns_of(n_layers: int, n_experts: int, ledger: bool = False) -> list[str]:
    """History column names, in the order in which `as_matrix` lays the values out; with those of the gradient ledger or without."""
    names = (*PER_EXPERT, *COUNTED, *(LEDGER if ledger else ()))
    per_layer = [f"{name}.{layer}" for name in PER_LAYER for layer in range(n_layers)]
    per_expert = [f"{name}.{la}.{e}" for name in names for la in range(n_layers) for e in range(n_experts)]
    return ["loss", *per_layer, *per_expert]


def as_matrix(measured: dict[str, np.ndarray]) -> np.ndarray:
    """[N, M] float32, one column per name of `columns_of`."""
    count = len(measured["loss"])
    names = ("loss", *PER_LAYER, *PER_EXPERT, *COUNTED, *LEDGER)
    parts = [measured[name].reshape(count, -1) for name in names if name in measured]
    return np.concatenate(parts, 1).astype(np.float32)


def newest(measured: dict[str, np.ndarray]) -> dict[str, Any]:
    """The last step's metrics in plain Python: scalars, [L] and [L][E] lists, None for what is not defined."""
    last = {name: _plain(values[-1].tolist()) for name, values in measured.items() if name not in COUNTED}
    last["dead_experts"] = [None if n is None else int(n) for n in last["dead_experts"]]
    return last


def nothing_yet(n_layers: int, n_experts: int) -> dict[str, Any]:
    """The metrics of a run that has not made a step: everything undefined."""
    per_layer = {name: [None] * n_layers for name in PER_LAYER}
    return {"loss": None, **per_layer, **{name: [[None] * n_experts] * n_layers for name in PER_EXPERT}}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if math.isfinite(value) else None

"""Which steps of a long history are kept or drawn: decided by step numbers alone, so that two histories of one run agree wherever both have rows.

A column that is measured at every step keeps those on a grid: steps 1, 1 + s, 1 + 2s, ... with s a power of two that depends on the newest
step, not on how many rows are held or where they begin. A column that is measured now and then (`SPARSE`) keeps its own: the first
measured value of each stretch of s steps. A coarser grid is part of every finer one, so nothing is drawn that was not measured.
"""

from __future__ import annotations

import numpy as np

SPARSE = ("task_metric",)
"""Columns with a value at some steps only."""
MOST_SPARSE = 4
"""A quarter of the rows at most are kept for the sake of such a column."""


def stride_for(last: int, limit: int) -> int:
    """The smallest power of two whose grid has at most `limit` steps up to `last`; one that leaves step 1 alone where there is no such."""
    stride = 1
    while (max(last, 1) - 1) // stride + 1 > limit and stride < max(last, 1):
        stride *= 2
    return stride


def dense_limit(limit: int) -> int:
    """How many of `limit` rows are on the grid; the others are left for sparse columns, and one for the newest row."""
    return max(limit - limit // MOST_SPARSE - 1, 0)


def on_grid(steps: np.ndarray, stride: int) -> np.ndarray:
    """[N] bool: the steps that a grid keeps."""
    return (np.asarray(steps) - 1) % stride == 0


def first_measured(epochs: np.ndarray, steps: np.ndarray, measured: np.ndarray, stride: int) -> np.ndarray:
    """[N] bool: the first measured row (`measured` [N] bool) of each stretch of `stride` steps of each epoch."""
    where = np.flatnonzero(measured)
    stretch = np.stack([epochs[where], (steps[where] - 1) // stride], axis=1)
    fresh = np.ones(len(where), bool)
    fresh[1:] = (stretch[1:] != stretch[:-1]).any(axis=1)
    kept = np.zeros(len(steps), bool)
    kept[where[fresh]] = True
    return kept


def first_of_each(steps: np.ndarray, limit: int) -> np.ndarray:
    """Indices of at most `limit` (at least 3) of rising steps, for what is looked at now and then: the first of each stretch of steps, counted
    from 0, and the newest."""
    if len(steps) <= 1:
        return np.arange(len(steps))
    stride = stride_for(int(steps[-1]) + 1, max(limit - 2, 1))
    keep = first_measured(np.zeros(len(steps), int), np.asarray(steps) + 1, np.ones(len(steps), bool), stride)
    keep[-1] = True
    return np.flatnonzero(keep)


def shown(epochs: np.ndarray, steps: np.ndarray, measured: np.ndarray, limit: int) -> np.ndarray:
    """[N] bool: at most `limit` (at least 1) of rows that rise by (epoch, step), the newest among them. measured [N]: where a sparse column has a value.

    The newest epoch decides how fine the grid is; of older epochs, what there is room for.
    """
    last = int(steps[-1])
    # a run without a sparse column needs no room for one
    most, dense = (limit // MOST_SPARSE, dense_limit(limit)) if measured.any() else (0, limit - 1)
    keep = on_grid(steps, stride_for(last, dense)) if dense else np.zeros(len(steps), bool)
    if most:
        keep |= first_measured(epochs, steps, measured, stride_for(last, most))
    keep[-1] = True
    where = np.flatnonzero(keep)
    keep[where[: max(len(where) - limit, 0)]] = False
    return keep

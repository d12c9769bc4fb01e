"""Tables as people read them. Records (RoutingTrace, its Parquet, History) count layers and experts from 0; screens and exported tables count
from 1. Every table that leaves the program passes here once, and says in its header from where it counts and of which batch it is.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from moe_viz.records.metrics import WINDOW
from moe_viz.records.trace import RoutingTrace

FIRST = 1
"""The number of the first layer, expert and slot for people."""
NUMBERING = f"layers, experts, slots and choices count from {FIRST}, as on the screen"
TRAINING = (
    f"the training batches: load, importance, drops, entropies, balancing loss and dead experts are means of the last {WINDOW} training steps; "
    "load is a share of routes (fair: 1/experts); loss is of one batch; task_metric is of held-out data"
)
PROBE = "the probe batch at one step, a fixed batch that is never trained on: one row per token; loads counted from it are shares of its routes"
_NUMBERED = re.compile(r"(?P<name>[a-z_]+)\.(?P<layer>\d+)(?:\.(?P<expert>\d+))?")


def history_table(history: pd.DataFrame) -> pd.DataFrame:
    """A history's rows with `load.0.3` named `load.1.4`: layer and expert from 1. Other columns stay."""
    return history.rename(columns=history_column)


def history_column(name: str) -> str:
    """The name of a history's column for people."""
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return name
    numbers = [int(match[part]) + FIRST for part in ("layer", "expert") if match[part] is not None]
    return ".".join([match["name"], *map(str, numbers)])


def routing_rows(trace: RoutingTrace) -> pd.DataFrame:
    """One row per token and one column per number: `expert.1`, `weight.1`, ... by choice, `probs.1` ... `probs.8` by expert.

    Layer, expert and slot count from 1 and are missing where there is none.
    """
    frame = trace.to_frame()[["step", "layer", "tokens", "group", "sequence", "position"]]
    frame["layer"] += FIRST
    wide = {
        f"{name}.{i + FIRST}": _numbered(getattr(trace, name)[:, i]) if name in ("expert", "slot") else getattr(trace, name)[:, i]
        for name in ("expert", "weight", "kept", "slot", "probs")
        for i in range(getattr(trace, name).shape[1])
    }  # fmt: skip
    return frame.assign(**wide)


def batch_of(table: pd.DataFrame) -> str:
    """Which batch a table's numbers are of, read from its columns; "" where it is of neither kind."""
    if any(column.startswith("probs.") for column in table):
        return PROBE
    return TRAINING if "loss" in table or any(column.startswith(("load.", "max_load.")) for column in table) else ""


def _numbered(values: np.ndarray) -> pd.Series:
    """Indices from 0, -1 = none, as numbers from 1 with missing values."""
    return pd.Series(values + FIRST).where(pd.Series(values >= 0)).astype("Int64")

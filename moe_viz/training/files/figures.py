"""A run's script as a file for others: with rows of its history, so that whoever plays it again can tell whether it is the same run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.script import Figures, Script
from moe_viz.training.scripted_run import ScriptedRun

ROWS = 200
MOST_VALUES = 60_000
"""Rows are fewer where they are wide: a script is a small file, however long its run."""
AFTER_EVENT = 2
"""Rows kept right after each event (of the first `ROWS` events), so that a comparison can name the step at which a turn is not the same."""
NOT_COMPARED = ("seconds",)
"""Columns in which no two runs agree."""
ON_DEMAND = (
    "unserved", "experts_touched.", "domain_information.", "domain_null.", "domain_null_mean.", "place_information.",
    "token_predictability.", "router_task_gradient.",
)  # fmt: skip
"""How the names of columns begin that are measured where somebody asks for them by name; a replay does not."""
LOOKED_AT = ("task_metric", "bias.", *ON_DEMAND)
"""How the names of columns begin that are measured when somebody looks, not at every step."""


def script_with_figures(run: ScriptedRun[Any]) -> Script | None:
    """The run's script and, evenly over the run, what its history says. None where the run has none."""
    script = run.script
    if script is None:
        return None
    measured = [name for name in run.history.columns if not name.startswith(LOOKED_AT) and name not in NOT_COMPARED]
    most = max(20, min(ROWS, MOST_VALUES // max(len(measured), 1)))
    whole = run.history.rows(limit=None)
    chosen = set(run.history.rows(limit=most).set_index(["epoch", "step"]).index)
    steps = whole["step"].to_numpy()
    bounds = {epoch: np.flatnonzero(whole["epoch"].to_numpy() == epoch) for epoch in whole["epoch"].unique()}
    for moment in list(_settled_moments(script))[:most]:
        ours = bounds.get(moment[0], np.empty(0, int))
        after = ours[np.searchsorted(steps[ours], moment[1], side="right") :][:AFTER_EVENT]
        chosen |= {(moment[0], int(steps[row])) for row in after}
    keys = pd.MultiIndex.from_arrays([whole["epoch"], whole["step"]])
    rows = whole.loc[keys.isin(list(chosen))] if chosen else whole.iloc[:0]
    return script.model_copy(update={"figures": figures_of(rows, measured)})


def figures_of(rows: pd.DataFrame, columns: list[str]) -> Figures:
    """Rows of a history as plain numbers: the shortest decimals that are the same float32."""
    values = [
        [None if np.isnan(value) else float(str(value)) for value in row] for row in rows[columns].to_numpy(np.float32)
    ]
    at = rows[["epoch", "step"]].to_numpy().tolist()
    return Figures(columns=columns, rows=[[*place, *row] for place, row in zip(at, values)])


def table_of(figures: Figures) -> pd.DataFrame:
    """The same as a table with columns `epoch`, `step` and those named. Raises ValueError where a row has another length."""
    width = len(figures.columns) + 2
    bad = next((row for row in figures.rows if len(row) != width or None in row[:2]), None)
    if bad is not None:
        raise ValueError(f"a row of {len(bad)} values among “figures”, where {width} belong")
    table = pd.DataFrame(figures.rows, columns=["epoch", "step", *figures.columns], dtype=object)
    values = table[figures.columns].astype(np.float32)
    return pd.concat([table[["epoch", "step"]].astype(np.int64), values], axis=1)


def _settled_moments(script: Script) -> list[tuple[int, int]]:
    """(epoch, step) at which the run stood after each event."""
    return [(moment.epoch, moment.step) for moment in script.moments()]

"""A recorded run as CSV or JSON for other programs: history, traces, and the config that made them.

Layers and experts count from 1, as on the screen; each file says so, and which batch it is of (CSV: columns `counted_from` and `batch`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.readable_tables import FIRST, NUMBERING, PROBE, TRAINING, batch_of, history_table, routing_rows
from moe_viz.records.recording import Recording
from moe_viz.records.table_files import without_formulas
from moe_viz.records.trace import RoutingTrace

FORMATS = ("csv", "json")


def export(recorded: Recording, folder: str | Path, form: str) -> list[Path]:
    """Write into `folder`; the files written. csv: `history.csv` and one `trace-<layer>.csv` a layer, from 1; json: `run.json`."""
    if form not in FORMATS:
        raise ValueError(f"format = {form!r} is not known; it can be: {', '.join(FORMATS)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    history = history_table(recorded.history.rows(limit=None))
    if form == "json":
        path = folder / "run.json"
        path.write_text(json.dumps(_as_json(recorded, history), ensure_ascii=False, allow_nan=False), encoding="utf-8")
        return [path]
    paths = [folder / "history.csv"]
    _said(history).to_csv(paths[0], index=False)
    for trace in recorded.snapshot.traces:
        paths.append(folder / f"trace-{trace.layer + FIRST}.csv")
        without_formulas(_said(routing_rows(trace))).to_csv(paths[-1], index=False)
    return paths


def _as_json(recorded: Recording, history: pd.DataFrame) -> dict[str, Any]:
    moment = recorded.snapshot
    return {
        **recorded.about,
        "counted_from": FIRST,
        "numbering": NUMBERING,
        "batch": {"metrics": TRAINING, "history": TRAINING, "traces": PROBE},
        "config": moment.config,
        "script": None if recorded.script is None else recorded.script.model_dump(mode="json", by_alias=True),
        "step": moment.step,
        "metrics": moment.metrics,
        "history": {name: _plain(history[name].to_numpy()) for name in history},
        "traces": [_trace(trace) for trace in moment.traces],
    }


def _trace(trace: RoutingTrace) -> dict[str, Any]:
    """A trace's fields as lists; layer, experts and slots from 1, null where there is none."""
    fields: dict[str, Any] = {name: _plain(value) for name, value in vars(trace).items()} | {
        "layer": trace.layer + FIRST
    }
    for name in ("expert", "slot"):
        fields[name] = [[value + FIRST if value >= 0 else None for value in row] for row in fields[name]]
    return fields


def _said(table: pd.DataFrame) -> pd.DataFrame:
    """The table with what its header says of all its rows."""
    return table.assign(counted_from=FIRST, batch=batch_of(table))


def _plain(value: Any) -> Any:
    """Lists instead of arrays, null instead of NaN."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f":
        plain = value.astype(object)
        plain[~np.isfinite(value)] = None
        return plain.tolist()
    return value.tolist()

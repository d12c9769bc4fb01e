"""A recorded run as CSV or JSON for other programs: history, traces, and the config that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.recording import Recording
from moe_viz.records.take import without_formulas
from moe_viz.records.trace import RoutingTrace

FORMATS = ("csv", "json")


def export(recorded: Recording, folder: str | Path, form: str) -> list[Path]:
    """Write into `folder`; the files written. csv: `history.csv` and one `trace-<layer>.csv` a layer; json: `run.json`."""
    if form not in FORMATS:
        raise ValueError(f"format = {form!r} is not known; it can be: {', '.join(FORMATS)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    history = recorded.history.rows(limit=None)
    if form == "json":
        path = folder / "run.json"
        path.write_text(json.dumps(_as_json(recorded, history), ensure_ascii=False, allow_nan=False), encoding="utf-8")
        return [path]
    paths = [folder / "history.csv"]
    history.to_csv(paths[0], index=False)
    for trace in recorded.snapshot.traces:
        paths.append(folder / f"trace-{trace.layer}.csv")
        without_formulas(flat_frame(trace)).to_csv(paths[-1], index=False)
    return paths


def flat_frame(trace: RoutingTrace) -> pd.DataFrame:
    """One row per token and one column per number: `expert.0`, `weight.0`, ..., `probs.7`."""
    frame = trace.to_frame()[["step", "layer", "tokens", "group", "sequence", "position"]]
    wide = {
        f"{name}.{i}": getattr(trace, name)[:, i]
        for name in ("expert", "weight", "kept", "slot", "probs")
        for i in range(getattr(trace, name).shape[1])
    }
    return frame.assign(**wide)


def _as_json(recorded: Recording, history: pd.DataFrame) -> dict[str, Any]:
    moment = recorded.snapshot
    return {
        **recorded.about,
        "config": moment.config,
        "script": None if recorded.script is None else recorded.script.model_dump(mode="json", by_alias=True),
        "step": moment.step,
        "metrics": moment.metrics,
        "history": {name: _plain(history[name].to_numpy()) for name in history},
        "traces": [{name: _plain(value) for name, value in vars(trace).items()} for trace in moment.traces],
    }


def _plain(value: Any) -> Any:
    """Lists instead of arrays, null instead of NaN."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f":
        value = np.where(np.isfinite(value), value.astype(object), None)
    return value.tolist()

"""A recorded run in a folder: what `train` writes and what the lab shows, labelled as recorded, before its own model is alive.

config.json      flat config, package version, torch version, device
snapshot.json    step and metrics of the last moment
trace-<n>.parquet  the probe batch's routing, one file a layer
history.parquet  every kept step's numbers (keyframes beside it)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moe_viz.records.history import History
from moe_viz.records.snapshot import Snapshot
from moe_viz.records.trace import RoutingTrace

CONFIG, SNAPSHOT, HISTORY = "config.json", "snapshot.json", "history.parquet"


@dataclass(frozen=True)
class Recording:
    """One recorded run: its last moment, its history, and what made it (`about`: versions and device)."""

    snapshot: Snapshot
    history: History
    about: dict[str, Any]


def save(folder: str | Path, recording: Recording) -> None:
    """Write a recording into `folder` (made if it is missing). Arrays of the snapshot's extras are not kept."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    moment = recording.snapshot
    _write(folder / CONFIG, {**recording.about, "config": moment.config})
    _write(
        folder / SNAPSHOT,
        {"step": moment.step, "state": moment.state, "message": moment.message, "metrics": moment.metrics},
    )
    for trace in moment.traces:
        trace.to_parquet(folder / f"trace-{trace.layer}.parquet")
    recording.history.to_parquet(folder / HISTORY)


def load(folder: str | Path) -> Recording:
    """Read what `save` wrote. Raises ValueError naming the file that is missing or is something else."""
    folder = Path(folder)
    about, moment = _read(folder / CONFIG), _read(folder / SNAPSHOT)
    paths = sorted(folder.glob("trace-*.parquet"), key=lambda path: int(path.stem.split("-")[1]))
    if not paths or not (folder / HISTORY).exists():
        raise ValueError(f"{folder} is not a recorded run: it needs trace-0.parquet and {HISTORY}")
    traces = [RoutingTrace.from_parquet(path) for path in paths]
    snapshot = Snapshot(moment["step"], about.pop("config"), moment["metrics"], traces, "recorded", moment["message"])
    return Recording(snapshot, History.from_parquet(folder / HISTORY), about)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is missing or not JSON: a recorded run needs it") from error

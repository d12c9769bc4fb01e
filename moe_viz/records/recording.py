"""A recorded run in a folder: what `train` writes and what the lab shows, labelled as recorded, before its own model is alive.

config.json      flat config, package version, torch version, device
snapshot.json    step and metrics of the last moment
trace-<n>.parquet  the probe batch's routing, one file a layer
history.parquet  every kept step's numbers (keyframes beside it)
run.script.json  what the run is a pure function of (not in recordings of versions that kept none)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moe_viz.records.history import History
from moe_viz.records.script import Script
from moe_viz.records.script_file import read_script, write_script
from moe_viz.records.snapshot import Snapshot
from moe_viz.records.trace import RoutingTrace

CONFIG, SNAPSHOT, HISTORY, SCRIPT = "config.json", "snapshot.json", "history.parquet", "run.script.json"


@dataclass(frozen=True)
class Recording:
    """One recorded run: its last moment, its history, and what made it (`about`: versions and device)."""

    snapshot: Snapshot
    history: History
    about: dict[str, Any]
    script: Script | None = None


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
    (folder / SCRIPT).unlink(missing_ok=True)
    if recording.script is not None:
        (folder / SCRIPT).write_text(write_script(recording.script), encoding="utf-8")


def load(folder: str | Path) -> Recording:
    """Read what `save` wrote. Raises ValueError naming the file that is missing or is something else."""
    folder = Path(folder)
    about, moment = _read(folder / CONFIG), _read(folder / SNAPSHOT)
    paths = sorted(folder.glob("trace-*.parquet"), key=lambda path: int(path.stem.split("-")[1]))
    if not paths or not (folder / HISTORY).exists():
        raise ValueError(f"{folder} is not a recorded run: it needs trace-0.parquet and {HISTORY}")
    traces = [RoutingTrace.from_parquet(path) for path in paths]
    snapshot = Snapshot(moment["step"], about.pop("config"), moment["metrics"], traces, "recorded", moment["message"])
    script = read_script((folder / SCRIPT).read_bytes()) if (folder / SCRIPT).exists() else None
    return Recording(snapshot, History.from_parquet(folder / HISTORY), about, script)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is missing or not JSON: a recorded run needs it") from error

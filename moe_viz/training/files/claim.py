"""What a file says of a run: its script, and the hashes and figures to compare a replay with. A folder, an exported run or a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from moe_viz.records import recording
from moe_viz.records.script import Script
from moe_viz.records.script_file import MOST_BYTES, read_script
from moe_viz.records.trace import RoutingTrace
from moe_viz.training.files.checkpoint import Checkpoint, fingerprint
from moe_viz.training.files.figures import table_of

MOST_FILE_BYTES = 2_000_000_000


@dataclass
class Claim:
    """What a file says of a run. rows: of its history;  text: where it is JSON, to name lines;  parameters: hash at the end"""

    script: Script
    rows: pd.DataFrame
    parameters: str | None
    traces: list[RoutingTrace] = field(default_factory=list)
    text: str = ""


def read_claim(path: Path) -> Claim:
    """Raises ValueError for a file that is missing, too large, damaged or something else."""
    if path.is_dir():
        recorded = recording.load(path)
        if recorded.script is None:
            raise ValueError(f"{path} has no {recording.SCRIPT}: it was written by a version that kept no script")
        return Claim(
            recorded.script, recorded.history.rows(limit=None), recorded.script.end.parameters, recorded.snapshot.traces
        )
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise ValueError(
                f"{path} has {path.stat().st_size // 1_000_000} MB; a run has at most {MOST_FILE_BYTES // 1_000_000}"
            )
        with path.open("rb") as file:
            head = file.read(9)
            if head[8:9] == b"{" and head[:1] != b"{":
                return _of_run_file(head + file.read())
            return _of_script(head + file.read(MOST_BYTES + 1))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def _of_run_file(data: bytes) -> Claim:
    checkpoint = Checkpoint.from_bytes(data, "the file")
    if checkpoint.script is None:
        raise ValueError("the file has no script: it was written by a version that kept none")
    for _ in checkpoint.script.moments():
        pass
    if (checkpoint.epoch, checkpoint.step) != (checkpoint.script.end.epoch, checkpoint.script.end.step):
        raise ValueError(f"the run stands at step {checkpoint.step} of epoch {checkpoint.epoch}, its script elsewhere")
    rows = pd.DataFrame() if checkpoint.history is None else checkpoint.history.rows(limit=None)
    return Claim(checkpoint.script, rows, fingerprint(checkpoint.tensors))


def _of_script(data: bytes) -> Claim:
    script = read_script(data)
    rows = pd.DataFrame() if script.figures is None else table_of(script.figures)
    return Claim(script, rows, script.end.parameters, text=data.decode())

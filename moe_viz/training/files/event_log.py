"""TensorBoard event files of a run: the numbers that practitioners log, under names that serve in any training of one's own.

`moe/layer_2/max_load` is layer 2, counted from 1; `moe/layers/max_load_p50` the median over layers; `moe/layer_2/load/expert_3` one expert.
What is not defined is not written, so that no curve shows a 0 that nobody measured. Needs the extra `log` (tensorboardX).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from moe_viz.records.signals import SIGNALS, percentiles, signals
from moe_viz.records.snapshot import Snapshot
from moe_viz.training.metrics.measure import PER_EXPERT, PER_LAYER
from moe_viz.training.run import Run

NEEDED = "--log needs the package tensorboardX: pip install 'moe-viz[log]', or tensorboardx alone"


class EventLog:
    """Writes into a folder until it is closed. Raises ValueError where the writer is not installed, and for a path that is no folder."""

    def __init__(self, folder: Path):
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--log {folder} is a file; it must be a folder")
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ValueError(NEEDED) from error
        self._writer: Any = SummaryWriter(str(folder))
        self._last: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()

    def look(self, run: Run, snapshot: Snapshot) -> None:
        """Write every step's numbers since the last look, and what this moment's probe batch shows."""
        self._write_steps(run)
        for tag, value in of_moment(snapshot):
            self._write(tag, value, snapshot.step)
        self._writer.flush()

    def _write_steps(self, run: Run) -> None:
        rows = run.history.rows(since=self._last, limit=None)
        if rows.empty:
            return
        steps = rows["step"].to_numpy()
        for column in rows:
            tag = tag_of(str(column))
            if tag is not None:
                for step, value in zip(steps, rows[column].to_numpy(float)):
                    self._write(tag, value, int(step))
        for name in PER_LAYER:
            layers = rows[[column for column in rows if str(column).rpartition(".")[0] == name]].to_numpy(float)
            for step, values in zip(steps, layers):
                for tag, value in over_layers(name, values.tolist()):
                    self._write(tag, value, int(step))
        self._last = run.history.last

    def _write(self, tag: str, value: float | None, step: int) -> None:
        if value is not None and np.isfinite(value):
            self._writer.add_scalar(tag, value, step)


def tag_of(column: str) -> str | None:
    """A history column's tag; None for columns that are not written step by step (one number per expert, counters)."""
    name, *place = column.split(".")
    if name in ("loss", "task_metric") and not place:
        return f"train/{name}"
    if name in PER_LAYER and len(place) == 1:
        return f"moe/layer_{int(place[0]) + 1}/{name}"
    return None


def over_layers(name: str, values: list[float | None]) -> Iterator[tuple[str, float | None]]:
    """(tag, value) of a metric's percentiles over layers."""
    for percent, value in percentiles(values).items():
        yield f"moe/layers/{name}_p{percent}", value


def of_moment(snapshot: Snapshot) -> Iterator[tuple[str, float | None]]:
    """(tag, value) of what one moment shows: the signals of the probe batch, and load and importance of each expert beside one another."""
    found = signals(snapshot.traces, snapshot.config)
    for name in SIGNALS:
        for layer, value in enumerate(found[name], 1):
            yield f"moe/layer_{layer}/{name}", value
        yield from over_layers(name, found[name])
    for name in PER_EXPERT:
        for layer, experts in enumerate(snapshot.metrics[name], 1):
            for expert, value in enumerate(experts, 1):
                yield f"moe/layer_{layer}/{name}/expert_{expert}", value

"""History: every step's numbers of a run, in bounded memory however long it runs, plus keyframes of the probe batch's routing.

The newest rows are held at full resolution. Older rows are thinned to every 2nd, 4th, 8th, ... step over the whole run; which ones follows
from their step numbers alone (`records/thinning.py`), so that a fork and its origin, or the same run at another age, keep the same. Rows
are dropped, never averaged: each point is a value that was measured at that step, and the noise of the old part looks as it was
(an average would make early training look calmer than late training).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from moe_viz.records import thinning
from moe_viz.records.keyframes import Keyframe, Keyframes
from moe_viz.records.trace import NUMBERING, RoutingTrace

MAX_ROWS = 4096
RECENT_ROWS = 1024
MAX_BYTES = 24_000_000
"""Budget of rows (a quarter of it) and keyframes together: very wide runs (64 experts in 8 layers) hold fewer rows."""
FEWEST_ROWS = 512


class Mark(NamedTuple):
    """A moment of a history: number of its newest row, (epoch, step) of its newest keyframe."""

    row: int
    keyframe: tuple[int, int] | None


class History:
    """Named columns per step: scalars (`loss`), per layer (`drop_rate.0`), per layer and expert (`load.0.3`).

    `epoch` counts restarts (reset, or a knob that cannot be live). A missing value is NaN, never 0.
    """

    def __init__(self, max_rows: int = MAX_ROWS, recent_rows: int = RECENT_ROWS, keyframes: Keyframes | None = None):
        if not 0 < recent_rows <= max_rows // 2:
            raise ValueError(f"recent_rows = {recent_rows} must be between 1 and half of max_rows = {max_rows}")
        self.epoch = 0
        self.columns: list[str] = []
        self.keyframes = keyframes or Keyframes(MAX_BYTES - MAX_BYTES // 4)
        self._row_bytes = MAX_BYTES // 4
        self._limits = (max_rows, recent_rows)
        self._total = 0  # rows ever appended; a row's number decides whether a thinned grid keeps it
        self._stride = 1
        self._number = np.empty(0, np.int64)
        self._epochs = np.empty(0, np.int32)
        self._steps = np.empty(0, np.int64)
        self._values = np.empty((0, 0), np.float32)
        self._used = 0
        self._place: dict[tuple[str, ...], np.ndarray] = {}

    def __len__(self) -> int:
        return self._used

    @property
    def last(self) -> tuple[int, int] | None:
        """(epoch, step) of the newest row."""
        return (int(self._epochs[self._used - 1]), int(self._steps[self._used - 1])) if self._used else None

    @property
    def nbytes(self) -> int:
        """Bytes held by rows and keyframes."""
        arrays = (self._number, self._epochs, self._steps, self._values)
        return sum(array.nbytes for array in arrays) + self.keyframes.nbytes

    @property
    def max_rows(self) -> int:
        """Rows held at most: `MAX_ROWS`, fewer where rows are so wide that they would pass their share of the budget."""
        fitting = self._row_bytes // (4 * len(self.columns) + 24)
        return min(self._limits[0], max(fitting, FEWEST_ROWS))

    def budget(self, max_bytes: int) -> None:
        """Hold at most about `max_bytes` from now on (never more than `MAX_BYTES`). The older part is thinned, over the whole run."""
        max_bytes = min(max_bytes, MAX_BYTES)
        self._row_bytes = max_bytes // 4
        self.keyframes.shrink(max_bytes - max_bytes // 4)
        if self._used > self.max_rows:
            self._make_room(0)

    def restart(self) -> int:
        """Begin a new epoch: steps count from 0 again. The new epoch's number."""
        self.epoch += 1
        return self.epoch

    def append(self, columns: Sequence[str], steps: Sequence[int] | np.ndarray, values: np.ndarray) -> None:
        """Add rows to the present epoch.

        columns  M names (new names become new columns, NaN before);  steps [N] rising;  values [N, M] float32, NaN = missing.
        Raises ValueError where shapes disagree or steps do not rise.
        """
        steps, values = np.asarray(steps, np.int64), np.asarray(values, np.float32)
        if values.shape != (len(steps), len(columns)):
            raise ValueError(f"values {values.shape} do not fit {len(steps)} steps and {len(columns)} columns")
        before = [self.last[1]] if self.last and self.last[0] == self.epoch else []
        if len(steps) and (np.diff(np.concatenate([before, steps])) <= 0).any():
            raise ValueError(f"steps must rise within an epoch; got {steps[:8].tolist()} after {before}")
        place = self._places(tuple(columns))
        numbers = np.arange(self._total, self._total + len(steps))
        self._write(place, numbers, np.full(len(steps), self.epoch), steps, values)

    def amend(self, columns: Sequence[str], values: Sequence[float]) -> None:
        """Fill in values of the newest row that were measured after it was added. Raises ValueError where there is no row."""
        if not self._used:
            raise ValueError("there is no row to amend")
        place = self._places(tuple(columns))
        self._values[self._used - 1, place] = values

    def rows(
        self, since: tuple[int, int] | None = None, limit: int | None = 200, epoch: int | None = None
    ) -> pd.DataFrame:
        """Rows after (epoch, step) `since`, columns `epoch`, `step` and one per name, oldest first.

        At most `limit` rows, at least 1: steps on a grid that depends on the newest step alone, those at which a sparse column was
        measured, and the newest. The choice does not shift as rows arrive, so a curve does not shimmer. epoch: only that one.
        What came `since` a moment is thinned only where it is more than `limit`.
        """
        epochs, steps = self._epochs[: self._used], self._steps[: self._used]
        chosen = np.ones(self._used, bool)
        if since is not None:
            chosen = (epochs > since[0]) | ((epochs == since[0]) & (steps > since[1]))
        if epoch is not None:
            chosen &= epochs == epoch
        where = np.flatnonzero(chosen)
        if limit is not None and len(where) and (since is None or len(where) > limit):
            where = where[thinning.shown(epochs[where], steps[where], self._measured(where), max(limit, 1))]
        # names last and at once: every reader asks for this every second, and putting them in one by one takes four times as long
        frame = pd.DataFrame(self._values[where, : len(self.columns)], columns=pd.RangeIndex(2, 2 + len(self.columns)))
        frame.insert(0, 1, steps[where])
        frame.insert(0, 0, epochs[where])
        frame.columns = _names(tuple(self.columns))
        return frame

    def add_keyframe(self, step: int, traces: Sequence[RoutingTrace]) -> None:
        """Keep the probe batch's routing at `step` of the present epoch, one trace per layer."""
        self.keyframes.add(self.epoch, step, traces)

    def nearest_keyframe(self, step: int, epoch: int | None = None) -> Keyframe | None:
        """The keyframe nearest to `step`, by default of the present epoch; None if there is none."""
        return self.keyframes.nearest(step, self.epoch if epoch is None else epoch)

    @property
    def is_whole(self) -> bool:
        """Whether it begins where the run began, thinned or not; a part that came `since` a later moment does not."""
        return not self._total or (self._used > 0 and self._number[0] == 0)

    @property
    def mark(self) -> Mark:
        """Where it ends now, for `to_arrays(since=...)`."""
        frames = self.keyframes.steps()
        return Mark(max(self._total - 1, 0), frames[-1] if frames else None)

    def bytes_since(self, since: Mark | None) -> int:
        """About how much `to_arrays(since)` would hold, without making it."""
        rows = self._used if since is None else min(self._total - since.row, self._used)
        frames = self.keyframes if since is None else self.keyframes.after(since.keyframe)
        return rows * (4 * len(self.columns) + 24) + frames.nbytes

    def to_arrays(self, since: Mark | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and JSON values for `from_arrays`; with `since` only what came after (and the last that was there: it may have been amended).

        rows [N, 3] int64: number, epoch, step;  values [N, M] float32;  and the keyframes, see `Keyframes.to_arrays`.
        """
        start = 0 if since is None else int(np.searchsorted(self._number[: self._used], since.row))
        part = slice(start, self._used)
        rows = np.stack([self._number[part], self._epochs[part].astype(np.int64), self._steps[part]], axis=1)
        frames = self.keyframes if since is None else self.keyframes.after(since.keyframe)
        arrays, beside = frames.to_arrays()
        about = {"columns": self.columns, "epoch": self.epoch, "total": self._total, "stride": self._stride}
        about |= {"limits": self._limits, "since": 0 if since is None else since.row, "keyframes": beside}
        return {"rows": rows, "values": self._values[part, : len(self.columns)], **arrays}, about

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> History:
        """What `to_arrays` gave. Raises ValueError where the two do not fit together, whatever they hold."""
        rows, values, columns = arrays["rows"], arrays["values"], [str(name) for name in about["columns"]]
        if rows.dtype != np.int64 or values.dtype != np.float32 or len(set(columns)) != len(columns):
            raise ValueError(f"history rows are {rows.dtype} and {values.dtype} in {len(columns)} columns")
        if rows.shape != (len(values), 3) or values.shape != (len(rows), len(columns)):
            raise ValueError(f"history rows {rows.shape} do not fit values {values.shape} and {len(columns)} columns")
        if len(rows) and (rows.min() < 0 or rows[:, 1].max() > int(about["epoch"]) or not _rising(rows)):
            raise ValueError("history rows do not rise")
        history = cls(*about["limits"], keyframes=Keyframes.from_arrays(arrays, about["keyframes"]))
        history.columns, history.epoch, history._stride = columns, int(about["epoch"]), int(about["stride"])
        history._take(rows[:, 0], rows[:, 1], rows[:, 2], values)
        history._total = max(int(about["total"]), history._total)
        if not (0 < history._stride <= 2**40 and 0 <= history.epoch < 2**31 and history._total < 2**53):
            raise ValueError(f"epoch {history.epoch}, {history._total} rows, every {history._stride} kept")
        return history

    def extend(self, later: History) -> bool:
        """Go on with the rows and keyframes of `later`; those held from its first on give way. False where some in between are missing."""
        first = int(later._number[0]) if later._used else later._total
        whole = first <= self._total
        self._used = int(np.searchsorted(self._number[: self._used], first))
        part = slice(0, later._used)
        place = self._places(tuple(later.columns))
        self._write(place, later._number[part], later._epochs[part], later._steps[part], later._values[part])
        self.epoch, self._total = later.epoch, max(later._total, self._total)
        self._stride = max(self._stride, later._stride)
        self.keyframes.extend(later.keyframes)
        return whole

    def to_parquet(self, path: str | Path | BinaryIO, beside: str | Path | BinaryIO | None = None) -> None:
        """Write the rows held to `path` (a plain table) and the keyframes beside it (`NAME.keyframes.parquet`).

        Both may be open files in memory.
        """
        table = pa.Table.from_pandas(self.rows(limit=None), preserve_index=False)
        numbers = pa.array(self._number[: self._used])
        table = table.append_column("row", numbers)
        about = {"epoch": self.epoch, "total": self._total, "stride": self._stride, "limits": self._limits}
        metadata = {
            **(table.schema.metadata or {}),
            b"moe_viz.history": json.dumps(about).encode(),
            b"moe_viz.numbering": NUMBERING.encode(),
        }
        pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
        if beside is None:
            if not isinstance(path, str | Path):
                raise ValueError("an open file has nothing beside it: say where the keyframes go")
            beside = keyframes_path(path)
        self.keyframes.to_parquet(beside)

    @classmethod
    def from_parquet(cls, path: str | Path | BinaryIO, beside: str | Path | BinaryIO | None = None) -> History:
        """Read what `to_parquet` wrote (without the keyframes: rows only). Raises ValueError where it is something else."""
        table = pq.read_table(path)
        meta = (table.schema.metadata or {}).get(b"moe_viz.history")
        if meta is None:
            raise ValueError(f"{path} is not a moe_viz history (no 'moe_viz.history' metadata)")
        about, frame = json.loads(meta), table.to_pandas()
        if beside is None and isinstance(path, str | Path) and keyframes_path(path).exists():
            beside = keyframes_path(path)
        history = cls(*about["limits"], keyframes=Keyframes.from_parquet(beside) if beside else None)
        history.columns = [name for name in frame.columns if name not in ("epoch", "step", "row")]
        history.epoch, history._total, history._stride = about["epoch"], about["total"], about["stride"]
        history._take(frame["row"], frame["epoch"], frame["step"], frame[history.columns].to_numpy(np.float32))
        return history

    def _take(self, number: Any, epochs: Any, steps: Any, values: np.ndarray) -> None:
        """Hold copies of these rows and no others."""
        self._number, self._epochs = np.array(number, np.int64), np.array(epochs, np.int32)
        self._steps, self._values = np.array(steps, np.int64), np.array(values, np.float32)
        self._used = len(self._number)
        self._total = max(self._total, int(self._number[-1]) + 1 if self._used else 0)

    def _places(self, columns: tuple[str, ...]) -> np.ndarray:
        """[M] position of each name among the columns held, adding the new ones."""
        if columns not in self._place:
            known = set(self.columns)
            new = [name for name in columns if name not in known]
            if new:
                self.columns = self.columns + new
                self._reshape(np.arange(self._used), len(self._number))
                self._place.clear()
            at = {name: i for i, name in enumerate(self.columns)}
            self._place[columns] = np.array([at[name] for name in columns], np.int64)
        return self._place[columns]

    def _write(
        self, place: np.ndarray, numbers: np.ndarray, epochs: np.ndarray, steps: np.ndarray, values: np.ndarray
    ) -> None:
        for start in range(0, len(steps), FEWEST_ROWS // 8):
            part = slice(start, start + FEWEST_ROWS // 8)
            count = len(steps[part])
            if self._used + count > len(self._number):
                self._make_room(count)
            new = slice(self._used, self._used + count)
            self._number[new], self._epochs[new], self._steps[new] = numbers[part], epochs[part], steps[part]
            self._values[new] = np.nan
            self._values[new, place] = values[part]
            self._used += count
            self._total = int(numbers[part][-1]) + 1

    def _make_room(self, count: int) -> None:
        """Grow up to `max_rows`; after that thin the older rows, leaving an eighth free so that thinning stays rare."""
        most = self.max_rows
        if self._used + count <= most:
            self._reshape(np.arange(self._used), min(most, max(256, 2 * (self._used + count))))
            return
        recent = self._total - min(self._limits[1], most // 2)
        number, steps = self._number[: self._used], self._steps[: self._used]
        # row 0 stays, wherever it lies: by it a history knows that it begins where the run began
        kept = (number >= recent) | (number == 0)
        every = thinning.stride_for(int(steps.max()), most // 16)
        rows = np.arange(self._used)
        kept |= thinning.first_measured(self._epochs[: self._used], steps, self._measured(rows), every)
        keep = kept | thinning.on_grid(steps, self._stride)
        while keep.sum() + max(count, most // 8) > most and self._stride <= steps.max():
            self._stride *= 2
            keep = kept | thinning.on_grid(steps, self._stride)
        where = np.flatnonzero(keep)
        # so many short epochs that a row of each is too much: the oldest go
        spare = max(len(where) + max(count, most // 8) - most, 0)
        self._reshape(np.concatenate([where[:1], where[1 + spare :]]), most)

    def _measured(self, where: np.ndarray) -> np.ndarray:
        """[N] bool: the rows `where` a sparse column has a value."""
        at = [self.columns.index(name) for name in thinning.SPARSE if name in self.columns]
        return np.asarray(np.isfinite(self._values[where[:, None], np.array(at, np.int64)]).any(axis=1))

    def _reshape(self, where: np.ndarray, size: int) -> None:
        """Move the rows `where` to the front of arrays of `size` rows and as many columns as there are names."""
        size = max(size, len(where))
        for name in ("_number", "_epochs", "_steps"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[: len(where)] = old[where]
            setattr(self, name, new)
        values = np.full((size, len(self.columns)), np.nan, np.float32)
        values[: len(where), : self._values.shape[1]] = self._values[where]
        self._values, self._used = values, len(where)


@lru_cache(maxsize=64)
def _names(columns: tuple[str, ...]) -> pd.Index:
    return pd.Index(["epoch", "step", *columns])


def _rising(rows: np.ndarray) -> bool:
    """[N, 3] numbers must rise, and (epoch, step) too."""
    number, epoch, step = np.diff(rows, axis=0).T
    return bool((number > 0).all() and ((epoch > 0) | ((epoch == 0) & (step > 0))).all())


def keyframes_path(path: str | Path) -> Path:
    """Where the keyframes of a history file lie."""
    return Path(path).with_suffix(".keyframes.parquet")

"""Runs on disk: what survives a killed worker, a restarted server, a full disk, or a reader who comes back next week.

One directory per run, `ROOT/RUN_ID/`: `run.json` (config, name, pin), `N.safetensors` (the last two checkpoints, each with the newest part
of the history), `N.history.parquet` (the history up to a moment; keyframes beside it), `milestones/`. Every file is written beside its
place and renamed. N counts the saves of the whole store, so the order of use never depends on a clock.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moe_viz.engine.device import is_lost, is_out_of_memory
from moe_viz.engine.protocol import KeptRun
from moe_viz.engine.storage.branch_points import BranchPoints
from moe_viz.records.files import atomically, write_atomically
from moe_viz.records.history import History, Mark, keyframes_path
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence

log = logging.getLogger(__name__)

RUN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
KEPT = 2
"""Checkpoints held per run: the newest, and one to fall back on should that be unreadable."""
TAIL_BYTES, TAIL_SHARE = 3_000_000, 0.5
"""How much history travels with each checkpoint before all of it is written as Parquet: so many bytes, or this part of it where that is
more. Parquet costs ten times as much as a checkpoint, and the more the longer the history."""
FREE = 0.1
"""Share of the room (its own, and what is free on the disk) that the store never takes."""
STALE_S = 3600.0
"""An unfinished file this old is nobody's any more."""
CHECKPOINT, HISTORY = ".safetensors", ".history.parquet"


@dataclass(frozen=True)
class Stored:
    """A run as found on disk. trainer: None where no checkpoint could be read; its config is still known. notice: what to tell the reader."""

    trainer: Any | None
    playing: bool
    config: dict[str, Any]
    group: tuple[str, ...] = ()
    """Ids of the runs that advance with it, itself included; empty where it runs alone."""
    notice: str = N_("Brought back from its last checkpoint.")


class RunStore:
    """Runs under `root`, at most about `max_bytes` in all (`prune` removes those used longest ago; never a pinned one)."""

    def __init__(self, root: str | Path, max_bytes: int = 1_000_000_000):
        self.root, self.max_bytes = Path(root), max_bytes
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._marks: dict[str, Mark] = {}  # up to where each run's history lies in Parquet
        self._abouts: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}
        self._count = 0
        self._survey()

    def __contains__(self, run_id: str) -> bool:
        return bool(RUN_ID.fullmatch(run_id)) and bool(self._numbers(run_id, CHECKPOINT))

    @property
    def bytes(self) -> int:
        """About what all runs take on disk."""
        return sum(self._sizes.values())

    @property
    def is_over(self) -> bool:
        """Whether `prune` is due."""
        return self.bytes > self.max_bytes

    def save(
        self, run_id: str, trainer: Any, playing: bool, group: tuple[str, ...] = (), for_long: bool = False
    ) -> None:
        """Write a checkpoint; `for_long`: with the whole history as Parquet. Raises OSError where the disk is full; older ones stay."""
        place = self._directory(run_id)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._note(run_id, config=trainer.config.flat(), playing=playing, group=list(group))
        number = max(self._count, *self._numbers(run_id, CHECKPOINT), 0) + 1
        since = self._marks.get(run_id)
        most = max(TAIL_BYTES, TAIL_SHARE * trainer.history.nbytes)
        if for_long or trainer.history.bytes_since(since) > most:
            path = place / f"{number}{HISTORY}"
            with atomically(path) as rows, atomically(keyframes_path(path)) as keyframes:
                trainer.history.to_parquet(rows, keyframes)
            since = self._marks[run_id] = trainer.history.mark
        trainer.save(place / f"{number}{CHECKPOINT}", since=since)
        self._count = number
        self._tidy(run_id)

    def load(self, run_id: str, load: Callable[[Path], Any]) -> Stored | None:
        """The newest readable checkpoint of `run`, through `load(path)`; None where the run is not stored, or nothing of it can be read.

        Raises what `load` does where memory or the device is at fault: nothing is removed then.
        """
        if run_id not in self:
            return None
        about = self._about(run_id)
        place, broken = self._directory(run_id), {}
        for number in self._numbers(run_id, CHECKPOINT):
            try:
                trainer = load(place / f"{number}{CHECKPOINT}")
            except Exception as error:
                if is_out_of_memory(error) or is_lost(error):
                    raise  # the checkpoint is sound: there is only no room for it now
                # whatever is wrong with one checkpoint, the one before it may be sound
                log.exception("cannot read checkpoint %s of run %s", number, run_id[:6])
                broken[place / f"{number}{CHECKPOINT}"] = error
                continue
            whole = self._complete(run_id, number, trainer)
            for path, error in broken.items():
                if isinstance(error, ValueError):  # broken for good: it must not count as the one to fall back on
                    path.unlink(missing_ok=True)
            notice = Stored.notice if whole else _HISTORY_LOST
            if trainer.config.device != self.config(run_id).get("device", trainer.config.device):
                notice = _OTHER_DEVICE
            if broken:
                notice = Sentence(_FELL_BACK, step=trainer.step_number)
            return Stored(trainer, about["playing"], trainer.config.flat(), tuple(about["group"]), notice)
        config = self.config(run_id)
        return Stored(None, about["playing"], config, tuple(about["group"]), _STARTS_AGAIN) if config else None

    def config(self, run_id: str) -> dict[str, Any]:
        """The config of a stored run, flat; {} where none can be read. Nothing is loaded."""
        return self._about(run_id)["config"] or self._header(run_id).get("config") or {}

    def group(self, run_id: str) -> tuple[str, ...]:
        """Ids of the stored runs that advance with a stored run in lock-step, in their order, itself included."""
        members = tuple(name for name in self._about(run_id)["group"] if name in self)
        return members if run_id in members else (run_id,)

    def milestones(self, run_id: str) -> BranchPoints:
        """The checkpoints along a run, from which branches start."""
        return BranchPoints(self._directory(run_id) / "milestones")

    def describe(self, run_id: str) -> KeptRun | None:
        """What a list of runs shows; None where the run is not stored."""
        if run_id not in self:
            return None
        about, header = self._about(run_id), self._header(run_id)
        newest = self._directory(run_id) / f"{self._numbers(run_id, CHECKPOINT)[0]}{CHECKPOINT}"
        config = header.get("config") or about["config"]
        seen = min(_stat(newest, "st_mtime", time.time()), time.time())
        step = header.get("step")
        return KeptRun(
            run_id, about["name"], config, step, about["playing"], about["pinned"], seen, _size(newest.parent)
        )

    def rename(self, run_id: str, name: str) -> None:
        """Give a stored run a name."""
        self._note(run_id, name=name)

    def pin(self, run_id: str, pinned: bool) -> bool:
        """Keep a stored run from being removed, or no longer. False where pinned runs already fill their half of the store."""
        if pinned:
            pins = {run_id, *(other for other in self._runs() if self._about(other)["pinned"])}
            if sum(_size(self._directory(other)) for other in pins) > self.max_bytes // 2:
                return False
        self._note(run_id, pinned=pinned)
        return True

    def delete(self, run_id: str) -> None:
        """Remove everything of a run. Raises ValueError for what is no run id."""
        shutil.rmtree(self._directory(run_id), ignore_errors=True)
        for known in (self._marks, self._abouts, self._sizes):
            known.pop(run_id, None)

    def prune(self, keep: set[str]) -> None:
        """Remove the unpinned runs used longest ago, except `keep`, until the rest fits with a tenth to spare; and what crashes have left."""
        self._survey()
        for part in self.root.rglob(".*"):
            if abs(time.time() - _stat(part, "st_mtime", time.time())) > STALE_S:
                part.unlink(missing_ok=True)
        total = self.bytes
        limit = min(self.max_bytes, int((1 - FREE) * (total + shutil.disk_usage(self.root).free)))
        target = int(0.9 * limit) if total > limit else limit
        used = {run_id: self._numbers(run_id, CHECKPOINT) for run_id in self._sizes if run_id not in keep}
        for run_id, numbers in sorted(used.items(), key=lambda item: item[1][:1]):
            if not numbers or (total > target and not self._about(run_id)["pinned"]):
                log.info("run %s is removed: %d of %d bytes are used", run_id[:6], total, limit)
                total -= self._sizes[run_id]
                self.delete(run_id)

    def _complete(self, run_id: str, number: int, trainer: Any) -> bool:
        """Put the history that lies in Parquet before the part that came with the checkpoint. Whether nothing is missing in between."""
        newest = trainer.history
        for base in self._numbers(run_id, HISTORY):
            if base > number or newest.is_whole:
                continue
            try:
                older = History.from_parquet(self._directory(run_id) / f"{base}{HISTORY}")
                mark = older.mark
                whole = older.extend(newest)
            except Exception:
                log.exception("cannot read history %s of run %s", base, run_id[:6])
                continue
            trainer.history = older
            if whole:
                self._marks[run_id] = mark
            return whole
        self._marks.pop(run_id, None)
        return newest.is_whole

    def _note(self, run_id: str, **values: Any) -> None:
        """Change entries of `run.json`; nothing is written where nothing changes."""
        before = self._about(run_id)
        after = before | values
        path = self._directory(run_id) / "run.json"
        if after != before or not path.exists():
            write_atomically(path, json.dumps(after).encode())
            self._abouts[run_id] = after

    def _about(self, run_id: str) -> dict[str, Any]:
        """Entries of `run.json`; defaults where it is missing or broken."""
        if run_id not in self._abouts:
            about = {"config": {}, "playing": True, "group": [], "name": "", "pinned": False}
            try:
                read = json.loads((self._directory(run_id) / "run.json").read_text(encoding="utf-8"))
                about |= {key: read[key] for key, value in about.items() if isinstance(read[key], type(value))}
            except FileNotFoundError:
                return about
            except (OSError, ValueError, KeyError, TypeError):
                log.exception("cannot read run.json of run %s", run_id[:6])
                return about
            self._abouts[run_id] = about
        return self._abouts[run_id]

    def _header(self, run_id: str) -> dict[str, Any]:
        """What the newest checkpoint whose header can be read says about itself, without reading the rest of it; {} for none."""
        for number in self._numbers(run_id, CHECKPOINT):
            try:
                with open(self._directory(run_id) / f"{number}{CHECKPOINT}", "rb") as file:
                    length = int.from_bytes(file.read(8), "little")
                    return json.loads(json.loads(file.read(min(length, 2**24)))["__metadata__"]["moe_viz"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return {}

    def _tidy(self, run_id: str) -> None:
        """Remove what no kept checkpoint needs, and note the run's size."""
        place, kept = self._directory(run_id), self._numbers(run_id, CHECKPOINT)
        bases = self._numbers(run_id, HISTORY)
        needed = {next((base for base in bases if base <= number), None) for number in kept[:KEPT]}
        for number in kept[KEPT:]:
            (place / f"{number}{CHECKPOINT}").unlink(missing_ok=True)
        for base in set(bases) - needed:
            path = place / f"{base}{HISTORY}"
            path.unlink(missing_ok=True)
            keyframes_path(path).unlink(missing_ok=True)
        self._sizes[run_id] = _size(place)

    def _survey(self) -> None:
        """Look at what is there: sizes, and the highest number."""
        self._sizes = {run_id: _size(self.root / run_id) for run_id in self._runs()}
        for run_id in self._sizes:
            self._count = max(self._count, *self._numbers(run_id, CHECKPOINT), 0)

    def _runs(self) -> list[str]:
        return [entry.name for entry in os.scandir(self.root) if entry.is_dir() and RUN_ID.fullmatch(entry.name)]

    def _directory(self, run_id: str) -> Path:
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"run id {run_id!r} is not 16 to 64 letters, digits, - or _")
        return self.root / run_id

    def _numbers(self, run_id: str, kind: str) -> list[int]:
        """Numbers of a run's finished files of one kind, newest first."""
        directory = self._directory(run_id)
        names = os.listdir(directory) if directory.is_dir() else []
        stems = (name.removesuffix(kind) for name in names if name.endswith(kind))
        return sorted((int(stem) for stem in stems if stem.isdigit()), reverse=True)


def is_full(error: Exception) -> bool:
    """Whether a write failed for want of room (safetensors tells the system's reason in words only)."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or f"os error {errno.ENOSPC}" in str(error)


def _size(place: str | Path) -> int:
    """Bytes of all files below a directory, other processes removing some meanwhile or not."""
    try:
        with os.scandir(place) as entries:
            return sum(_size(entry.path) if entry.is_dir() else entry.stat().st_size for entry in entries)
    except FileNotFoundError:
        return 0


def _stat(path: Path, what: str, otherwise: float) -> float:
    """A property of a file that another process may be removing."""
    try:
        return getattr(path.stat(), what)
    except FileNotFoundError:
        return otherwise


_HISTORY_LOST = N_("Brought back from its last checkpoint. The older part of its curves could not be read.")
_OTHER_DEVICE = N_(
    "Brought back from its last checkpoint. It was trained on a device that is not here: it goes on with what there is (device: auto)."
)
_FELL_BACK = N_("The newest checkpoint could not be read: brought back from the one before it, at step {step}.")
_STARTS_AGAIN = N_("The checkpoint of this run could not be read: it starts again from step 0.")

"""Checkpoints of runs on disk: what survives a killed worker, a restarted server, or a reader who comes back later.

One directory per run, `ROOT/RUN_ID/NUMBER/`, holding what `Trainer.save` writes and `run.json`. A checkpoint is written beside
its predecessor and renamed into place, so that a crash at any moment leaves at least one that can be read.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moe_viz.engine.milestones import Milestones

log = logging.getLogger(__name__)

RUN_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
KEPT = 2
"""Checkpoints held per run: the newest, and one to fall back on should that be unreadable."""


@dataclass(frozen=True)
class Stored:
    """A run as found on disk. trainer: None where no checkpoint could be read; its config is still known."""

    trainer: Any | None
    playing: bool
    config: dict[str, Any]
    group: tuple[str, ...] = ()
    """Ids of the runs that advance with it, itself included; empty where it runs alone."""


class RunStore:
    """Checkpoints under `root`, at most about `max_bytes` in all (`prune` removes the oldest runs beyond that)."""

    def __init__(self, root: str | Path, max_bytes: int = 1_000_000_000):
        self.root, self.max_bytes = Path(root), max_bytes
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __contains__(self, run: str) -> bool:
        return bool(RUN_ID.fullmatch(run)) and any(self._checkpoints(run))

    def save(self, run: str, trainer: Any, playing: bool, group: tuple[str, ...] = ()) -> None:
        """Write a checkpoint atomically. Raises OSError where the disk is full or read-only; older checkpoints stay."""
        found = list(self._checkpoints(run))
        number = int(found[0].name) + 1 if found else 0
        place = self._directory(run) / str(number)
        draft = place.with_name(f"{number}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True, mode=0o700)
            trainer.save(draft / "trainer")
            about = {"playing": playing, "step": trainer.step_number, "config": trainer.config.flat(), "group": group}
            (draft / "run.json").write_text(json.dumps(about), encoding="utf-8")
            draft.rename(place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        for old in found[KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self, run: str, load: Callable[[Path], Any]) -> Stored | None:
        """The newest readable checkpoint of `run`, through `load(path)`; None where the run is not stored."""
        about = None
        for place in self._checkpoints(run) if RUN_ID.fullmatch(run) else ():
            try:
                about = json.loads((place / "run.json").read_text(encoding="utf-8"))
                return _stored(load(place / "trainer"), about)
            except Exception:
                # whatever is wrong with one checkpoint, the one before it may be sound
                log.exception("cannot read checkpoint %s", place)
        return _stored(None, about) if about else None

    def milestones(self, run: str) -> Milestones:
        """The checkpoints along a run, from which branches start."""
        return Milestones(self._directory(run) / "milestones")

    def prune(self, keep: set[str]) -> None:
        """Remove the runs used longest ago, except `keep`, until what is left fits `max_bytes`; drafts left by a crash go too."""
        runs = [path for path in self.root.iterdir() if path.is_dir() and RUN_ID.fullmatch(path.name)]
        sized = [(path.stat().st_mtime, path, _size(path)) for path in runs]
        total = sum(size for *_, size in sized)
        for _, path, size in sorted(sized):
            if path.name in keep:
                continue
            if total > self.max_bytes or not any(self._checkpoints(path.name)):
                shutil.rmtree(path, ignore_errors=True)
                total -= size

    def _directory(self, run: str) -> Path:
        if not RUN_ID.fullmatch(run):
            raise ValueError(f"run id {run!r} is not 16 to 64 letters, digits, - or _")
        return self.root / run

    def _checkpoints(self, run: str) -> Iterator[Path]:
        """Finished checkpoints, newest first."""
        directory = self._directory(run)
        names = os.listdir(directory) if directory.is_dir() else []
        yield from (directory / str(n) for n in sorted((int(name) for name in names if name.isdigit()), reverse=True))


def _stored(trainer: Any | None, about: dict[str, Any]) -> Stored:
    return Stored(trainer, about["playing"], about["config"], tuple(about.get("group", ())))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

"""Replication: copies of the runs' folders from the machines that train to the one that serves, without a shared file system.

A run's folder (see `store`) is copied file by file: what is new or changed goes, what is gone is removed. The store writes each file
beside its place and renames it; so does the copy, checkpoints last, so that a failure at any moment leaves one that can be read.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from moe_viz.engine.storage.run_store import CHECKPOINT, RUN_ID, RunStore
from moe_viz.records.files import write_atomically

Stamp = tuple[int, int]
LATE_S = 60.0
"""Longer than any delta is on its way: its sender is given up long before. Ids are never used again."""


@dataclass(frozen=True)
class RunDelta:
    """What has changed in the folder of one run. files: path below it -> content; present: all paths that belong there now."""

    run_id: str
    files: dict[str, bytes]
    present: frozenset[str]


class Outbox:
    """The sending end: remembers which files of each run under `root` the other end has."""

    def __init__(self, root: Path):
        self._root = root
        self._sent: dict[str, dict[str, Stamp]] = {}

    def pack(self, run_id: str) -> RunDelta:
        """All that the other end lacks of a run. It counts as sent; see `forget`."""
        sent = self._sent.get(run_id, {})
        files, stamps = {}, {}
        for name, stamp in _listing(self._root / run_id):
            if sent.get(name) != stamp:
                try:
                    files[name] = (self._root / run_id / name).read_bytes()
                except FileNotFoundError:
                    continue  # superseded since it was listed; what supersedes it comes with the next delta
            stamps[name] = stamp
        self.forget(run_id)
        if stamps:  # nothing is remembered of a run that was deleted
            self._sent[run_id] = stamps
        return RunDelta(run_id, files, frozenset(stamps))

    def forget(self, run_id: str) -> None:
        """The other end could not keep it: all of the run goes again with the next delta."""
        self._sent.pop(run_id, None)

    def received(self, run_id: str) -> None:
        """What is here of a run came from the other end."""
        self._sent[run_id] = dict(_listing(self._root / run_id))


def unpack(root: Path, delta: RunDelta) -> None:
    """Make the folder of a run under `root` what it is at the other end. Raises OSError (disk full: older checkpoints stay), ValueError
    for a path that would lead out of it."""
    if not RUN_ID.fullmatch(delta.run_id):
        raise ValueError(f"{delta.run_id!r} is not a run id")
    folder = root / delta.run_id
    for name in sorted(delta.files, key=lambda name: name.endswith(CHECKPOINT)):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name!r} leads out of the run's folder")
        (folder / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folder / path, delta.files[name])
    for name, _ in list(_listing(folder)):
        if name not in delta.present:
            (folder / name).unlink(missing_ok=True)
    if not delta.present:
        shutil.rmtree(folder, ignore_errors=True)


class Copies(RunStore):
    """The receiving end, where it serves: a store whose runs are written elsewhere."""

    def __init__(self, root: str | Path, max_bytes: int):
        super().__init__(root, max_bytes)
        self._keeping = threading.Lock()
        self._deleted: dict[str, float] = {}

    def keep(self, delta: RunDelta, is_birth: bool = False) -> None:
        """Raises what `unpack` raises. A birth counts only where nothing is here yet: what came since is newer. What was on its way when its
        run was deleted is dropped."""
        with self._keeping:
            if delta.run_id in self._deleted:
                return
            if is_birth and delta.run_id in self:
                return
            unpack(self.root, delta)
            for known in (self._marks, self._abouts):
                known.pop(delta.run_id, None)  # what was read from the files before
            self._tidy(delta.run_id)

    def delete(self, run_id: str) -> None:
        with self._keeping:
            super().delete(run_id)
            now = time.monotonic()
            self._deleted = {name: at for name, at in self._deleted.items() if now - at < LATE_S} | {run_id: now}


def _listing(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """Finished files below a folder: path, and a stamp that changes with the content."""
    for path in sorted(folder.rglob("*")):
        if path.name.startswith("."):  # unfinished: ours, and those that safetensors writes
            continue
        try:
            about = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            yield path.relative_to(folder).as_posix(), (about.st_mtime_ns, about.st_size)

"""Which run was at work when a training process died, so that a run that kills it each time is not started for ever.

The id of the run at work and its step stand in a small file mapped into memory: marking costs a microsecond and outlives a SIGKILL. The
next process finds it and counts. A run that has got beyond that step since, or dies at another one, is not to blame.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from moe_viz.logs import event

log = logging.getLogger(__name__)

MOST = 3
"""Deaths of the training process at the same point of a run before that is not started any more."""
FORGET_S = 3600.0
"""After this long it gets another chance: perhaps the machine has more memory now."""
NEAR = 2
"""Steps: a run that is to blame dies where it died before; one that the process happened to be at when somebody killed it does not."""
LONGEST = 96
MARKED = re.compile(rb"([\w-]{1,64}) (-?\d{1,15})")
MARK, RECORD = "at-work.{}", "crashes.json"


class CrashRecord:
    """Kept in the folder `root` of the run store."""

    def __init__(self, root: Path):
        self._record, self._path = root / RECORD, root / MARK.format(os.getpid())
        self._known, self._stopped = _read(self._record)
        self._count(root)
        self._mark = _shared(self._path)
        _marks.add(self._path)

    @contextmanager
    def blaming(self, run_id: str, step: int = -1) -> Iterator[None]:
        """Whatever kills the process meanwhile is counted against `run` (an id of at most 64 letters) at `step` (-1: while it is loaded)."""
        before, self._mark[:] = self._mark[:], f"{run_id} {step}".encode().ljust(LONGEST, b"\0")
        try:
            yield
        finally:
            self._mark[:] = before

    def condemn(self, run_id: str, step: int) -> None:
        """The device has reported an error in the work of this run at `step`, which ends the process: it stays stopped in the next one."""
        self._died(run_id, step)
        self._stopped.add(run_id)
        self._write()

    def stopped_at(self, run_id: str) -> int | None:
        """The step at which the device reported an error in this run's work; None where it did not."""
        return self._known[run_id][0] if run_id in self._stopped and run_id in self._known else None

    def too_many(self, run_id: str) -> bool:
        """Whether the process has died at this run again and again."""
        return len(self._recent(run_id)) >= MOST

    def got_to(self, run_id: str, step: int) -> None:
        """The run has been saved at this step."""
        if run_id in self._known and step > self._known[run_id][0]:
            self.forgive(run_id)

    def forgive(self, run_id: str) -> None:
        """The run is another one now: reset, or with a knob turned."""
        self._stopped.discard(run_id)
        if self._known.pop(run_id, None):
            self._write()

    def close(self) -> None:
        """An orderly end: nobody is to blame."""
        self._mark.close()
        self._path.unlink(missing_ok=True)
        _marks.discard(self._path)

    def _count(self, root: Path) -> None:
        """Count what processes that are gone have left."""
        for path in root.glob(MARK.format("*")):
            pid = path.suffix[1:]
            if pid.isdigit() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
                marked = MARKED.fullmatch(path.read_bytes()[:LONGEST].rstrip(b"\0"))
                path.unlink(missing_ok=True)
                if marked:
                    self._died(marked[1].decode(), int(marked[2]))

    def _died(self, run_id: str, step: int) -> None:
        before = self._recent(run_id) if abs(step - self._known.get(run_id, (0,))[0]) <= NEAR else []
        self._known[run_id] = (step, [*before, time.time()])
        event(log, "run_killed_the_process", logging.ERROR, run=run_id, step=step, times=len(before) + 1)
        self._write()

    def _recent(self, run_id: str) -> list[float]:
        """Deaths of the last hour; none from the future, should the clock have been set back."""
        return [at for at in self._known.get(run_id, (0, []))[1] if abs(time.time() - at) <= FORGET_S]

    def _write(self) -> None:
        recent = {
            run_id: (step, deaths, run_id in self._stopped)
            for run_id, (step, _) in self._known.items()
            if (deaths := self._recent(run_id))
        }
        draft = self._record.with_suffix(".draft")
        try:
            draft.write_text(json.dumps(recent), encoding="utf-8")
            draft.replace(self._record)
        except OSError:
            log.exception("cannot write %s", self._record)


def excuse() -> None:
    """This process ends in the middle of its work because it was told to: nobody is to blame."""
    for path in _marks:
        path.unlink(missing_ok=True)


_marks: set[Path] = set()
"""Those of this process."""


def _read(record: Path) -> tuple[dict[str, tuple[int, list[float]]], set[str]]:
    """Run -> the step at which the process died last, and when it has died of it, by `time.time`; and the runs that stay stopped."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        known = {run_id: (int(entry[0]), [float(at) for at in entry[1]]) for run_id, entry in found.items()}
        return known, {run_id for run_id, entry in found.items() if entry[2:] == [True]}
    except FileNotFoundError:
        return {}, set()
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        log.exception("cannot read %s", record)
        return {}, set()


def _shared(path: Path) -> mmap.mmap:
    """Memory that the file `path` keeps when the process dies; plain memory where the disk has no room for 64 bytes."""
    try:
        path.write_bytes(bytes(LONGEST))
        with open(path, "r+b") as file:
            return mmap.mmap(file.fileno(), LONGEST)
    except OSError:
        log.exception("cannot write %s", path)
        return mmap.mmap(-1, LONGEST)

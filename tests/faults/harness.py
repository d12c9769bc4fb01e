"""What the fault tests stand on: an engine with runs of every kind, the moments at which it is killed, and what must hold afterwards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import EngineError, WorkerLost
from moe_viz.engine.storage.run_store import RunStore, Stored
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

UNCOMPARED = ("task_metric", "bias")
"""Columns that are measured when somebody looks, not at every step."""
PACE = 50


def wait(condition: Callable[[], object], seconds: float = 120.0, every: float = 0.01) -> object:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(every)
    return value


def clusters(**fields: object) -> RunConfig:
    return RunConfig(task="clusters", **fields)


@dataclass
class Seen:
    """What was measured over the repetitions of one fault, in seconds: until a reader was told, until training again; the age of the last
    checkpoint, and the training (CPU time) since then that was lost."""

    told: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)
    age: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)


def newest_write(folder: Path) -> float:
    """When the newest finished checkpoint of a run was written, by `time.time`."""
    return max(path.stat().st_mtime for path in folder.glob("*.safetensors"))


def unfinished(store: Path) -> list[Path]:
    """Files that are being written, or were when the process was killed."""
    return list(store.rglob(".*"))


def stored(store: Path, run: str) -> Stored:
    """What is on disk of a run, read in this process."""
    found = RunStore(store).load(run, Trainer.load)
    assert found is not None and found.trainer is not None
    return found


def losses(frame: object) -> dict[tuple[int, int], tuple[float, ...]]:
    """Everything a history says of each step, exactly: (epoch, step) -> numbers."""
    words = [w for w in sorted(frame.columns) if w not in ("epoch", "step") and not w.startswith(UNCOMPARED)]
    keys = zip(frame["epoch"].tolist(), frame["step"].tolist())
    return {key: tuple(row) for key, row in zip(keys, np.nan_to_num(frame[words].to_numpy(), nan=-1.0).tolist())}


def children() -> list[psutil.Process]:
    """Living descendants of this process, zombies included."""
    return [p for p in psutil.Process().children(recursive=True) if p.is_running()]


@contextmanager
def asking(engine: LocalEngine, run: str) -> Iterator[None]:
    """Another thread that reads the run without pause, as pages do, until the process is gone."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                engine.read(run)
            except EngineError:
                return

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Worked:
    """Watches how long the training thread has had a CPU: on a busy machine a checkpoint may be old without much training to lose."""

    def __init__(self, pid: Callable[[], int]):
        self._pid, self._samples, self._end = pid, [(0.0, 0.0)], threading.Event()
        self._total, self._last, self._lock = 0.0, (0, 0.0), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def since(self, moment: float) -> float:
        """CPU seconds between `moment` (by `time.time`) and the newest sample."""
        before = next((worked for at, worked in reversed(self._samples) if at <= moment), 0.0)
        return self._samples[-1][1] - before

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def look(self) -> None:
        """Take a sample now. Time adds up over the processes that follow each other."""
        with self._lock:
            try:
                pid = self._pid()
                worked = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
            except (OSError, EngineError):
                return
            self._total += worked - (self._last[1] if pid == self._last[0] else 0.0)
            self._last = (pid, worked)
            self._samples.append((time.time(), self._total))

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            self.look()


def kill(pid: int) -> float:
    """SIGKILL; when, by `time.time`."""
    now = time.time()
    os.kill(pid, signal.SIGKILL)
    return now


def told_of_the_death(engine: LocalEngine, run: str) -> None:
    """Read as a page does until it learns that the process is gone."""
    while True:
        try:
            engine.read(run)
        except WorkerLost:
            return


def settings(folder: Path, trainer: str = "moe_viz.training:Trainer", **fields: object) -> WorkerSettings:
    return WorkerSettings(store=str(folder / "runs"), trainer=trainer, **fields)

"""LocalEngine: the engine as the web process sees it. One per server, shared by all sessions and their threads.

It starts the training process, sends it requests, and hands each answer to the thread that waits for it. It keeps nothing of a
run: checkpoints are the worker's, on disk, and a new worker finds them there by the run's id. It never imports torch.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from moe_viz import logs
from moe_viz.engine.client.calls import AnalysingClient, DissectingClient, KeepingClient
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import Continuation, EngineError, Update, WorkerLost
from moe_viz.records.trace import RoutingTrace
from moe_viz.settings import settings
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 20.0
STARTING_S = 90.0
"""A cold disk can take a minute to import torch."""
LOG_BYTES = 5_000_000
SECRETS = frozenset({"MOE_VIZ_PASSPHRASE", "STREAMLIT_SERVER_COOKIE_SECRET"})
"""Variables that only the web process needs."""


def home() -> Path:
    """Where this machine keeps runs: `home` of the settings, or (where that is not writable) a temporary folder."""
    place = settings().home
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=place):
            return place
    except OSError as error:
        log.warning("%s is not writable (%s): runs are kept only until the machine restarts", place, error)
        return Path(tempfile.mkdtemp(prefix="moe_viz-"))


class LocalEngine(AnalysingClient, DissectingClient, KeepingClient):
    """`moe_viz.engine.protocol.Engine` on a process of this machine. Thread-safe. Starting does not wait: see `ready`."""

    def __init__(self, worker: WorkerSettings | None = None):
        self.settings = worker or WorkerSettings.of(settings(), home() / "runs")
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._closed = False
        atexit.register(self.close)
        self._restart_if_lost()

    def ready(self) -> bool:
        """Whether the training process has finished starting. Raises WorkerLost where it has died."""
        started = self._alive().started
        return started.done() and bool(started.result())

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._alive().process.pid

    def open(self, config: RunConfig, playing: bool = True, owner: str = "") -> str:
        return self._begin("open", config, playing, owner)

    def open_group(self, configs: list[RunConfig], playing: bool = True, owner: str = "") -> list[str]:
        return self._begin("open_group", configs, playing, owner)

    def set(self, run: str, **knobs: Any) -> list[str]:
        return self._call("set", run, **knobs)

    def play(self, run: str, playing: bool) -> None:
        self._call("play", run, playing)

    def step_once(self, run: str) -> None:
        self._call("step_once", run)

    def reset(self, run: str) -> None:
        self._call("reset", run)

    def read(self, run: str, since: tuple[int, int] | None = None) -> Update:
        return self._call("read", run, since)

    def read_group(self, runs: list[str]) -> list[Update]:
        return self._call("read_group", runs)

    def route_text(self, run: str, text: str) -> list[RoutingTrace]:
        return self._call("route_text", run, text)

    def route_image(self, run: str, data: bytes) -> tuple[list[RoutingTrace], np.ndarray]:
        return self._call("route_image", run, data)

    def continue_text(self, run: str, text: str, n_tokens: int, temperature: float) -> Continuation:
        return self._call("continue_text", run, text, n_tokens, temperature)

    def keyframe(self, run: str, step: int, epoch: int | None = None) -> list[RoutingTrace]:
        return self._call("keyframe", run, step, epoch)

    def keyframe_steps(self, run: str) -> list[tuple[int, int]]:
        return self._call("keyframe_steps", run)

    def first_choices(self, run: str, layer: int, epoch: int | None = None) -> tuple[list[int], np.ndarray]:
        return self._call("first_choices", run, layer, epoch)

    def checkpoint_steps(self, run: str) -> list[tuple[int, int]]:
        return self._call("checkpoint_steps", run)

    def fork(self, run: str, step: int, epoch: int | None = None, **knobs: Any) -> tuple[str, int]:
        return self._call("fork", run, step, epoch, **knobs)

    def resume(self, run: str) -> None:
        self._restart_if_lost()
        self._call("resume", run)

    def release(self, run: str) -> None:
        """Never waits and never fails: it is called while a session is being torn down, perhaps after the worker."""
        worker = self._worker
        if worker is not None and worker.process.poll() is None:
            worker.send("release", (run,), {})

    def status(self) -> dict[str, Any]:
        return self._call("status")

    def revive(self) -> None:
        """Start the training process again where it has gone; its runs come back when they are read."""
        self._restart_if_lost()

    def close(self) -> None:
        """Stop the worker (it writes its checkpoints first) and the reading thread. Safe to call twice."""
        with self._lock:
            self._closed = True
            worker, self._worker = self._worker, None
        atexit.unregister(self.close)
        if worker is not None:
            worker.stop()

    def _begin(self, call: str, *args: Any) -> Any:
        # a new reader need not know that the worker died on somebody else, even at this very moment
        self._restart_if_lost()
        try:
            return self._call(call, *args)
        except WorkerLost:
            self._restart_if_lost()
            return self._call(call, *args)

    def _call(self, call: str, *args: Any, **kwargs: Any) -> Any:
        worker = self._alive()
        waited = TIMEOUT_S if worker.started.done() else STARTING_S
        try:
            return worker.send(call, args, kwargs).result(waited)
        except Late:
            raise EngineError(
                N_("The training process has not answered for {seconds:.0f} s."), seconds=waited
            ) from None

    def _alive(self) -> _Worker:
        worker = self._worker
        if worker is None:
            raise WorkerLost(N_("The training process has been stopped."))
        if worker.process.poll() is not None:
            raise worker.lost()
        return worker

    def _restart_if_lost(self) -> None:
        with self._lock:
            if not self._closed and (self._worker is None or self._worker.process.poll() is not None):
                self._worker = _Worker(self.settings)


class _Worker:
    """One training process and the thread that reads its answers. Never used again once the process is gone."""

    def __init__(self, settings: WorkerSettings):
        self.process = _spawn(settings)
        self.started: Future[dict[str, Any]] = Future()
        self._waiting: dict[int, Future[Any]] = {0: self.started}
        self._numbers = itertools.count(1)
        self._ended = self._stopping = False
        self._has_family = settings.engine != "local"
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="moe_viz-answers", daemon=True)
        self._reader.start()
        self._write(settings)

    def send(self, call: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Send a request; its answer to be. The future raises WorkerLost when the process dies first."""
        number, future = next(self._numbers), Future()
        with self._lock:
            if self._ended:
                future.set_exception(self.lost())
                return future
            self._waiting[number] = future
        self._write((number, call, args, kwargs))
        return future

    def lost(self) -> WorkerLost:
        if self.started.done() and isinstance(why := self.started.exception(), WorkerLost):
            return why
        code = self.process.poll()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return WorkerLost(N_("The training process has stopped ({how}). Resume brings your run back."), how=how)

    def stop(self) -> None:
        self._stopping = True
        try:
            self.process.stdin.close()
            self.process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)

    def _write(self, message: Any) -> None:
        data = pickle.dumps(message, protocol=5)
        try:
            with self._write_lock:
                self.process.stdin.write(data)
                self.process.stdin.flush()
        except (OSError, ValueError):
            pass  # closed pipe: the reading thread sees the same and fails everything that waits

    def _read(self) -> None:
        try:
            while True:
                number, fine, value = pickle.load(self.process.stdout)
                with self._lock:
                    future = self._waiting.pop(number, None)
                if future is not None:
                    future.set_result(value) if fine else future.set_exception(value)
                if number == 0 and not fine:
                    logs.event(log, "worker_cannot_start", logging.ERROR, reason=str(value))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            pass  # the usual end: the process is gone or going
        except Exception:
            log.exception("an answer of the training process cannot be read")
        _wait_for_end(self.process)
        for pipe in (self.process.stdout, self.process.stdin):
            with suppress(OSError), self._write_lock:  # what was on its way to the dead is lost anyway
                pipe.close()
        if self._has_family:
            # what a killed driver leaves of its own Ray cluster lives on for minutes
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if not self._stopping:
            logs.event(log, "worker_died", logging.ERROR, pid=self.process.pid, code=self.process.returncode)
        with self._lock:
            self._ended = True
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(self.lost())


def _wait_for_end(process: subprocess.Popen) -> None:
    """Its answers have ended, so it must go: a worker that cannot answer would only look alive."""
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _spawn(settings: WorkerSettings) -> subprocess.Popen:
    threads = str(settings.threads)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {name: value for name, value in os.environ.items() if name not in SECRETS}
    env |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(paths)}
    module = "moe_viz.engine.worker.main" if settings.engine == "local" else "moe_viz.engine.cluster.main"
    with _log_of(settings) as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=env,
            umask=0o077 if os.name == "posix" else -1,
            process_group=0 if settings.engine != "local" else None,
        )
    logs.event(log, "worker_starting", pid=process.pid, log=getattr(errors, "name", "stderr"))
    return process


def _log_of(settings: WorkerSettings) -> AbstractContextManager[BinaryIO | None]:
    """Where the worker's standard error goes: its log file, or (None) to ours, also where the disk has no room for a log."""
    if settings.log_to == "stderr":
        return nullcontext()
    file = Path(settings.store).parent / "worker.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.exists() and file.stat().st_size > LOG_BYTES:
            file.replace(file.with_suffix(".old.log"))
        return open(file, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))
    except OSError as error:
        log.warning("cannot write %s: %s", file, error)
        return nullcontext()


_engine: LocalEngine | None = None
_engine_lock = threading.Lock()


def engine() -> LocalEngine:
    """The engine of this process, started on the first call."""
    global _engine
    with _engine_lock:
        if _engine is None:
            _engine = LocalEngine()
        return _engine

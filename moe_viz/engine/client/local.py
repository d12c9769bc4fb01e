"""LocalEngine: the engine as the web process sees it. One per server, shared by all sessions and their threads.

It starts the training process, sends it requests, and hands each answer to the thread that waits for it. It keeps nothing of a
run: checkpoints are the worker's, on disk, and a new worker finds them there by the run's id. It never imports torch.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar

from moe_viz import logs, paths
from moe_viz.engine.calls import R, Request, request
from moe_viz.engine.limits import DEVICE_LOST, WorkerSettings
from moe_viz.engine.protocol import Engine, EngineError, WorkerLost, called
from moe_viz.settings import settings
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0
STARTING_S = 90.0
"""A cold disk can take a minute to import torch."""
LOG_BYTES = 5_000_000
SECRETS = frozenset({"MOE_VIZ_PASSPHRASE", "STREAMLIT_SERVER_COOKIE_SECRET"})
"""Variables that only the web process needs."""


def home() -> Path:
    """Where this process keeps runs: `home` of the settings, or (where that is not writable) a temporary folder. Decided once."""
    return _writable(settings().home)


@functools.cache
def _writable(place: Path) -> Path:
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=place):
            return place
    except OSError as error:
        log.warning("%s is not writable (%s): runs are kept only until the machine restarts", place, error)
        return Path(tempfile.mkdtemp(prefix="moe_viz-"))


class LocalEngine(Engine):
    """The engine on a process of this machine. Thread-safe. Starting does not wait: see `ready`."""

    while_asking: ClassVar[staticmethod[[], AbstractContextManager[None]]] = staticmethod(nullcontext)
    """Entered while a call waits for its answer, by the thread that waits: a page gives back there what it holds from the others."""

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

    def carry(self, request: Request[R]) -> R:
        """Raises WorkerLost, but for a call that any worker can do: a new reader need not know that it died on somebody else."""
        if not called(request).starts:
            return self._ask(request)
        self._restart_if_lost()
        try:
            return self._ask(request)
        except WorkerLost:  # at this very moment
            self._restart_if_lost()
            return self._ask(request)

    def resume(self, run_id: str) -> None:
        self._restart_if_lost()
        super().resume(run_id)

    def release(self, run_id: str) -> None:
        """Never waits and never fails: it is called while a session is being torn down, perhaps after the worker."""
        worker = self._worker
        if worker is not None and worker.process.poll() is None:
            worker.send(request(Engine.release, run_id))

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

    def _ask(self, request: Request[R]) -> R:
        worker = self._alive()
        waited = TIMEOUT_S if worker.started.done() else STARTING_S
        try:
            with self.while_asking():
                return worker.send(request).result(waited)
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
                self._worker = _Worker(self.settings, self._restart_if_lost)


class _Worker:
    """One training process and the thread that reads its answers. Never used again once the process is gone."""

    def __init__(self, settings: WorkerSettings, successor: Callable[[], None]):
        self.process = _spawn(settings)
        self._successor = successor
        self._requests, self._answers = _pipes(self.process)
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

    def send(self, request: Request[R]) -> Future[R]:
        """Send a request; its answer to be. The future raises WorkerLost when the process dies first."""
        number = next(self._numbers)
        future: Future[R] = Future()
        with self._lock:
            if self._ended:
                future.set_exception(self.lost())
                return future
            self._waiting[number] = future
        self._write((number, request))
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
            self._requests.close()
            self.process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)

    def _write(self, message: Any) -> None:
        data = pickle.dumps(message, protocol=5)
        try:
            with self._write_lock:
                self._requests.write(data)
                self._requests.flush()
        except (OSError, ValueError):
            pass  # closed pipe: the reading thread sees the same and fails everything that waits

    def _read(self) -> None:
        try:
            while True:
                number, fine, value = pickle.load(self._answers)
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
        for pipe in (self._answers, self._requests):
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
        if self.process.returncode == DEVICE_LOST:
            self._successor()  # nobody is to blame but a run that stays stopped: the others go on at once


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Its answers have ended, so it must go: a worker that cannot answer would only look alive."""
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _spawn(settings: WorkerSettings) -> subprocess.Popen[bytes]:
    threads = str(settings.threads)
    path = [str(paths.CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {name: value for name, value in os.environ.items() if name not in SECRETS}
    env |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(path)}
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


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Where requests go in and answers come out."""
    assert process.stdin is not None and process.stdout is not None, "started with pipes"
    return process.stdin, process.stdout


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

"""HostActor: one `Host` on a core or GPU of some machine of a Ray cluster, and what it hands to the machine that serves.

The host trains in a thread of its own, in the very loop of the local training process; Ray's event loop answers beside it, so that a
long step never makes the machine look dead. Its run store lies in a folder of this machine that ends with it: what must outlive the
machine is copied out after every checkpoint, see `replication`. Ray itself is not imported here.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import platform
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil

from moe_viz import logs
from moe_viz.engine.calls import Request, request
from moe_viz.engine.device import DeviceLost
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import CALLS, Engine, UnknownRun
from moe_viz.engine.storage.replication import Outbox, RunDelta, unpack
from moe_viz.engine.storage.run_store import RunStore, Stored
from moe_viz.engine.worker.main import host_of, message, serve
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.5
"""Time between two signs of life where no checkpoint comes sooner."""
RESEND_S = 4.0
FOLDER = "moe_viz-node-"
MOVED = N_("The machine that trained this run has stopped: it goes on here from step {step}, on another one.")


@dataclass(frozen=True)
class Answer:
    """To one call. data: the message for the client's pipe; born: runs that the call made, and their folders; unknown: no such run here."""

    data: bytes
    born: list[str] = field(default_factory=list)
    deltas: list[RunDelta] = field(default_factory=list)
    unknown: bool = False


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life. status: `Host.status`, {} while a long step is going on; deltas: checkpoints since the last one."""

    status: dict[str, Any]
    deltas: list[RunDelta]


class HostActor:
    """Made once per core or GPU; its methods are called through Ray by `places.Place`."""

    def __init__(self, settings: WorkerSettings):
        logs.start("worker", settings.log_level, settings.log_format)
        self._folder = _own_folder()
        self._store = Path(self._folder) / "runs"
        self._outbox = Outbox(self._store)
        self._saved: SimpleQueue[str] = SimpleQueue()
        self._has_saved = asyncio.Event()
        self._orphaned: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused: set[str] = set()
        self._asked: asyncio.Future | None = None
        self._requests: SimpleQueue = SimpleQueue()
        actor = self

        class ReportingStore(RunStore):
            """Tells that there is a checkpoint to copy."""

            def save(self, run_id: str, *args: Any, **kwargs: Any) -> None:
                super().save(run_id, *args, **kwargs)
                actor._mark_saved(run_id)
                if run_id in actor._refused:
                    raise OSError(errno.ENOSPC, "the serving machine could not keep the last copy")

            def load(self, run_id: str, *args: Any, **kwargs: Any) -> Stored | None:
                stored = super().load(run_id, *args, **kwargs)
                if stored and stored.trainer and run_id in actor._orphaned and stored.notice == Stored.notice:
                    stored = replace(stored, notice=Sentence(MOVED, step=stored.trainer.step_number))
                actor._orphaned.discard(run_id)
                return stored

        self._host = host_of(replace(settings, store=str(self._store)), ReportingStore)
        if hasattr(os, "nice"):
            os.nice(settings.niceness)
        self._thread = threading.Thread(target=self._train, name="moe_viz-host", daemon=True)
        self._thread.start()

    async def about(self) -> dict[str, Any]:
        """Who this is; answers once the host is ready."""
        return {"pid": os.getpid(), "machine": platform.node()}

    async def call(self, number: int, request: Request[Any]) -> Answer:
        """One call of the engine, in the order of arrival."""
        fine, value = await self._ask(request)
        call = CALLS[request.name] if fine else None
        born = call.born(value) if call else []
        # apart from what heartbeats bring, which may overtake an answer
        deltas = [await asyncio.to_thread(Outbox(self._store).pack, run_id) for run_id in born]
        if call and not call.reads and (run_id := call.arguments(request).get("run_id")):
            self._mark_saved(run_id)  # a name or a pin is no checkpoint, but must not end with this machine either
        unknown = not fine and isinstance(value, UnknownRun)
        return Answer(message(number, fine, value), born, deltas, unknown)

    async def take_over(self, deltas: list[RunDelta], orphaned: bool) -> None:
        """Take over runs (one, or a whole group) from their copies; the first call that names one wakes them. orphaned: they were lost
        with another machine."""
        for delta in deltas:
            if orphaned:
                self._orphaned.add(delta.run_id)
            await asyncio.to_thread(unpack, self._store, delta)
            self._outbox.received(delta.run_id)

    async def heartbeat(self, refused: list[str]) -> Heartbeat:
        """Returns with the next checkpoint, at the latest after `HEARTBEAT_S`. refused: runs whose last delta could not be kept."""
        self._loop = asyncio.get_running_loop()
        for run_id in refused:
            self._outbox.forget(run_id)
            self._loop.call_later(RESEND_S, self._mark_saved, run_id)
        self._refused.update(refused)
        with suppress(TimeoutError):  # nothing to copy: the answer alone is the sign of life
            await asyncio.wait_for(self._has_saved.wait(), HEARTBEAT_S)
        self._has_saved.clear()
        to_copy = self._to_copy()
        self._refused.difference_update(to_copy)
        deltas = await asyncio.to_thread(self._pack, to_copy)
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._ask(request(Engine.status)))
        await asyncio.wait({self._asked}, timeout=0.1)
        if not self._asked.done():
            return Heartbeat({}, deltas)
        (fine, status), self._asked = self._asked.result(), None
        return Heartbeat(status if fine else {}, deltas)

    async def close(self) -> list[RunDelta]:
        """Stop training, checkpoint every run; the checkpoints."""
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join)
        deltas = self._pack(self._to_copy())
        shutil.rmtree(self._folder, ignore_errors=True)
        return deltas

    async def _ask(self, request: Request[Any]) -> tuple[bool, Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future = loop.create_future()
        self._requests.put(((loop, answer), request))
        return await answer

    def _train(self) -> None:
        try:
            serve(self._host, self._requests, _hand_over)
            self._host.close()
        except (Exception, DeviceLost):
            log.exception("the host stops")
            os._exit(1)  # to be seen as dead is what brings its runs back elsewhere

    def _mark_saved(self, run_id: str) -> None:
        """Called by the host's thread."""
        self._saved.put(run_id)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._has_saved.set)

    def _to_copy(self) -> list[str]:
        """Runs with a checkpoint to copy, each once."""
        to_copy = {}
        while not self._saved.empty():
            to_copy[self._saved.get()] = None
        return list(to_copy)

    def _pack(self, run_ids: list[str]) -> list[RunDelta]:
        return [delta for delta in map(self._outbox.pack, run_ids) if delta.present]


def _hand_over(to: tuple[asyncio.AbstractEventLoop, asyncio.Future], fine: bool, value: Any) -> None:
    loop, answer = to
    loop.call_soon_threadsafe(lambda: answer.done() or answer.set_result((fine, value)))


def _own_folder() -> str:
    """A new temporary folder, after removing those of actors that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        pid = left.name.removeprefix(FOLDER).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-")

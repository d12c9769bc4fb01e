"""Places: the actors of a Ray cluster as the serving machine sees them, one per core or GPU of every machine that is there.

A place gives a sign of life twice a second, and with it the checkpoints it has written since. One that is silent for `LOST_S`, or that
Ray reports dead, is given up for good: should it still live behind a cut cable, Ray ends it, and nobody listens to it any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from zlib import crc32

from moe_viz.engine.calls import Request
from moe_viz.engine.cluster.actor import Answer, Heartbeat, HostActor
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.replication import RunDelta
from moe_viz.logs import event
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

LOST_S = 8.0
"""Longer than any sign of life takes on a machine that is merely busy."""
SILENT_S = 2.0
"""After this a reader is told that the machine does not answer."""
START_S = 80.0
RETRY_S = 10.0
LOOK_S = 1.0
"""Between two looks at which machines there are."""
WAIT_S = 15.0
"""How long a request waits where no place is ready."""


class PlaceLost(Exception):
    """The actor is gone, or as good as gone: what it had must come from its copies."""


class Place:
    """One actor. node: Ray's id of its machine; load: runs that train there, and the share of its core that they take."""

    def __init__(self, ray: Any, handle: Any, node: str, machine: str):
        self._ray, self._handle = ray, handle
        self.node, self.machine = node, machine
        self.pid = 0
        self.lost = False
        self.heard = time.monotonic()
        self.status: dict[str, Any] = {}
        self.coming = 0
        """Runs on their way here."""
        self._here: set[str] = set()
        """Runs that are routed here, by the letters that a status shows of their ids."""
        self._arrived: dict[str, float] = {}
        """Those of which no status has told yet, and when they came."""
        self.refused: list[str] = []

    @property
    def load(self) -> tuple[int, float]:
        busy = sum(run["steps_per_second"] * (run["ms_per_step"] or 0) / 1000 for run in self._reported.values())
        return sum(run["active"] for run in self._reported.values()) + self._unreported, busy

    @property
    def has_room(self) -> bool:
        return not self.status or len(self._reported) + self._unreported < self.status["max_runs"]

    @property
    def _reported(self) -> dict[str, Any]:
        """What the last status tells of the runs that are here; it may already tell of some that are still counted as coming."""
        return {shown: run for shown, run in self.status.get("runs", {}).items() if shown in self._here}

    @property
    def _unreported(self) -> int:
        return self.coming + len(self._arrived.keys() - self._reported.keys())

    def arrived(self, run_ids: Iterable[str]) -> None:
        """They count at once, and once: whether the next status tells of them, or one has done so already."""
        shown = {run_id[:6] for run_id in run_ids}
        self._here |= shown
        self._arrived |= dict.fromkeys(shown, time.monotonic())

    def left(self, run_id: str) -> None:
        """It is not here any more, whatever the last status says."""
        self._here.discard(run_id[:6])
        self._arrived.pop(run_id[:6], None)

    @property
    def silent(self) -> bool:
        return self.lost or time.monotonic() - self.heard > SILENT_S

    async def about(self) -> dict[str, Any]:
        return await self._ask("about")

    async def call(self, number: int, request: Request[Any]) -> Answer:
        return await self._ask("call", number, request)

    async def take_over(self, deltas: list[RunDelta], orphaned: bool) -> None:
        await self._ask("take_over", deltas, orphaned)

    async def close(self) -> list[RunDelta]:
        return await self._ask("close")

    async def heartbeat(self) -> Heartbeat:
        """The next sign of life. Raises PlaceLost where none comes."""
        refused, self.refused = self.refused, []
        try:
            heartbeat: Heartbeat = await asyncio.wait_for(self._ask("heartbeat", refused), LOST_S)
        except TimeoutError:
            raise PlaceLost(f"no sign of life for {LOST_S:.0f} s") from None
        self.heard = time.monotonic()
        if heartbeat.status:  # none during a long step, which tells nothing of what has arrived
            self.status = heartbeat.status
            reported, now = self._reported, time.monotonic()
            self._arrived = {run: at for run, at in self._arrived.items() if run not in reported and now - at < LOST_S}
        return heartbeat

    def end(self) -> None:
        """Make sure that it is dead: a run must not train in two places."""
        self.lost = True
        try:
            self._ray.kill(self._handle)
        except Exception as error:
            log.info("an actor on %s cannot be ended now: %s", self.machine, error)

    async def _ask(self, method: str, *args: Any) -> Any:
        """Raises PlaceLost for whatever Ray reports but an exception of the method itself."""
        errors = self._ray.exceptions
        if self.lost:
            raise PlaceLost("given up")
        try:
            return await getattr(self._handle, method).remote(*args)
        except errors.RayTaskError:
            raise
        except (errors.RayError, ConnectionError) as error:
            raise PlaceLost(str(error).partition("\n")[0]) from error


class Places:
    """Keeps one actor on every core or GPU of every live machine. keep: takes a delta, False where it cannot; on_lost: told of each loss."""

    def __init__(
        self,
        ray: Any,
        settings: WorkerSettings,
        keep: Callable[[RunDelta], bool],
        on_lost: Callable[[Place, Exception], None],
    ):
        self._ray, self._settings, self._keep, self._on_lost = ray, settings, keep, on_lost
        self.ready: list[Place] = []
        self.problem = ""
        self._starting: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._tasks: set[asyncio.Task] = set()
        self._change = asyncio.Event()
        self._asking: asyncio.Future[list[dict[str, Any]]] | None = None
        self._stopping = False

    async def stop(self) -> None:
        """Keep what the heartbeats on their way bring, and listen no more; the places remain."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.5)

    @property
    def cannot_start(self) -> bool:
        """Nothing is ready, nothing is starting, and `problem` says why."""
        return bool(self.problem) and not self.ready and not any(self._starting.values())

    async def best(self, key: str) -> Place:
        """The place with the least load. Waits for one; EngineError where none comes. Where all are full, the same one for the same key:
        there it stands in line."""
        end = time.monotonic() + WAIT_S
        while not self.ready:
            self._change.clear()
            try:
                await asyncio.wait_for(self._change.wait(), max(end - time.monotonic(), 0.01))
            except TimeoutError:
                raise EngineError(N_("No machine of the cluster can train at the moment. Try again soon.")) from None
        if roomy := [place for place in self.ready if place.has_room]:
            return min(roomy, key=lambda place: place.load)
        return self.ready[crc32(key.encode()) % len(self.ready)]

    async def look(self) -> None:
        """Once a second: start actors where a core or GPU has none. Raises what Ray raises where the cluster itself does not answer."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(asyncio.to_thread(self._ray.nodes))
        await asyncio.wait({self._asking}, timeout=5)
        if not self._asking.done():
            raise TimeoutError("no list of machines for 5 s")  # and no second thread that hangs
        asked, self._asking = self._asking, None
        nodes = asked.result()
        for node in nodes:
            if not node["Alive"]:
                continue
            name, resources = node["NodeID"], node["Resources"]
            # one host owns a GPU; the cores of such a machine stay free for what surrounds it
            gpus = int(resources.get("GPU", 0))
            wanted = gpus or int(resources.get("CPU", 0))
            there = sum(place.node == name for place in self.ready) + self._starting.get(name, 0)
            if time.monotonic() >= self._not_before.get(name, 0.0):
                for _ in range(wanted - there):
                    self._starting[name] = self._starting.get(name, 0) + 1
                    self._run(self._serve(name, node["NodeManagerHostname"], gpus > 0))

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, node: str, machine: str, on_gpu: bool) -> None:
        """Start one actor and listen to it until it is lost."""
        place = None
        try:
            place = Place(self._ray, self._start(node, on_gpu), node, machine)
            place.pid = (await asyncio.wait_for(place.about(), START_S))["pid"]
        except Exception as error:
            self.problem = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            self._not_before[node] = time.monotonic() + RETRY_S
            event(log, "place_cannot_start", logging.ERROR, machine=machine, reason=self.problem)
            if place is not None:
                place.end()
            return
        finally:
            self._starting[node] -= 1
            self._change.set()
        self.ready.append(place)
        event(log, "place_started", machine=machine, pid=place.pid, gpu=on_gpu, places=len(self.ready))
        try:
            while not self._stopping:
                for delta in (await place.heartbeat()).deltas:
                    if not await asyncio.to_thread(self._keep, delta):
                        place.refused.append(delta.run_id)
            return
        except PlaceLost as error:
            reason = error
        except Exception as error:
            log.exception("listening to %s failed", machine)
            reason = error
        self.ready.remove(place)
        place.end()
        self._on_lost(place, reason)

    def _start(self, node: str, on_gpu: bool) -> Any:
        remote = self._ray.remote(HostActor).options(
            num_cpus=0 if on_gpu else 1,
            num_gpus=1 if on_gpu else 0,
            max_restarts=0,  # it would come back without its runs
            max_task_retries=0,
            max_concurrency=1000,
            scheduling_strategy=self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False),
        )
        return remote.remote(self._settings if on_gpu else replace(self._settings, device="cpu", confined=True))

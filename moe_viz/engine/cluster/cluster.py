"""Cluster: carries the calls of `Engine` to the places where runs train, and keeps a copy of every checkpoint on this machine's disk.

A run, or a lock-step group, lives on one place; requests about it are sent there one after another. When a place is lost, the next
request for one of its runs takes the copy to another place and is sent again: pages read all the time, so runs that are watched go on
at once, and those that nobody watches wait for their reader. Ray is not imported here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

from moe_viz import logs
from moe_viz.engine.calls import Call, Request, call_of
from moe_viz.engine.calls import request as ask
from moe_viz.engine.cluster.actor import Answer
from moe_viz.engine.cluster.connect import CannotConnect
from moe_viz.engine.cluster.places import LOOK_S, START_S, Place, PlaceLost, Places
from moe_viz.engine.health import machine, versions, vitals
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import Engine, EngineError, UnknownRun, called
from moe_viz.engine.storage.replication import Copies, Outbox, RunDelta
from moe_viz.engine.storage.run_store import RUN_ID
from moe_viz.engine.worker.main import message
from moe_viz.engine.worker.roster import PRUNE_S
from moe_viz.engine.worker.stored_run_calls import MOST_LISTED
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

Own = Callable[[int, Request[Any], dict[str, Any]], Awaitable[bytes]]

PATIENCE_S = 2.5
"""How long a reader waits for a machine that gives no sign of life before being told so."""
GONE_S = 20.0
"""After this time without an answer from its head the cluster counts as gone."""


class Cluster:
    """ray: the module, connected. `start` first, then `watch` beside the answers, and `close` at the end."""

    def __init__(self, ray: Any, settings: WorkerSettings):
        self.store = Copies(settings.store, settings.store_bytes)
        self.places = Places(ray, settings, self._keep, self._on_lost)
        self._routes: dict[str, Place] = {}
        self._orphaned: set[str] = set()
        self._restoring: dict[str, asyncio.Task[Place]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One for each run about which something is asked at this moment; whoever asks holds it."""
        self._own: dict[Call | None, Own] = {
            call_of(Engine.read_group): self._read_group,
            call_of(Engine.describe): self._describe,
            call_of(Engine.delete): self._delete,
            call_of(Engine.release): self._release,
            call_of(Engine.status): self._status,
        }

    async def answer(self, number: int, request: Request[Any]) -> bytes:
        """The message that answers one request."""
        try:
            call = called(request)
            arguments = call.arguments(request)
            if call.starts:
                return await self._begin(
                    number, request, arguments.get("owner", ""), len(arguments.get("configs", [None]))
                )
            if own := self._own.get(call):
                return await own(number, request, arguments)
            run_id = arguments["run_id"]
            return await self._with_timeout(run_id, self._in_turn(run_id, number, request), call.reads)
        except EngineError as error:
            return message(number, False, error)
        except Exception:
            log.exception("the call %s failed", request.name)
            return message(number, False, EngineError(N_("The cluster could not do this; its log says why.")))

    # ---- calls that are not simply passed on ----

    async def _read_group(self, number: int, request: Request[Any], arguments: dict[str, Any]) -> bytes:
        """Of a lock-step group in one piece; runs that share nothing are read one by one."""
        run_ids: list[str] = arguments["run_ids"]
        groups = {self._members(run_id) for run_id in run_ids}
        if len(groups) == 1:
            return await self._with_timeout(run_ids[0], self._in_turn(run_ids[0], number, request), True)
        answers = [pickle.loads(await self.answer(0, ask(Engine.read, run_id))) for run_id in run_ids]
        refused = [value for _, fine, value in answers if not fine]
        return message(number, not refused, refused[0] if refused else [value for _, _, value in answers])

    async def _describe(self, number: int, request: Request[Any], arguments: dict[str, Any]) -> bytes:
        """From the copies, which also know the runs that are nowhere in memory."""
        run_ids = dict.fromkeys(arguments["run_ids"][:MOST_LISTED])
        return message(number, True, [kept for run_id in run_ids if (kept := self.store.describe(run_id))])

    async def _delete(self, number: int, request: Request[Any], arguments: dict[str, Any]) -> bytes:
        run_id, data = arguments["run_id"], message(number, True, None)
        if not RUN_ID.fullmatch(run_id):
            return data
        async with self._turn(run_id):  # until all is gone: a reader that waits must not bring it back from its copy
            if restoring := self._restoring.get(run_id):
                await asyncio.wait({restoring})
            if run_id in self._routes:
                data = await self._send(run_id, number, request)
            self._unroute(run_id)
            self._orphaned.discard(run_id)
            await asyncio.to_thread(self.store.delete, run_id)
        return data

    async def _release(self, number: int, request: Request[Any], arguments: dict[str, Any]) -> bytes:
        if arguments["run_id"] in self._routes:  # elsewhere there is nothing to release, and nothing to wake for it
            return await self._in_turn(arguments["run_id"], number, request)
        return message(number, True, None)

    async def _status(self, number: int, request: Request[Any], arguments: dict[str, Any]) -> bytes:
        """As one host's, with the totals of all; `workers`: what each actor said last."""
        places = [place for place in self.places.ready if place.status]
        runs = {
            shown: about | {"host": place.machine, "node": place.node[:6], "pid": place.pid}
            for place in places
            for shown, about in place.status["runs"].items()
        }
        totals = ("active", "max_runs", "waiting", "steps_per_second")
        whole: dict[str, Any] = {total: sum(place.status[total] for place in places) for total in totals}
        whole |= {
            "runs": runs,
            "accelerators": [gpu for place in places for gpu in place.status["accelerators"]],
            "versions": places[0].status["versions"] if places else versions(),
            "machine": machine(self.store.root),
        }
        return message(number, True, whole | vitals() | {"workers": [_about(place) for place in places]})

    # ---- where runs are ----

    async def _begin(self, number: int, request: Request[Any], owner: str, count: int) -> bytes:
        """Have `count` new runs made on the place with the least load."""
        while True:
            place = await self.places.best(owner)
            place.coming += count
            try:
                return await self._accept(place, await place.call(number, request))
            except PlaceLost:
                await asyncio.sleep(0.1)
            finally:
                place.coming -= count

    async def _in_turn(self, run_id: str, number: int, request: Request[Any]) -> bytes:
        """Send a request to where its run is, after all earlier ones of that run."""
        async with self._turn(run_id):
            return await self._send(run_id, number, request)

    def _turn(self, run_id: str) -> asyncio.Lock:
        return self._turns.setdefault(run_id, asyncio.Lock())

    async def _send(self, run_id: str, number: int, request: Request[Any]) -> bytes:
        """Also again, where a request did not arrive because of a loss."""
        missing = False
        while True:
            try:
                place = self._routes.get(run_id) or await self._restore(run_id)
                answer = await place.call(number, request)
            except PlaceLost:
                await asyncio.sleep(0.1)
                continue
            if answer.unknown and not missing and run_id in self.store:
                missing = True  # that machine has made room meanwhile; the copy is still here
                for member in self._members(run_id):
                    self._unroute(member)
                continue
            return await self._accept(place, answer)

    async def _with_timeout(self, run_id: str, work: Any, is_read: bool) -> bytes:
        """Await `work`; a read is not held up by a machine that gives no sign of life."""
        task, start = asyncio.ensure_future(work), time.monotonic()
        while not task.done():
            await asyncio.wait({task}, timeout=PATIENCE_S / 5)
            place, waited = self._routes.get(run_id), time.monotonic() - start
            if is_read and not task.done() and waited >= PATIENCE_S and (place is None or place.silent):
                task.cancel()
                raise EngineError(N_("The machine of this run does not answer. The run goes on elsewhere in a moment."))
        return task.result()

    async def _restore(self, run_id: str) -> Place:
        """Take a run, and those of its group, from their copies to the place with the least load."""
        if run_id not in self._restoring:
            if run_id not in self.store:
                raise UnknownRun(N_("This run is not kept here any more. Start a new one."))
            members = self._members(run_id)
            task = asyncio.ensure_future(self._restore_on_best_place(members))
            self._restoring |= dict.fromkeys(members, task)
            task.add_done_callback(lambda done: self._restored(members, done))
        return await asyncio.shield(self._restoring[run_id])

    def _restored(self, members: tuple[str, ...], task: asyncio.Task[Place]) -> None:
        for member in members:
            self._restoring.pop(member, None)
        if not task.cancelled() and (error := task.exception()):
            log.info("run %s has no place yet: %s", members[0][:6], error)  # whoever waited may have given up

    async def _restore_on_best_place(self, members: tuple[str, ...]) -> Place:
        place = await self.places.best(members[0])
        place.coming += len(members)
        try:
            await self._send_copies(members, place)
        finally:
            place.coming -= len(members)
        return place

    async def _send_copies(self, members: tuple[str, ...], place: Place) -> None:
        outbox = Outbox(self.store.root)
        deltas = await asyncio.to_thread(lambda: [outbox.pack(member) for member in members])
        orphaned = not self._orphaned.isdisjoint(members)
        await place.take_over(deltas, orphaned)
        self._orphaned.difference_update(members)
        self._route(members, place)
        logs.event(log, "run_placed", run=members[0], runs=len(members), machine=place.machine, pid=place.pid)

    def _members(self, run_id: str) -> tuple[str, ...]:
        """The runs that must stay together with this one, itself included."""
        try:
            group = json.loads((self.store.root / run_id / "run.json").read_text(encoding="utf-8"))["group"]
        except (OSError, ValueError, KeyError):
            group = []
        members = tuple(member for member in group if member in self.store)
        return members if run_id in members else (run_id,)

    async def _accept(self, place: Place, answer: Answer) -> bytes:
        """Keep what an answer brings before the page hears of it: a run that it knows is never lost."""
        for delta in answer.deltas:
            if not await asyncio.to_thread(self._keep, delta, True):
                place.refused.append(delta.run_id)
        self._route(answer.born, place)
        return answer.data

    def _route(self, run_ids: Iterable[str], place: Place) -> None:
        """From now on these runs are here."""
        for run_id in run_ids:
            self._unroute(run_id)
            self._routes[run_id] = place
        place.arrived(run_ids)

    def _unroute(self, run_id: str) -> None:
        if (place := self._routes.pop(run_id, None)) is not None:
            place.left(run_id)

    def _keep(self, delta: RunDelta, is_birth: bool = False) -> bool:
        try:
            self.store.keep(delta, is_birth)
            return True
        except (OSError, ValueError) as error:
            logs.event(log, "copy_failed", logging.ERROR, error, run=delta.run_id)
            return False

    def _on_lost(self, place: Place, reason: Exception) -> None:
        gone = [run_id for run_id, at in self._routes.items() if at is place]
        for run_id in gone:
            del self._routes[run_id]
        self._orphaned.update(gone)
        logs.event(
            log, "place_lost", logging.ERROR, machine=place.machine, pid=place.pid, runs=len(gone), reason=str(reason)
        )

    # ---- from start to end ----

    async def start(self) -> None:
        """Until one place is ready. Raises CannotConnect where none comes."""
        end = time.monotonic() + START_S
        while not self.places.ready:
            await self.places.look()
            if self.places.cannot_start or time.monotonic() > end:
                raise CannotConnect(
                    N_(
                        "No actor can start on the cluster ({reason}). Does every machine have a free core, moe_viz and the same packages?"
                    ),
                    reason=self.places.problem or f"waited {START_S:.0f} s",
                )
            await asyncio.sleep(0.1)

    async def watch(self) -> None:
        """Follow machines that come and go; returns when the cluster itself is gone."""
        answered = pruned = time.monotonic()
        while time.monotonic() - answered < GONE_S:
            await asyncio.sleep(LOOK_S)
            try:
                await self.places.look()
                answered = time.monotonic()
            except Exception as error:
                log.warning("the cluster does not answer: %s", error)
            if self.store.is_over or time.monotonic() - pruned > PRUNE_S:
                held = {shown for place in self.places.ready for shown in place.status.get("runs", {})}
                await asyncio.to_thread(self.store.prune, {run_id for run_id in self._routes if run_id[:6] in held})
                await self._forget_removed(held)
                pruned = time.monotonic()

    async def _forget_removed(self, held: set[str]) -> None:
        """Routes of runs that are neither in memory (held: by the first letters of their ids) nor kept."""
        routed = [run_id for run_id in self._routes if run_id[:6] not in held]
        removed = await asyncio.to_thread(lambda: [run_id for run_id in routed if run_id not in self.store])
        for run_id in removed:
            self._unroute(run_id)

    async def close(self) -> None:
        """Last checkpoints of all places."""
        await self.places.stop()
        closing = [asyncio.wait_for(place.close(), 2.5) for place in self.places.ready]
        for deltas in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(deltas, BaseException):
                log.warning("a place has not closed in order: %s", deltas)
            else:
                for delta in deltas:
                    self._keep(delta)


def _about(place: Place) -> dict[str, Any]:
    words = ("active", "steps_per_second", "rss_mb", "uptime_s", "accelerators")
    summary = {word: place.status[word] for word in words}
    return summary | {
        "host": place.machine,
        "node": place.node[:6],
        "pid": place.pid,
        "runs": len(place.status["runs"]),
    }

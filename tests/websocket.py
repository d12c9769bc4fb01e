"""A reader without a browser: one Streamlit session over its websocket, light enough that a hundred fit beside the server.

It does what the page's frontend does and no more: follows the timers of ticking fragments, keeps the newest element at each place of the
page, turns widgets by their key, and comes back after a cut. Messages stay undecoded protobuf until a test asks for a text.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from moe_viz.components.connection import NAME as CONNECTION
from tests.page_elements import VALUE_FIELDS, PageElements, Place

FINISHED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


@dataclass(slots=True)
class Update:
    """One run of the page or of its ticking fragment, as this client saw it.

    asked, done: when it was asked for and when its last element came, by `time.monotonic`; messages, size: how many, and their bytes.
    """

    asked: float
    fragment: bool
    done: float = 0.0
    messages: int = 0
    size: int = 0


@dataclass
class Reader(PageElements):
    """One open page. `address` as of `tests.browser.lab.server`; `page`: its name in the address ("" is the lab); `query`: without "?".

    answers: say, with the next tick, which picture has arrived; without it, as over a line on which nothing has, `answer` says it.
    ticks: follow the timers of the page; period: seconds between two ticks, whatever the page asks for (None: what it asks for).
    updates: the newest finished runs, oldest first; on_update: called for each. `started` runs were asked for, `finished` ones answered.
    """

    address: str
    page: str = ""
    query: str = ""
    ticks: bool = True
    answers: bool = True
    period: float | None = None
    on_update: Callable[[Update], None] | None = None
    updates: deque[Update] = field(default_factory=lambda: deque(maxlen=2000))
    started: int = 0
    finished: int = 0
    intervals: dict[str, float] = field(default_factory=dict)
    """Fragment -> the seconds between two ticks that the page asks for."""

    def __post_init__(self) -> None:
        super().__init__()
        self._socket: ClientConnection | None = None
        self._receiver: asyncio.Task | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._known: dict[str, ForwardMsg] = {}  # longer than their place: the server may refer to what has just gone
        self._values: dict[str, WidgetState] = {}
        self._views: dict[str, WidgetState] = {}
        self._asked: dict[tuple[str, ...], float] = {}
        self._answer: Update | None = None
        self._sending: set[asyncio.Task] = set()
        self.pictures: list[int] = []
        """The numbers of those that have arrived."""
        self._run, self._fragments, self._session, self._script = "", (), "", ""
        self._changed = asyncio.Event()

    # ---- connection ----

    async def open(self) -> Reader:
        """Connect (again: to the same session, as a frontend does after a blip) and ask for the page."""
        self._stop()
        stream = self.address.replace("http", "ws", 1) + "/_stcore/stream"
        protocols = ["streamlit", "no-token", *([self._session] if self._session else [])]
        self._socket = await connect(
            stream, subprotocols=protocols, compression=None, max_size=None, ping_interval=None, open_timeout=60
        )
        self._receiver = asyncio.create_task(self._receive(self._socket))
        await self.rerun()
        return self

    async def close(self) -> None:
        """As when a tab is closed."""
        self._stop()
        if self._socket is not None:
            await self._socket.close()

    def cut(self) -> None:
        """As when the network goes: no farewell. `open` comes back to the session, while the server still knows it."""
        self._stop()
        if self._socket is not None:
            self._socket.transport.abort()

    def forget(self) -> None:
        """The next `open` is a reload: a new session, widgets as the link (`query`, kept up to date by the page) says."""
        self._session, self._script = "", ""
        self._values.clear()
        self._views.clear()
        self.places.clear()

    @property
    def connected(self) -> bool:
        return self._receiver is not None and not self._receiver.done()

    def _stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._asked.clear()
        self._answer = None
        if self._receiver is not None:
            self._receiver.cancel()

    # ---- to the server ----

    async def rerun(self, fragment: str = "", auto: bool = False, triggers: tuple[WidgetState, ...] = ()) -> None:
        """Ask for a run of the page or of one fragment, with the widgets as they are."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name, state.page_script_hash = self.query, self.page, self._script
        state.fragment_id, state.is_auto_rerun = fragment, auto
        state.widget_states.widgets.extend([*self._views.values(), *self._values.values(), *triggers])
        state.cached_message_hashes.extend(self._known)
        self._asked.setdefault((fragment,) if fragment else (), time.monotonic())
        self.started += 1
        self._changed.set()
        await self.send(message.SerializeToString())

    async def send(self, data: bytes) -> None:
        """Any bytes, also such as no frontend would send. Raises ConnectionClosed where the connection is gone."""
        await self._socket.send(data)

    async def answer(self) -> None:
        """Say that the last picture has arrived, as the page does at once."""
        where, view = next((w, e) for w, e in self.page_views() if e.component_name == CONNECTION)
        self._views[view.id] = WidgetState(id=view.id, json_value=json.dumps({"painted": self.pictures[-1]}))
        await self.rerun(self.places[where].message.delta.fragment_id)

    async def press(self, key: str) -> None:
        """Press the button with this key, once it is there: the rest of a run comes message by message."""
        await self.until(lambda page: page.has(key))
        await self.set(key, True)

    async def set(self, key: str, value: Any) -> None:
        """Turn the widget with this key: text, number, bool, or list of texts, as shown on the page. Raises KeyError where there is none."""
        place = self.widget(key)
        kind = place.message.delta.new_element.WhichOneof("type")
        element = getattr(place.message.delta.new_element, kind)
        state = WidgetState(id=element.id)
        values = value if isinstance(value, list | tuple) else [value]
        if kind == "slider":
            chosen = element.type == Slider.SELECT_SLIDER
            (state.string_array_value if chosen else state.double_array_value).data.extend(values)
        elif VALUE_FIELDS[kind] == "string_array_value":
            state.string_array_value.data.extend(values)
        else:
            setattr(state, VALUE_FIELDS[kind], value)
        if kind == "button":
            return await self.rerun(place.message.delta.fragment_id, triggers=(state,))
        self._values[element.id] = state
        await self.rerun(place.message.delta.fragment_id)

    def _tick(self, fragment: str) -> None:
        loop, seconds = asyncio.get_running_loop(), self.period or self.intervals[fragment]
        at = max(self._timers[fragment].when() + seconds, loop.time())  # a browser's interval does not drift
        self._timers[fragment] = loop.call_at(at, self._tick, fragment)
        if self.connected:
            task = asyncio.ensure_future(self._tick_now(fragment))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _tick_now(self, fragment: str) -> None:
        try:
            await self.rerun(fragment, auto=True)
        except ConnectionClosed:
            self._stop()

    # ---- from the server ----

    async def _receive(self, socket: ClientConnection) -> None:
        try:
            while True:
                data = await socket.recv(decode=False)
                self._take(ForwardMsg.FromString(data), len(data))
                self._changed.set()
        except ConnectionClosed:
            self._changed.set()

    def _take(self, message: ForwardMsg, size: int) -> None:
        kind = message.WhichOneof("type")
        if self._answer:
            self._answer.messages, self._answer.size = self._answer.messages + 1, self._answer.size + size
        if kind in ("delta", "ref_hash"):
            where = tuple(message.metadata.delta_path)
            if kind == "ref_hash":
                message, message.metadata.delta_path[:] = _copied(self._known[message.ref_hash]), where
            self.places[where] = Place(message, self._run)
            if message.metadata.cacheable:
                self._known[message.hash] = message
            if message.delta.new_element.HasField("bidi_component"):
                self._hold_script(message.delta.new_element.bidi_component)
            if self._answer:
                self._answer.done = time.monotonic()
        elif kind == "new_session":
            self._run, self._fragments = message.metadata.run.script_run_id, tuple(message.metadata.run.fragment_ids)
            self._session, self._script = (
                message.new_session.initialize.session_id,
                message.new_session.page_script_hash,
            )
            # one run answers all that was asked before it began: the server merges requests that wait
            asked = self._asked.pop(self._fragments, time.monotonic())
            self._answer = Update(asked, bool(self._fragments))
            if not self._fragments:
                self._stop_timers(list(self._timers))
        elif kind == "auto_rerun":
            self._follow(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        elif kind == "stop_auto_rerun":
            self._stop_timers(list(message.stop_auto_rerun.fragment_ids))
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "script_finished":
            self._finish(message.script_finished)

    def _hold_script(self, view: BidiComponent) -> None:
        """Answer as the page does, that it holds the script of a canvas view, which is sent along until then, and which picture has arrived."""
        if view.id not in self._views or view.component_name == CONNECTION:
            data = json.loads(view.bytes or view.json or "{}")
            held = {"script": data.get("script", {}).get("version", "")}
            if view.component_name == CONNECTION:
                self.pictures.append(data["picture"])
                if not self.answers:
                    return
                held["painted"] = data["picture"]  # said with the next tick: one message less than the page sends
            self._views[view.id] = WidgetState(id=view.id, json_value=json.dumps(held))

    def _follow(self, fragment: str, interval: float) -> None:
        if fragment in self._timers and self.intervals.get(fragment) == interval:
            return  # as the frontend: the same interval does not start anew
        self._stop_timers([fragment])
        self.intervals[fragment] = interval
        if self.ticks:
            loop = asyncio.get_running_loop()
            self._timers[fragment] = loop.call_later(self.period or interval, self._tick, fragment)

    def _stop_timers(self, fragments: list[str]) -> None:
        for fragment in fragments:
            if timer := self._timers.pop(fragment, None):
                timer.cancel()

    def _finish(self, status: int) -> None:
        if status not in FINISHED:
            return
        for where, place in list(self.places.items()):
            if place.run != self._run and (not self._fragments or place.message.delta.fragment_id in self._fragments):
                del self.places[where]
        if self._answer:
            done, self._answer = self._answer, None
            done.done = done.done or time.monotonic()
            self.finished += 1
            self.updates.append(done)
            if self.on_update:
                self.on_update(done)

    async def until(self, happened: Callable[[Reader], Any], seconds: float = 60) -> Any:
        """Wait until `happened(self)` is true; its value. Raises TimeoutError with what the page says instead."""
        end = time.monotonic() + seconds
        while not (value := happened(self)):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), end - time.monotonic())
            except TimeoutError:
                raise TimeoutError(f"not within {seconds} s; the page says {self.texts()} {self.errors}") from None
        return value


def _copied(message: ForwardMsg) -> ForwardMsg:
    copy = ForwardMsg()
    copy.CopyFrom(message)
    return copy

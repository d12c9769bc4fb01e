"""What a page knows of the runs that it watches, and what its reader does to them: one state machine for all pages.

`SessionRun` watches one run, `RunGroup` several in lock-step. Opening, leases, a lost training process, a run that is gone, a full
server, refusals, notices and resuming are here, once. The training process belongs to the server (`engine()`), a run to whoever holds
its id; the page renews its lease by reading and releases it when the session ends.
"""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import Engine, EngineError, Full, RunRefused, TooCostly, UnknownRun, WorkerLost
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.session.run_cookie import remembered

OWNER = "owner"
GONE = EngineError(N_("This run is not kept on this server any more. A new one begins with the same settings."))

T = TypeVar("T")
R = TypeVar("R")
Notice = EngineError | Sentence | str


@dataclass
class Watched(ABC, Generic[T]):
    """The runs behind one page of a session. T: what one look at them gives.

    latest: the newest look (None: none yet);  lost: the training process died;  layer: the one that the page shows.
    waiting: the place in line, while the server is full; queued: what the reader did meanwhile, done in this order once there is room.
    refused: why nothing is started any more, until the reader resets it or turns a knob.
    notices: what is still to be told once;  changed: the rest of the page (address, controls) has not heard of what has happened.
    """

    playing: bool = field(default=True, kw_only=True)
    lost: bool = field(default=False, kw_only=True)
    layer: int = field(default=0, kw_only=True)
    latest: T | None = field(default=None, kw_only=True)
    notices: list[Notice] = field(default_factory=list, kw_only=True)
    waiting: Full | None = field(default=None, kw_only=True)
    refused: EngineError | None = field(default=None, kw_only=True)
    queued: list[Callable[[Engine], Any]] = field(default_factory=list, kw_only=True)
    changed: bool = field(default=False, kw_only=True)
    n_actions: int = field(default=0, kw_only=True)
    """How often the reader has done something. Two scripts of one session may run at once: what one of them read before the other
    one's press is older than that press."""
    lock: threading.Lock = field(default_factory=threading.Lock, kw_only=True, repr=False, compare=False)
    """Held for a few assignments; never while the engine or Streamlit is asked."""
    _opening: bool = field(default=False, kw_only=True, repr=False)
    _last_error: str | None = field(default=None, kw_only=True, repr=False)
    kept: ClassVar[bool] = False
    """Whether the browser remembers such runs as its own."""

    # -- what a kind of runs says of itself ----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def first_run_id(self) -> str | None:
        """Id of the run that a request to all of them names; None before they are open."""

    @property
    def open_id(self) -> str:
        """That id. Raises UnknownRun where no run is open (any more), as the engine would for a run that it does not have."""
        if (run_id := self.first_run_id) is None:
            raise UnknownRun(GONE.template)
        return run_id

    @property
    def look(self) -> T:
        """The newest look. Raises ValueError before the first."""
        if self.latest is None:
            raise ValueError("nothing has been looked at yet")
        return self.latest

    @abstractmethod
    def begin(self, engine: Engine, owner: str) -> None:
        """Open the runs."""

    @abstractmethod
    def read(self, engine: Engine) -> T:
        """Look at all of them."""

    @abstractmethod
    def notices_of(self, look: T) -> list[Notice]:
        """What it tells the reader, to be said once."""

    def apply(self, look: T) -> None:
        """Take over what the runs have by now. Not called for a look that is older than the reader's last press."""

    @abstractmethod
    def forget(self) -> None:
        """There are no such runs any more: the next look opens new ones with the same settings."""

    def choose_cheaper(self) -> bool:
        """Settle for something that this server can run, after it has refused what it costs; False where there is nothing."""
        return False

    # -- what is the same for all --------------------------------------------------------------------------------------------

    def tick_s(self, playing: float, paused: float) -> float:
        """Seconds between two looks that the page would like, in line as while paused."""
        return playing if self.waiting is None and (self.playing or self.latest is None) else paused

    def poll(self) -> T | None:
        """The newest look, or None while the training process is still starting or is gone. Opens the runs when it can.

        One reader's Resume brings back everybody's runs: lost ones go on as soon as there is a training process again.
        """
        if self.refused:
            return None
        try:
            if self.first_run_id is None and not self.lost:
                engine().revive()  # a new reader need not know that it died on somebody else
            if not engine().ready():
                return None
            if self.first_run_id is None and not self._begin():
                return None
            self._do_queued()
            n_actions = self.n_actions
            look = self.read(engine())
        except EngineError as error:
            self.failed(error)
            return None
        with self.lock:
            self.latest = look
            if n_actions == self.n_actions and not self.queued:
                self.apply(look)
            self.lost, self._last_error = False, None
            self.waiting = self.waiting if self.queued else None
        self.notices.extend(self.notices_of(look))
        return look

    def _begin(self) -> bool:
        """Open the runs, once: False where another script of this session is about to."""
        with self.lock:
            if self._opening:
                return False
            self._opening = True
        try:
            self.begin(engine(), owner())
            self.changed = True
            lease(self.open_id)
            if self.kept:
                remembered().keep(self.open_id, own=True)
        finally:
            self._opening = False
        return True

    def failed(self, error: EngineError) -> None:
        """What a refused look or request means for the page; said once, however often it is met."""
        if isinstance(error, Full):
            self.waiting = error
        elif isinstance(error, WorkerLost):
            self.lost = True
        elif isinstance(error, UnknownRun):
            self.notices.append(error if kept_elsewhere(error) else GONE)
            if self.kept and self.first_run_id is not None:
                remembered().forget(self.first_run_id)
            self.forget()
            self.latest, self.changed = None, True
            self.queued.clear()
        elif isinstance(error, RunRefused):  # no new one by itself: with the same settings it would do the same
            self.forget()
            self.refused, self.changed = error, True
        elif isinstance(error, TooCostly) and self.first_run_id is None:
            self.refused = None if self.choose_cheaper() else error
            if self.refused is None:
                self.notices.append(error)
        elif str(error) != self._last_error:
            self.notices.append(error)
            self._last_error = str(error)

    def ask(
        self,
        act: Callable[[Engine], R],
        otherwise: Callable[[EngineError], Any] | None = None,
        waits: R | None = None,
    ) -> R | None:
        """One request. A lost training process becomes the lost state; another refusal goes to `otherwise`, or is told once; then None.

        waits: given for what can be done later: on a full server it is done once there is room, and `waits` is the answer for now.
        """
        if self.first_run_id is None:
            return None
        try:
            if waits is None or not self.queued:
                return act(engine())
            self.queued.append(act)  # behind what waits already
            return waits
        except Full as full:
            if full.position and waits is not None:
                self.waiting = full
                self.queued.append(act)
                return waits
            (otherwise or self.notices.append)(full)
        except WorkerLost:
            self.lost = True
        except EngineError as error:
            (otherwise or self.notices.append)(error)
        return None

    def _do_queued(self) -> None:
        """What had to wait for room, as far as there is some now."""
        while self.queued:
            try:
                self.queued[0](engine())
            except Full as full:
                self.waiting = full
                return
            except WorkerLost:
                raise
            except EngineError as error:
                self.notices.append(error)
            self.queued.pop(0)

    # -- what a reader does --------------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        self.play(not self.playing)

    def play(self, playing: bool) -> None:
        self._set_playing(playing)
        self.ask(lambda engine: engine.play(self.open_id, playing) or [], waits=[])
        self._set_playing(playing)

    def _set_playing(self, playing: bool) -> None:
        with self.lock:
            self.n_actions, self.playing = self.n_actions + 1, playing

    def step_once(self) -> None:
        self.play(False)
        self.ask(lambda engine: engine.step_once(self.open_id) or [], waits=[])

    def reset(self) -> None:
        with self.lock:
            self.n_actions, self.refused = self.n_actions + 1, None
        self.ask(lambda engine: engine.reset(self.open_id) or [], waits=[])

    def resume(self) -> None:
        """Start the training process again and continue from the last checkpoint."""
        try:
            if self.first_run_id is None:
                self._begin()
            else:
                engine().resume(self.first_run_id)
            self.lost = False
        except UnknownRun as error:
            self.failed(error)
            self.lost = False
        except EngineError as error:
            self.notices.append(error)

    def leave(self) -> None:
        """Give the runs up: the next look opens new ones."""
        if self.first_run_id is not None:
            engine().release(self.open_id)
        with self.lock:
            self.forget()
            self.latest, self.refused, self.waiting, self._last_error = None, None, None, None
            self.queued.clear()
            self.n_actions += 1


def kept_elsewhere(error: UnknownRun) -> bool:
    """Whether the run is not gone, only not one that this page can show."""
    return bool(error.values.get("elsewhere"))


def owner() -> str:
    """This session's token with the engine: all its runs share one part of the CPU, and it holds the place in line."""
    return st.session_state.setdefault(OWNER, secrets.token_urlsafe(16))


@st.cache_resource(scope="session", show_spinner=False, on_release=lambda run_id: engine().release(run_id))
def lease(run_id: str) -> str:
    """Ties a run to the browser session: when the session ends, the run is released (not destroyed: a blip ends sessions too)."""
    return run_id

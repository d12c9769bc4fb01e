"""The session's run: what the page knows of it, and what the reader's actions do to it.

A page holds one `LabRun` in the session state. The training process belongs to the server (`engine()`), the run to whoever
holds its id; the page renews its lease by reading and releases it when the session ends.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import (
    Continuation,
    EngineError,
    Full,
    RunRefused,
    TooCostly,
    UnknownRun,
    Update,
    WorkerLost,
)
from moe_viz.spec import RunConfig, change, needs_restart, plain
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.session.permalink import Problem, decode, encode, run_of
from moe_viz.ui.session.run_cookie import is_id, remembered
from moe_viz.ui.widgets.i18n import _, language

STATE, OWNER = "lab_run", "owner"
WAITS = ("set", "play", "step_once", "reset")
"""What a reader does to a run that can be done later, when a full server has room for it again."""

Run = TypeVar("Run", bound="LabRun")
_GONE = EngineError(N_("This run is not kept on this server any more. A new one begins with the same settings."))


@dataclass
class LabRun:
    """One reader's run. `run` is None until the engine has opened it; `lost`: the training process died; `seen`: the page has painted once.

    refused: why its run is not started any more; a new one begins when the reader resets it or turns a knob.
    waiting: the place in line, while the server is full; wanted: what the reader did meanwhile, done in this order once there is room.
    shared: it was opened by a link that somebody else may have, too; changed: the rest of the page (address, controls) has not heard of it.
    """

    config: RunConfig
    problems: list[Problem] = field(default_factory=list)
    run: str | None = None
    playing: bool = True
    lost: bool = False
    seen: bool = False
    layer: int = 0
    notices: list[EngineError | Sentence | str] = field(default_factory=list)
    latest: Update | None = None
    continuation: Continuation | None = None
    waiting: Full | None = None
    refused: RunRefused | None = None
    wanted: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    shared: bool = False
    changed: bool = False
    charted: tuple[float, str | None, Update] | None = None
    """When the charts were last made, for which run, and from what (see `views.for_charts`)."""
    asked: int = 0
    """How often the reader has done something to it. Two scripts of one session may run at once: what one of them read before the
    other one's press is older than that press."""
    _brief: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """Held for a few assignments; never while the engine or Streamlit is asked."""
    _opening: bool = False
    kept: ClassVar[bool] = True
    """Whether the browser remembers such runs, and their id stands in the address."""

    def tick_s(self, playing: float, paused: float) -> float:
        """Seconds between two looks at this run that its page would like, in line as while paused."""
        return playing if self.waiting is None and (self.playing or self.latest is None) else paused

    def poll(self) -> Update | None:
        """The newest update, or None while the training process is still starting or is gone. Opens the run when it can.

        One reader's Resume brings back everybody's run: a lost one goes on as soon as there is a training process again.
        """
        if self.refused:
            return None
        try:
            if self.run is None and not self.lost:
                engine().revive()  # a new reader need not know that it died on somebody else
            if not engine().ready():
                return None
            if self.run is None and not self._begin():
                return None
            self._do_wanted()
            asked = self.asked
            update = engine().read(self.run)
            self._take(update, asked)
            self.lost = False
            self.waiting = None if not self.wanted else self.waiting
        except Full as full:
            self.waiting = full
            return None
        except WorkerLost:
            self.lost = True
            return None
        except UnknownRun:
            self._is_gone()
            return None
        except RunRefused as error:  # no new one by itself: with the same settings it would do the same
            self.run, self.refused, self.changed = None, error, True
            return None
        except TooCostly as error:  # what a link asks for; the next look opens what this server can run
            self.notices.append(error)
            self.config = RunConfig(task=self.config.task.name, router=self.config.router.name)
            return None
        except EngineError as error:
            self.notices.append(error)
            return None
        self.notices.extend(update.notices)
        return update

    def _begin(self) -> bool:
        """Open the run, once: False where another script of this session is about to."""
        with self._brief:
            if self._opening:
                return False
            self._opening = True
        try:
            mine = owner()
            self.run = engine().open(self.config, playing=self.playing, owner=mine)
            self.shared, self.changed = False, True
            lease(self.run)
            if self.kept:
                remembered().keep(self.run, own=True)
        finally:
            self._opening = False
        return True

    def _is_gone(self) -> None:
        """The next look opens a new run with the same settings."""
        self.notices.append(_GONE)
        if self.kept:
            remembered().forget(self.run)
        self.run, self.latest, self.shared, self.changed = None, None, False, True
        self.wanted.clear()

    def _take(self, update: Update, asked: int) -> None:
        """Show what was read, and take over what the run has: a link's settings may be older, and others may have turned its knobs.

        asked: `self.asked` when it was read for; if the reader has done something since, it says nothing about that.
        """
        shown = update.snapshot
        with self._brief:
            self.latest = update
            if self.wanted or asked != self.asked:
                return
            if update.playing != self.playing:
                self.playing, self.changed = update.playing, True
            if shown.state != "failed" and shown.config != self.config.flat():
                self.config, self.changed = RunConfig.from_flat(shown.config), True

    def _do_wanted(self) -> None:
        """What had to wait for room, as far as there is some now."""
        while self.wanted:
            call, args, kwargs = self.wanted[0]
            try:
                getattr(engine(), call)(self.run, *args, **kwargs)
            except Full as full:
                self.waiting = full
                return
            except WorkerLost:
                raise
            except EngineError as error:
                self.notices.append(error)
            self.wanted.pop(0)

    def turn(self, **knobs: Any) -> None:
        """Turn knobs: the config first (it validates), then the running model. A knob that either refuses stays where it was."""
        try:
            wanted = change(self.config, **knobs)
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        if self.run is not None:
            said = self._ask("set", **knobs)
            if said is None:
                return
            self.notices.extend(said)
        if needs_restart(self.config, wanted):
            self.layer = min(self.layer, wanted.n_layers - 1)
        with self._brief:
            self.asked += 1
            self.config, self.refused = wanted, None

    def become_own_copy(self) -> None:
        """Go on with a copy of this run, which nobody else has."""
        copy = self._ask("copy")
        if copy is None:
            return
        lease(copy)
        remembered().keep(copy, own=True)
        self.run, self.shared, self.latest = copy, False, None
        self._ask("play", self.playing)

    def accept_sharing(self) -> None:
        """The reader knows that others have this run."""
        self.shared = False

    def toggle(self) -> None:
        self.play(not self.playing)

    def play(self, playing: bool) -> None:
        self._play(playing)
        self._ask("play", playing)
        self._play(playing)

    def _play(self, playing: bool) -> None:
        with self._brief:
            self.asked, self.playing = self.asked + 1, playing

    def step_once(self) -> None:
        self.play(False)
        self._ask("step_once")

    def reset(self) -> None:
        self.refused = None
        self._ask("reset")

    def resume(self) -> None:
        """Start the training process again and continue from the last checkpoint."""
        try:
            if self.run is None:
                self._begin()
            else:
                engine().resume(self.run)
            self.lost = False
        except UnknownRun:
            self._is_gone()
            self.lost = False
        except EngineError as error:
            self.notices.append(error)

    def _ask(self, call: str, *args: Any, **kwargs: Any) -> Any:
        """One request about this run; a refusal becomes a notice, a dead worker the lost state, a full server a place in line."""
        if self.run is None:
            return None
        try:
            if not self.wanted or call not in WAITS:
                return getattr(engine(), call)(self.run, *args, **kwargs)
            self.wanted.append((call, args, kwargs))  # behind what waits already
            return []
        except Full as full:
            if not full.position or call not in WAITS:
                self.notices.append(full)
                return None
            self.waiting = full
            self.wanted.append((call, args, kwargs))
            return []
        except WorkerLost:
            self.lost = True
        except EngineError as error:
            self.notices.append(error)
        return None


def owner() -> str:
    """This session's token with the engine: all its runs share one part of the CPU, and it holds the place in line."""
    return st.session_state.setdefault(OWNER, secrets.token_urlsafe(16))


@st.cache_resource(scope="session", show_spinner=False, on_release=lambda run: engine().release(run))
def lease(run: str) -> str:
    """Ties a run to the browser session: when the session ends, the run is released (not destroyed: a blip ends sessions too)."""
    return run


def current() -> LabRun:
    """The session's run; the first call makes it from the link that opened the page."""
    if STATE not in st.session_state:
        st.session_state[STATE] = from_link(LabRun, *decode(st.query_params.to_dict(), _))
    return st.session_state[STATE]


def from_link(kind: type[Run], config: RunConfig, problems: list[Problem]) -> Run:
    """A session's run with these settings, or the very run that the page's address names."""
    run = run_of(st.query_params.to_dict())
    if run is None:
        return kind(config=config, problems=problems)
    if not is_id(run):
        return kind(config=config, problems=problems, notices=[_GONE])
    lease(run)
    found = kind(config=config, run=run, shared=run not in remembered().runs)
    if found.shared:
        remembered().keep(run, own=False)
    return found


def write_link(run: LabRun | None = None) -> None:
    """Keep the address bar in step: the run's id, so that a reload finds it, and its settings."""
    run = run or current()
    params = encode(run.config, language(), run.run if run.kept else None)
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)

"""The session's run, one at a time: its knobs, whose it is, and the link that opens it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import streamlit as st

from moe_viz.engine.protocol import Continuation, Engine, UnknownRun, Update
from moe_viz.spec import RunConfig, change, changed, kind_of, needs_restart, plain
from moe_viz.spec.chosen import Chosen, side_changes, turned_along
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session import address
from moe_viz.ui.session.permalink import Problem, decode, encode, is_of_others, run_of
from moe_viz.ui.session.run_cookie import is_id, remembered
from moe_viz.ui.session.watched import GONE, Notice, Watched, lease
from moe_viz.ui.words import show

STATE = "lab_run"
FLASH_S = 3.0
"""How long a knob that another one has turned along is marked."""
Run = TypeVar("Run", bound="SessionRun")
Read = Callable[[Mapping[str, str]], tuple[RunConfig, list[Problem]]]


@dataclass
class SessionRun(Watched[Update]):
    """One reader's run. run_id: None until the engine has opened it; seen: the page has painted once.

    problems: what of a link could not be used;  shared: it was opened by a link that somebody else may have, too.
    """

    config: RunConfig
    run_id: str | None = None
    problems: list[Problem] = field(default_factory=list)
    seen: bool = False
    continuation: Continuation | None = None
    shared: bool = False
    chosen: Chosen = field(default_factory=Chosen)
    charted: tuple[float, str | None, Update] | None = None
    """When the charts were last made, for which run, and from what (see `widgets.charts.for_charts`)."""
    along: tuple[float, list[str], int] = (0.0, [], 0)
    """When a switch last turned other knobs along, which, and how often that has been (see `turned_along`)."""
    kept: ClassVar[bool] = True

    @property
    def first_run_id(self) -> str | None:
        return self.run_id

    @property
    def beginning(self) -> tuple[str | None, int]:
        """Which run this is, and which (re)start of it: what a page keeps beside it is kept for this (see `page_state.of_run`)."""
        return self.run_id, -1 if self.latest is None else self.latest.epoch

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_id = engine.open(self.config, playing=self.playing, owner=owner)
        self.shared = False

    def read(self, engine: Engine) -> Update:
        update = engine.read(self.open_id)
        if kind_of(update.snapshot.config) is not RunConfig:
            raise UnknownRun(_OTHER_KIND, elsewhere=True)
        return update

    def notices_of(self, look: Update) -> list[Notice]:
        return list(look.notices)

    def apply(self, look: Update) -> None:
        """Take over what the run has: a link's settings may be older, and others may have turned its knobs."""
        if look.playing != self.playing:
            self.playing, self.changed = look.playing, True
        shown = look.snapshot
        if shown.state != "failed" and shown.config != self.config.flat():
            self.config, self.changed, self.chosen = RunConfig.from_flat(shown.config), True, Chosen()

    def forget(self) -> None:
        self.run_id, self.shared, self.continuation, self.charted = None, False, None, None

    def choose_cheaper(self) -> bool:
        """What a link asks for may be too much; then it is the plain run of its task and gate."""
        plainer = RunConfig(task=self.config.task.name, router=self.config.router.name)
        is_cheaper = plainer != self.config
        self.config = plainer
        return is_cheaper

    def turn(self, **knobs: Any) -> None:
        """Turn knobs: the config first (it validates), then the running model. A knob that either refuses stays where it was."""
        asked = knobs
        try:
            knobs = self.chosen.recall(self.config, asked)
            wanted = change(self.config, **knobs)
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        if self.run_id is not None:
            notices = self.ask(lambda engine: engine.set(self.open_id, **knobs), waits=[])
            if notices is None:
                return
            self.notices.extend(notices)
        self.chosen.learn(self.config, asked)
        if more := side_changes(self.config, wanted, asked, show):
            self.notices.append(more)
            self.along = time.monotonic(), turned_along(self.config, wanted, asked), self.along[2] + 1
        if needs_restart(self.config, wanted):
            self.layer = min(self.layer, wanted.n_layers - 1)
        with self.lock:
            self.n_actions += 1
            self.config, self.refused = wanted, None

    def turned_along(self) -> tuple[list[str], int]:
        """The knobs that a switch of the gate has just turned along, none after a while; and how many such switches there have been."""
        since, words, turns = self.along
        return words if time.monotonic() - since < FLASH_S else [], turns

    def become_own_copy(self) -> None:
        """Go on with a copy of this run, which nobody else has."""
        copy = self.ask(lambda engine: engine.copy(self.open_id))
        if copy is None:
            return
        lease(copy)
        remembered().keep(copy, own=True)
        self.forget()
        self.run_id, self.latest = copy, None
        self.play(self.playing)

    def accept_sharing(self) -> None:
        """The reader knows that others have this run."""
        self.shared = False


def current() -> SessionRun:
    """The session's run; the first call makes it from the link that opened the page."""
    return session_run(STATE, SessionRun, _read_lab)


def existing() -> SessionRun | None:
    """The session's run where it has one already; none is made."""
    return st.session_state.get(STATE)


def arrive() -> SessionRun:
    """The session's run for a page that begins to be drawn: after Back or Forward it is as the address says (see `follow`)."""
    return follow(STATE, SessionRun, _read_lab)


def _read_lab(params: Mapping[str, str]) -> tuple[RunConfig, list[Problem]]:
    return decode(params, _)


def session_run(state: str, kind: type[Run], read: Read) -> Run:
    """The session's run that is kept under `state`; the first call makes it, as the page's address says.

    read: the settings that an address asks for, and what of it could not be used.
    """
    if state not in st.session_state:
        params = address.read()
        st.session_state[state] = from_link(kind, read, {} if is_of_others(params) else params)
    return st.session_state[state]


def follow(state: str, kind: type[Run], read: Read) -> Run:
    """The same; where the reader went Back or Forward, it has the settings of the address, or is the very run that this names."""
    run, params = session_run(state, kind, read), address.gone_to()
    if params is None:
        return run
    if run_of(params) not in (None, run.run_id):
        st.session_state[state] = from_link(kind, read, params)
    elif knobs := difference(run.config, read(params)[0]):
        run.turn(**knobs)
    return st.session_state[state]


def difference(old: RunConfig, new: RunConfig) -> dict[str, Any]:
    """The knobs that lead from one config to another: all of the router's where that is another one, every one for another task."""
    words = changed(old, new)
    if "task" in words:
        return new.flat()
    if "router" in words:
        words |= type(new.router).model_fields.keys() - {"name"}
    return {word: value for word, value in new.flat().items() if word in words}


def from_link(kind: type[Run], read: Read, params: Mapping[str, str]) -> Run:
    """A session's run with the settings of a link, or the very run that it names."""
    (config, problems), run_id = read(params), run_of(params)
    if run_id is None:
        return kind(config=config, problems=problems)
    if not is_id(run_id):
        return kind(config=config, problems=problems, notices=[GONE])
    lease(run_id)
    run = kind(config=config, run_id=run_id, shared=run_id not in remembered().runs)
    if run.shared:
        remembered().keep(run_id, own=False)
    return run


def write_link(run: SessionRun | None = None, **place: Any) -> None:
    """Keep the address bar in step: the run's id, so that a reload finds it, and its settings. place: where the reader stands (see `PLACE`)."""
    run = run or current()
    address.write(encode(run.config, language(), run.run_id, **place))


def place_to_go(run: SessionRun, begins: bool) -> dict[str, str] | None:
    """The words of the address where it says where on the page the reader stands: after Back or Forward, and as a session begins
    (`begins`) with a link to this very run. None else: then the reader stands where the session left off."""
    params = address.gone_to() or (address.read() if begins else {})
    return params if run_of(params) == run.run_id else None


_OTHER_KIND = N_(
    "This link names the fit of a mixture, which pages of “Origins” show. A run of the lab begins instead."
)

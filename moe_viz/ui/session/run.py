"""The session's run, one at a time: its knobs, whose it is, and the link that opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import streamlit as st

from moe_viz.engine.protocol import Continuation, Engine, Update
from moe_viz.spec import RunConfig, change, needs_restart, plain
from moe_viz.spec.chosen import Chosen, besides
from moe_viz.ui.session.permalink import Problem, decode, encode, run_of
from moe_viz.ui.session.run_cookie import is_id, remembered
from moe_viz.ui.session.watched import GONE, Notice, Watched, lease
from moe_viz.ui.widgets.i18n import _, language
from moe_viz.ui.widgets.knobs import show

STATE = "lab_run"
Run = TypeVar("Run", bound="SessionRun")


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
    kept: ClassVar[bool] = True

    @property
    def first(self) -> str | None:
        return self.run_id

    @property
    def beginning(self) -> tuple[str | None, int]:
        """Which run this is, and which (re)start of it: what a page keeps beside it is kept for this (see `page_state.of_run`)."""
        return self.run_id, -1 if self.latest is None else self.latest.epoch

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_id = engine.open(self.config, playing=self.playing, owner=owner)
        self.shared = False

    def read(self, engine: Engine) -> Update:
        return engine.read(self.run_id)

    def told(self, look: Update) -> list[Notice]:
        return list(look.notices)

    def take(self, look: Update) -> None:
        """Take over what the run has: a link's settings may be older, and others may have turned its knobs."""
        if look.playing != self.playing:
            self.playing, self.changed = look.playing, True
        shown = look.snapshot
        if shown.state != "failed" and shown.config != self.config.flat():
            self.config, self.changed, self.chosen = RunConfig.from_flat(shown.config), True, Chosen()

    def forget(self) -> None:
        self.run_id, self.shared, self.continuation, self.charted = None, False, None, None

    def cheaper(self) -> bool:
        """What a link asks for may be too much; then it is the plain run of its task and gate."""
        plainer = RunConfig(task=self.config.task.name, router=self.config.router.name)
        found = plainer != self.config
        self.config = plainer
        return found

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
            said = self.ask(lambda engine: engine.set(self.run_id, **knobs), waits=[])
            if said is None:
                return
            self.notices.extend(said)
        self.chosen.learn(self.config, asked)
        if more := besides(self.config, wanted, asked, show):
            self.notices.append(more)
        if needs_restart(self.config, wanted):
            self.layer = min(self.layer, wanted.n_layers - 1)
        with self.brief:
            self.asked += 1
            self.config, self.refused = wanted, None

    def become_own_copy(self) -> None:
        """Go on with a copy of this run, which nobody else has."""
        copy = self.ask(lambda engine: engine.copy(self.run_id))
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
    if STATE not in st.session_state:
        st.session_state[STATE] = from_link(SessionRun, *decode(st.query_params.to_dict(), _))
    return st.session_state[STATE]


def from_link(kind: type[Run], config: RunConfig, problems: list[Problem]) -> Run:
    """A session's run with these settings, or the very run that the page's address names."""
    run_id = run_of(st.query_params.to_dict())
    if run_id is None:
        return kind(config=config, problems=problems)
    if not is_id(run_id):
        return kind(config=config, problems=problems, notices=[GONE])
    lease(run_id)
    run = kind(config=config, run_id=run_id, shared=run_id not in remembered().runs)
    if run.shared:
        remembered().keep(run_id, own=False)
    return run


def write_link(run: SessionRun | None = None) -> None:
    """Keep the address bar in step: the run's id, so that a reload finds it, and its settings."""
    run = run or current()
    params = encode(run.config, language(), run.run_id if run.kept else None)
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)

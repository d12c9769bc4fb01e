"""The session's run: what the page knows of it, and what the reader's actions do to it.

A page holds one `LabRun` in the session state. The training process belongs to the server (`engine()`), the run to whoever
holds its id; the page renews its lease by reading and releases it when the session ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.cost import TooCostly
from moe_viz.engine.protocol import Continuation, EngineError, Update, WorkerLost
from moe_viz.spec import RunConfig, change, needs_restart, plain
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.i18n import _, is_ours, language
from moe_viz.ui.inert import inert
from moe_viz.ui.permalink import Problem, decode, encode

STATE = "lab_run"
LONGEST_SENTENCE = 500
"""Characters of a refusal that are shown."""


@dataclass
class LabRun:
    """One reader's run. `run` is None until the engine has opened it; `lost`: the training process died; `seen`: the page has painted once."""

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

    def poll(self) -> Update | None:
        """The newest update, or None while the training process is still starting or is gone. Opens the run when it can."""
        if self.lost:
            return None
        try:
            if not engine().ready():
                return None
            if self.run is None:
                self.run = _open(self.config, self.playing)
            self.latest = engine().read(self.run)
        except WorkerLost:
            self.lost = True
            return None
        except TooCostly as error:  # what a link asks for; the next look opens what this server can run
            self.notices.append(error)
            self.config = RunConfig(task=self.config.task.name, router=self.config.router.name)
            return None
        except EngineError as error:
            self.notices.append(error)
            return None
        self.playing = self.latest.playing
        self.notices.extend(self.latest.notices)
        return self.latest

    def turn(self, **knobs: Any) -> None:
        """Turn knobs: the config first (it validates), then the running model. A knob that either refuses stays where it was."""
        try:
            wanted = change(self.config, **knobs)
        except ValueError as error:
            self.notices.append(plain(error))
            return
        if self.run is not None:
            said = self._ask("set", **knobs)
            if said is None:
                return
            self.notices.extend(said)
        if needs_restart(self.config, wanted):
            self.layer = min(self.layer, wanted.n_layers - 1)
        self.config = wanted

    def toggle(self) -> None:
        self.playing = not self.playing
        self._ask("play", self.playing)

    def step_once(self) -> None:
        self.playing = False
        self._ask("play", False)
        self._ask("step_once")

    def reset(self) -> None:
        self._ask("reset")

    def resume(self) -> None:
        """Start the training process again and continue from the last checkpoint."""
        try:
            if self.run is None:
                self.run = _open(self.config, self.playing)
            else:
                engine().resume(self.run)
            self.lost = False
        except EngineError as error:
            self.notices.append(error)

    def _ask(self, call: str, *args: Any, **kwargs: Any) -> Any:
        """One request about this run; a refusal becomes a notice, a dead worker the lost state."""
        if self.run is None:
            return None
        try:
            return getattr(engine(), call)(self.run, *args, **kwargs)
        except WorkerLost:
            self.lost = True
        except EngineError as error:
            self.notices.append(error)
        return None


def _open(config: RunConfig, playing: bool) -> str:
    run = engine().open(config, playing=playing)
    lease(run)
    return run


@st.cache_resource(scope="session", show_spinner=False, on_release=lambda run: engine().release(run))
def lease(run: str) -> str:
    """Ties a run to the browser session: when the session ends, the run is released (not destroyed: a blip ends sessions too)."""
    return run


def current() -> LabRun:
    """The session's run; the first call makes it from the link that opened the page."""
    if STATE not in st.session_state:
        config, found = decode(st.query_params.to_dict())
        st.session_state[STATE] = LabRun(config=config, problems=found)
    return st.session_state[STATE]


def write_link() -> None:
    """Keep the address bar in step with the config, so that the page's address is always its permalink."""
    params = encode(current().config, language())
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)


def in_words(said: EngineError | Sentence | str) -> str:
    """What the engine said as Markdown in the reader's language: errors and sentences carry a template and its values.

    Only a template with values is ours alone; everything else may hold what somebody typed, so nothing in it is interpreted.
    """
    values = getattr(said, "values", None)
    if values:
        shown = {name: inert(value) if isinstance(value, str) else value for name, value in values.items()}
        return _(said.template).format(**shown)
    text = getattr(said, "template", None) or str(said)
    return _(text) if is_ours(text) else inert(text, LONGEST_SENTENCE)

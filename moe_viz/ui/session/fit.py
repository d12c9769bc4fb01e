"""The fit of a classical mixture that a page of *Origins* watches: its knobs, the iteration that is looked at, and the link that opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from moe_viz.components.mixture import asked_moment, asked_points
from moe_viz.engine.protocol import Engine, Update
from moe_viz.records.mixture import MixturePicture
from moe_viz.spec import MixtureConfig, change, changed, config_of, needs_restart, plain
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session import address
from moe_viz.ui.session.permalink import Problem, decode_mixture, encode, run_of
from moe_viz.ui.session.run_cookie import is_id, remembered
from moe_viz.ui.session.watched import GONE, Notice, Watched, lease

F = TypeVar("F", bound="FitRun")


@dataclass
class FitRun(Watched[Update]):
    """One reader's fit. at: the iteration that is looked at (None: the newest);  picture: what is seen of it;  problems: what of a link could not be used.

    sent: the last stamps that the picture sent, so that each wish is done once.
    """

    config: MixtureConfig
    run_id: str | None = None
    problems: list[Problem] = field(default_factory=list)
    shared: bool = False
    at: int | None = None
    picture: MixturePicture | None = None
    sent: dict[str, float] = field(default_factory=dict)
    charted: tuple[float, str | None, Update] | None = None

    @property
    def first_run_id(self) -> str | None:
        return self.run_id

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_id = engine.open(self.config, playing=self.playing, owner=owner)
        self.shared = False
        remembered().know_group(self.run_id)

    def read(self, engine: Engine) -> Update:
        """The newest moment; `picture` is of the iteration that is looked at."""
        update = engine.read(self.open_id)
        self.picture = update.snapshot.extras.get("mixture")
        if self.at is not None and self.at < update.snapshot.step:
            self.picture = engine.mixture(self.open_id, self.at)
        return update

    def notices_of(self, look: Update) -> list[Notice]:
        return list(look.notices)

    def apply(self, look: Update) -> None:
        """Take over what the run has: others may have turned its knobs, or it has come to its end."""
        if look.playing != self.playing:
            self.playing, self.changed = look.playing, True
        config = config_of(look.snapshot.config)
        if isinstance(config, MixtureConfig) and config != self.config:
            self.config, self.changed = config, True

    def forget(self) -> None:
        self.run_id, self.shared, self.at, self.picture, self.charted = None, False, None, None, None

    def become_own_copy(self) -> None:
        """Begin a fit with the same settings that nobody else has."""
        with self.lock:
            self.forget()
            self.latest = None

    def accept_sharing(self) -> None:
        """The reader knows that others have this fit."""
        self.shared = False

    @property
    def at_rest(self) -> bool:
        """Whether the fit has come to its end and waits."""
        return self.latest is not None and bool(self.latest.snapshot.extras.get("at_rest"))

    def toggle(self) -> None:
        """Play and pause; a fit that has come to its end is played again from its start."""
        self.at = None
        if self.at_rest:
            self.reset()
            self.play(True)
        else:
            super().toggle()

    def reset(self) -> None:
        self.at = None
        super().reset()

    def step_once(self) -> None:
        self.at = None
        super().step_once()

    def turn(self, **knobs: Any) -> None:
        """Turn knobs: the config first (it validates), then the fit. One that has to begin again plays at once."""
        try:
            wanted = change(self.config, **knobs)
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        if not changed(self.config, wanted):
            return
        if self.run_id is not None and self.ask(lambda engine: engine.set(self.open_id, **knobs), waits=[]) is None:
            return
        begins = bool(needs_restart(self.config, wanted))
        with self.lock:
            self.n_actions += 1
            self.config, self.refused, self.at = wanted, None, None
        if begins or not self.playing:
            self.play(True)

    def take_wishes(self, key: str) -> None:
        """Do what the reader has done in the picture `key` since the last look: points moved or painted, an iteration gone back to."""
        moment = asked_moment(key)
        if moment is not None and self.sent.get("at") != moment[1]:
            self.sent["at"] = moment[1]
            self.at = moment[0]
        try:
            painted = asked_points(key)
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        if painted is None or self.sent.get("points") == painted[1]:
            return
        self.sent["points"] = painted[1]
        if painted[0] != self.config.points:
            self.turn(points=painted[0])
            st.rerun()  # the whole page: its address tells of the painted points, too


def fit_run(state: str, kind: type[F], read: Callable[[Mapping[str, str]], F]) -> F:
    """The session's fit that is kept under `state`; the first call makes it, as the page's address says."""
    if state not in st.session_state:
        st.session_state[state] = read(address.read())
    return st.session_state[state]


def follow(state: str, kind: type[F], read: Callable[[Mapping[str, str]], F]) -> F:
    """The same for a page that begins to be drawn: after Back or Forward it is as the address says."""
    run, params = fit_run(state, kind, read), address.gone_to()
    if params is None:
        return run
    wanted = read(params)
    if wanted.run_id not in (None, run.run_id):
        run.leave()
        st.session_state[state] = wanted
    elif words := changed(run.config, wanted.config):
        flat = wanted.config.flat()
        run.turn(**{word: flat[word] for word in words})
    return st.session_state[state]


def from_address(params: Mapping[str, str], kind: type[F], start: MixtureConfig) -> F:
    """The fit that an address asks for, or the very one that it names; `start` where it says nothing."""
    if MixtureConfig.SOURCE not in params:
        return kind(config=start)
    config, problems = decode_mixture(params, start, _)
    run_id = run_of(params)
    if run_id is None:
        return kind(config=config, problems=problems)
    if not is_id(run_id):
        return kind(config=config, problems=problems, notices=[GONE])
    lease(run_id)
    run = kind(config=config, run_id=run_id, problems=problems, shared=run_id not in remembered().groups)
    remembered().know_group(run_id)
    return run


def address_of(run: FitRun) -> dict[str, str]:
    """The words of the address that brings this back."""
    return encode(run.config, language(), run.run_id)

"""The run behind the page "Collapse and rescue": which acts were played on it, at which step, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import ClassVar

import pandas as pd
import streamlit as st

from moe_viz.engine.protocol import Engine, Update
from moe_viz.lessons.scenes import SCENES, Act, Scene, Watch
from moe_viz.spec import RunConfig, change
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session import address
from moe_viz.ui.session.permalink import decode, encode, run_of
from moe_viz.ui.session.run import SessionRun, difference
from moe_viz.ui.session.run_cookie import is_id, remembered
from moe_viz.ui.session.watched import lease

STATE = "scene_run"
MOST_ACTS = 20
SPEED = 10.0
"""Steps per second at the start: a collapse takes a few seconds instead of a tenth of one."""


@dataclass
class Entry:
    """An act as it was played. `needed`: it met a run that was not healthy (otherwise there was nothing to rescue)."""

    watch: Watch
    needed: bool

    @property
    def act(self) -> Act:
        return self.watch.act


@dataclass
class SceneRun(SessionRun):
    """A run that is told as a story. `log` holds the acts since the last restart, oldest first; only the newest is still measured."""

    scene: Scene = SCENES["clusters"]
    buffers: bool = False
    seed: int = 0
    log: list[Entry] = field(default_factory=list)
    opening: Act | None = None
    """The act with which the run begins once the training process is there."""
    recalled: list[tuple[Act, int, int]] = field(default_factory=list)
    """Acts that were played on the run before this page: each with the epoch and the step at which it began."""
    _seen: tuple[int, int] | None = None
    kept: ClassVar[bool] = False

    def begin(self, engine: Engine, owner: str) -> None:
        super().begin(engine, owner)
        if self.run_id is not None:
            remembered().know_group(self.run_id)

    def become_own_copy(self) -> None:
        """Begin the story anew on a run that nobody else has; that of the link stays to the others."""
        with self.lock:
            self.forget()
            self.latest = None

    def read(self, engine: Engine) -> Update:
        """The newest picture, and every row since the last look, by which the newest act is measured."""
        if self.recalled:
            self._recall(engine)
        newest = engine.read(self.open_id)
        since = engine.read(self.open_id, self._seen)
        rows = _until(since.history, newest)
        if len(rows):
            self._seen = (int(rows["epoch"].iloc[-1]), int(rows["step"].iloc[-1]))
        if self.opening is not None:
            self._note(self.opening, newest.epoch, newest.snapshot.step)
            self.opening = None
        if self.log:
            self.log[-1].watch.feed(rows)
        return replace(newest, notices=[*newest.notices, *since.notices])

    def forget(self) -> None:
        """A run that takes this one's place begins the story anew."""
        super().forget()
        self.log.clear()
        self.recalled.clear()
        self._seen, self.config, self.opening = None, self._begins(self.scene.healthy), self.scene.healthy

    def play_act(self, act: Act) -> None:
        """Turn the act's knobs at one exact step and let the run go on."""
        if self.run_id is None:
            self.playing, self.config, self.opening = True, self._begins(act), act
            return
        self.play(False)
        if act.restart:
            self.turn(**difference(self.config, self._begins(act)))
            self.reset()
            self.log.clear()
        else:
            self.turn(**act.knobs)
        if (update := self.ask(lambda engine: engine.read(self.open_id))) is not None:
            self.notices.extend(self.notices_of(update))
            self._note(act, update.epoch, update.snapshot.step)
        self.play(True)

    def choose(self, scene: str, buffers: bool, seed: int) -> None:
        """Another scene or seed begins anew; buffers are set in the running model and in whatever begins later."""
        anew = scene != self.scene.name or seed != self.seed
        self.scene, self.buffers, self.seed = SCENES[scene], buffers, seed
        if anew:
            self.leave()
            self.layer, self.playing = 0, True
            return
        target = self._begins(self.scene.healthy).flat()["capacity_factor"]
        if "capacity_factor" in self.config.flat() and self.config.router.name == self.scene.config["router"]:
            self.turn(capacity_factor=target)

    def offered(self) -> list[Act]:
        """The rescues that the present router can take."""
        return [act for act in self.scene.rescues if self._allows(act)]

    def _allows(self, act: Act) -> bool:
        try:
            change(self.config, **act.knobs)
        except ValueError:
            return False
        return True

    def _begins(self, act: Act) -> RunConfig:
        return self.scene.start(act, self.seed, self.buffers, speed=self.config.speed)

    def _recall(self, engine: Engine) -> None:
        """Measure again what was measured before, from the run's own history."""
        rows = engine.all_rows(self.open_id)
        ends = [(epoch, start) for _act, epoch, start in self.recalled[1:]]
        for (act, epoch, start), end in zip_longest(self.recalled, ends):
            self._note(act, epoch, start)
            past = rows if end is None else rows.loc[(rows["epoch"] < end[0]) | (rows["step"] <= end[1])]
            self.log[-1].watch.feed(past)
        self.recalled = []

    def _note(self, act: Act, epoch: int, step: int) -> None:
        before = self.log[-1].watch if self.log else None
        n_experts = self.config.n_experts
        needed = before is not None and before.troubled
        self.log.append(Entry(Watch(act, epoch, 0 if act.restart else step, n_experts), needed))


def _until(rows: pd.DataFrame, shown: Update) -> pd.DataFrame:
    """Of these rows those that are no newer than the picture: what is said of it must not run ahead of it."""
    epochs, now = rows["epoch"], shown.snapshot.step
    return rows.loc[(epochs < shown.epoch) | ((epochs == shown.epoch) & (rows["step"] <= now))]


def scene_run() -> SceneRun:
    """The session's run of this page; the first call makes it, as the page's address says."""
    if STATE not in st.session_state:
        st.session_state[STATE] = from_address(address.read())
    return st.session_state[STATE]


def arrive() -> SceneRun:
    """The same for a page that begins to be drawn: after Back or Forward it is as the address says.

    An act cannot be unplayed: the one before it is played again.
    """
    run, params = scene_run(), address.gone_to()
    if params is None:
        return run
    wanted = from_address(params)
    if wanted.scene != run.scene or wanted.run_id not in (None, run.run_id):
        run.leave()
        st.session_state[STATE] = wanted
    elif wanted.recalled and [act for act, _epoch, _start in wanted.recalled[-1:]] != [
        entry.act for entry in run.log[-1:]
    ]:
        run.buffers = wanted.buffers
        run.play_act(wanted.recalled[-1][0])
    else:
        run.buffers = wanted.buffers
        run.turn(**difference(run.config, wanted.config))
    return st.session_state[STATE]


def from_address(params: Mapping[str, str]) -> SceneRun:
    """The story that an address asks for, from its beginning, or the very run that it names with the acts played on it."""
    scene, buffers = SCENES.get(params.get("scene", ""), SCENES["clusters"]), params.get("buffers") == "1"
    if "scene" not in params:
        return SceneRun(config=scene.start(scene.healthy, speed=SPEED), opening=scene.healthy)
    config, problems = decode(params, _)
    run_id, acts = run_of(params), _acts(scene, params.get("acts", ""))
    if run_id is not None and is_id(run_id) and acts:
        lease(run_id)
        run = SceneRun(config, run_id, scene=scene, buffers=buffers, seed=config.seed, recalled=acts)
        run.shared = run_id not in remembered().groups
        remembered().know_group(run_id)
        return run
    run = SceneRun(config, problems=problems, scene=scene, buffers=buffers, seed=config.seed, opening=scene.healthy)
    run.forget()
    return run


def address_of(run: SceneRun) -> dict[str, str]:
    """The words of the address that brings this back."""
    acts = [f"{entry.act.name}-{entry.watch.epoch}-{entry.watch.start}" for entry in run.log[-MOST_ACTS:]]
    own = {"scene": run.scene.name, "buffers": run.buffers, "acts": ".".join(acts)}
    return encode(run.config, language(), run.run_id, **own)


def _acts(scene: Scene, text: str) -> list[tuple[Act, int, int]]:
    known = {act.name: act for act in (scene.healthy, scene.collapse, *scene.rescues)}
    parts = (part.rsplit("-", 2) for part in text.split(".")[:MOST_ACTS])
    return [
        (known[part[0]], int(part[1]), int(part[2]))
        for part in parts
        if len(part) == 3 and part[0] in known and all(number.isdecimal() for number in part[1:])
    ]

"""The run behind the page "Collapse and rescue": which acts were played on it, at which step, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import streamlit as st

from moe_viz.engine.protocol import Engine, Update
from moe_viz.lessons.scenes import SCENES, Act, Scene, Watch
from moe_viz.records.metrics import is_rescued
from moe_viz.spec import RunConfig, change, changed
from moe_viz.ui.session.run import SessionRun

STATE = "scene_run"
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
    _seen: tuple[int, int] | None = None
    kept: ClassVar[bool] = False

    def read(self, engine: Engine) -> Update:
        """The newest picture, and every row since the last look, by which the newest act is measured."""
        since = engine.read(self.run_id, self._seen)
        if len(since.history):
            self._seen = (int(since.history["epoch"].iloc[-1]), int(since.history["step"].iloc[-1]))
        newest = engine.read(self.run_id)
        if self.opening is not None:
            self._note(self.opening, newest)
            self.opening = None
        if self.log:
            self.log[-1].watch.feed(since.history)
        return replace(newest, notices=[*since.notices, *newest.notices])

    def forget(self) -> None:
        """A run that takes this one's place begins the story anew."""
        super().forget()
        self.log.clear()
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
        if (update := self.ask(lambda engine: engine.read(self.run_id))) is not None:
            self.notices.extend(self.told(update))
            self._note(act, update)
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

    def _note(self, act: Act, update: Update) -> None:
        before = self.log[-1].watch if self.log else None
        n_experts = self.config.n_experts
        needed = (
            before is not None and before.dead is not None and not is_rescued(before.dead, before.max_load, n_experts)
        )
        start = 0 if act.restart else update.snapshot.step
        self.log.append(Entry(Watch(act, update.epoch, start, n_experts), needed))


def difference(old: RunConfig, new: RunConfig) -> dict[str, Any]:
    """The knobs that lead from one config to another of the same task; all of the router's, where that is another one."""
    words = changed(old, new)
    if "router" in words:
        words |= type(new.router).model_fields.keys() - {"name"}
    return {word: value for word, value in new.flat().items() if word in words}


def scene_run() -> SceneRun:
    """The session's run of this page; the first call makes it."""
    if STATE not in st.session_state:
        scene = SCENES["clusters"]
        config = scene.start(scene.healthy, speed=SPEED)
        st.session_state[STATE] = SceneRun(config=config, opening=scene.healthy)
    return st.session_state[STATE]

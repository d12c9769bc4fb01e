"""Several routers on one task, in lock-step: the Gates page's runs, and what the reader's actions do to them.

One base config holds what they share (task, seed, experts, balance, speed, k, capacity); each router takes from it what it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import EngineError, Full, Update, WorkerLost
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig, change, changed, needs_restart, plain
from moe_viz.spec.describe import optional
from moe_viz.spec.routers import TokenChoice
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.session.run import lease, owner
from moe_viz.ui.widgets.i18n import _

STATE = "comparison"
MOST = 4
TRIALS = {"k": (1, 2), "capacity_factor": (None, 1.0)}
"""Router options that are shared -> two values that tell whether a router has them."""
FIRST = ("topk", "switch", "expert_choice", "deepseek_v3")


def config_of(router: str, base: RunConfig) -> RunConfig:
    """The shared config with another router: k and capacity are carried over where it means the same by them.

    Where capacity is itself the mean number of experts per token (expert choice), it is set to k, so that all run equally many experts.
    """
    config, options = change(base, router=router), ROUTER_OPTIONS[router]
    capacity = options.model_fields.get("capacity_factor")
    if capacity is None or issubclass(options, TokenChoice):
        return config
    return change(config, capacity_factor=capacity.default if optional(capacity) else float(base.router.k))


@dataclass
class Comparison:
    """One reader's comparison. `runs` is empty until the engine has opened them; `lost` says that the training process died."""

    base: RunConfig = field(default_factory=lambda: RunConfig(task="domains", router={"name": "topk", "k": 2}))
    routers: list[str] = field(default_factory=lambda: list(FIRST))
    runs: list[str] = field(default_factory=list)
    playing: bool = True
    lost: bool = False
    layer: int = 0
    latest: list[Update] = field(default_factory=list)
    notices: list[EngineError | Sentence | str] = field(default_factory=list)
    waiting: Full | None = None
    """The place in line, while the server is full."""

    @property
    def configs(self) -> list[RunConfig]:
        return [config_of(router, self.base) for router in self.routers]

    @property
    def leaks(self) -> list[bool]:
        """For each router whether it would look at the tokens it has to predict."""
        text = TASK_OPTIONS[self.base.task.name].causal
        return [text and not ROUTER_OPTIONS[router].facts.causal for router in self.routers]

    def offers(self, word: str) -> bool:
        """Whether turning this shared word changes any of the chosen routers."""
        if word not in TRIALS:
            return True
        one, other = (change(self.base, **{word: value}) for value in TRIALS[word])
        return any(config_of(router, one) != config_of(router, other) for router in self.routers)

    def poll(self) -> bool:
        """Read all runs at one moment; opens them when it can. False while the training process is starting or gone."""
        if not self.routers:
            return False
        try:
            if not self.runs and not self.lost:
                engine().revive()
            if not engine().ready():
                return False
            if not self.runs:
                self.runs = engine().open_group(self.configs, playing=self.playing, owner=owner())
                lease(self.runs[0])
            self.latest = engine().read_group(self.runs)
            self.waiting, self.lost = None, False  # whoever has brought the training process back
        except Full as full:
            self.waiting = full
            return False
        except WorkerLost:
            self.lost = True
            return False
        except EngineError as error:
            self.notices.append(error)
            return False
        for update in self.latest:
            self.notices.extend(update.notices)
        return True

    def turn(self, word: str, value: Any) -> None:
        """Turn a shared knob on every run; one that cannot be live starts them all again."""
        try:
            base = change(self.base, **{word: value})
            before, after = self.configs, [config_of(router, base) for router in self.routers]
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        self.base = base
        if any(needs_restart(old, new) for old, new in zip(before, after, strict=True)):
            self.start_anew()
        elif self.runs:
            # no step between the first run's knob and the last one's
            self._ask("play", self.runs[0], False)
            for run, old, new in zip(self.runs, before, after, strict=True):
                flat = new.flat()
                if words := changed(old, new):
                    self._ask("set", run, **{name: flat[name] for name in words})
            self._ask("play", self.runs[0], self.playing)

    def choose(self, routers: list[str]) -> None:
        """Compare other routers, from step 0: only runs that began together can be compared."""
        self.routers = routers[:MOST]
        self.start_anew()

    def start_anew(self) -> None:
        if self.runs:
            engine().release(self.runs[0])
        self.runs, self.latest, self.layer = [], [], 0

    def toggle(self) -> None:
        self.playing = not self.playing
        self._ask_first("play", self.playing)

    def step_once(self) -> None:
        self.playing = False
        self._ask_first("play", False)
        self._ask_first("step_once")

    def reset(self) -> None:
        self._ask_first("reset")

    def resume(self) -> None:
        """Start the training process again and continue from the last checkpoints."""
        try:
            engine().resume(self.runs[0])
            self.lost = False
        except EngineError as error:
            self.notices.append(error)

    def _ask_first(self, call: str, *args: Any) -> None:
        """A request that moves the whole group, whichever run is named."""
        if self.runs:
            self._ask(call, self.runs[0], *args)

    def _ask(self, call: str, *args: Any, **kwargs: Any) -> None:
        try:
            getattr(engine(), call)(*args, **kwargs)
        except WorkerLost:
            self.lost = True
        except EngineError as error:
            self.notices.append(error)


def comparison() -> Comparison:
    """The session's comparison, made on the first call."""
    if STATE not in st.session_state:
        st.session_state[STATE] = Comparison()
    return st.session_state[STATE]


def labels(routers: list[str]) -> list[str]:
    """The routers' titles in the reader's language."""
    return [_(ROUTER_OPTIONS[router].facts.title) for router in routers]

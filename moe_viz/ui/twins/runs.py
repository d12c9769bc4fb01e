"""Twin runs of one session: up to five pairs in one lock-step group, each pair with a seed of its own, all pairs with the same one knob different.

Until the first token of the first pair is routed differently the page drives the group step by step and looks after each, so that the
parting is exact; then the runs train freely.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from moe_viz.engine.protocol import Engine, Update
from moe_viz.records import twins
from moe_viz.spec import RunConfig, change
from moe_viz.ui.session.run import current
from moe_viz.ui.session.run_group import RunGroup

STATE = "twins"
MOST_PAIRS = 5
SAME_FOR_BOTH = ("task", "seed", "speed", "device", "n_layers", "batch_tokens", "tokenizer", "block")
"""Knobs that decide which data or layers there are: with another value there would be nothing to compare token by token."""
SEARCH_S = 0.6
"""Time for exact single steps between two drawings."""
SEARCH_STEPS = 200
"""Steps after which the search for the parting goes on only where the page looks anyway."""


@dataclass
class Twins(RunGroup):
    """One reader's pairs. `base` is the first twin, the second has `word` at `value`. run_ids: first and second of each pair in turn.

    parting: where the first pair was first routed differently; alike_until: the last step at which it was looked at and was not.
    trouble: why the two cannot be compared token by token.
    """

    base: RunConfig
    word: str = "balance_coef"
    value: Any = 0.0
    n_pairs: int = 3
    parting: twins.Parting | None = None
    alike_until: int | None = None
    trouble: str = ""

    @property
    def second(self) -> RunConfig:
        """The second twin's config. Raises ValueError where the knob cannot have the value."""
        return change(self.base, **{self.word: self.value})

    @property
    def identical(self) -> bool:
        return self.base.flat() == self.second.flat()

    @property
    def pairs(self) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        frames = [update.history for update in self.latest or ()]
        return list(zip(frames[::2], frames[1::2]))

    @property
    def searching(self) -> bool:
        """Whether the first pair has not parted yet and is still watched after every single step."""
        return (
            not self.identical and self.parting is None and (self.alike_until or 0) < SEARCH_STEPS and not self.trouble
        )

    def words(self) -> list[str]:
        """Knobs in which the twins may differ."""
        return [word for word in self.base.fields() if word not in SAME_FOR_BOTH]

    @property
    def configs(self) -> list[RunConfig]:
        configs = []
        for pair in range(self.n_pairs):
            seeded = {"seed": (self.base.seed + pair) % 2**31}
            configs += [change(self.base, **seeded), change(self.second, **seeded)]
        return configs

    def choose(self, **chosen: Any) -> None:
        """Another base, knob, value or number of pairs: the runs begin anew."""
        for name, value in chosen.items():
            setattr(self, name, value)
        self.leave()
        self.playing = True

    def forget(self) -> None:
        super().forget()
        self.parting, self.alike_until, self.trouble = None, None, ""

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_ids = engine.open_group(self.configs, playing=False, owner=owner)
        self._compare(engine.read_group(self.run_ids[:2]))
        if not self.searching:
            engine.play(self.first, self.playing)

    def read(self, engine: Engine) -> list[Update]:
        """Search for the parting where there is still something to search for, then look at all."""
        if self.playing and self.searching:
            self._search(engine)
        look = engine.read_group(self.run_ids)
        if self.parting is None and not self.trouble:
            self._compare(look[:2])
        return look

    def play(self, playing: bool) -> None:
        if self.searching:  # the page itself makes each step, so nothing has to be told to the engine
            self._set_playing(playing)
        else:
            super().play(playing)

    def agreement(self) -> tuple[list[int], np.ndarray]:
        """Share of the probe batch that the first pair sends to the same first expert, at the moments kept in both runs."""
        found = self.ask(lambda engine: [engine.first_choices(run_id, self.layer) for run_id in self.run_ids[:2]])
        if found is None:
            return [], np.empty(0)
        (steps, one), (others, two) = found
        common = sorted(set(steps) & set(others))
        if not common or one.shape[1:] != two.shape[1:]:
            return [], np.empty(0)
        rows = [steps.index(step) for step in common], [others.index(step) for step in common]
        return common, twins.agreement(one[rows[0]], two[rows[1]])

    def _search(self, engine: Engine) -> None:
        end = time.monotonic() + SEARCH_S
        while self.searching and time.monotonic() < end:
            engine.step_once(self.first)
            self._compare(engine.read_group(self.run_ids[:2]))
        if not self.searching:
            engine.play(self.first, True)

    def _compare(self, pair: list[Update]) -> None:
        one, two = (update.snapshot for update in pair)
        try:
            self.parting = twins.parting(one.traces, two.traces, since=self.alike_until)
        except ValueError as error:
            self.trouble = str(error)
            return
        if self.parting is None:
            self.alike_until = one.step


def lab_config() -> RunConfig:
    """What the lab's knobs say now, at full speed: the twins' own buttons start and stop them."""
    return change(current().config, speed="full")


def session_twins() -> Twins:
    """The session's twins, made on the first call from the lab's config."""
    if STATE not in st.session_state:
        found = Twins(lab_config())
        if found.identical:
            found.value = 0.1
        st.session_state[STATE] = found
    return st.session_state[STATE]

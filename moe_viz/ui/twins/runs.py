"""Twin runs of one session: up to five pairs in one lock-step group, each pair with a seed of its own, all pairs with the same one knob different.

Until the first token of the first pair is routed differently the page drives the group step by step and looks after each, so that the
parting is exact; then the runs train freely.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from moe_viz.engine.protocol import Engine, Update
from moe_viz.records import twins as maths
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig, change, plain
from moe_viz.spec.describe import read
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session import address
from moe_viz.ui.session.permalink import decode, encode, is_of_others
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
    recalls: bool = False
    """The runs are from before this page: where the first pair parted is still to be looked up."""
    parting: maths.Parting | None = None
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
        self.parting, self.alike_until, self.trouble, self.recalls = None, None, "", False

    def begin(self, engine: Engine, owner: str) -> None:
        self.run_ids = engine.open_group(self.configs, playing=False, owner=owner)
        self._compare(engine.read_group(self.run_ids[:2]))
        if not self.searching:
            engine.play(self.open_id, self.playing)

    def read(self, engine: Engine) -> list[Update]:
        """Search for the parting where there is still something to search for, then look at all."""
        if self.recalls:
            self._recall(engine)
        if self.playing and self.searching:
            self._search(engine)
        look = engine.read_group(self.run_ids)
        if self.parting is None and not self.trouble:
            self._compare(look[:2])
        return look

    def _recall(self, engine: Engine) -> None:
        """Where the first pair parted, by the moments that both have kept; a search that was going on goes on."""
        pair = engine.read_group(self.run_ids[:2])
        one, two = (
            {step for epoch, step in engine.keyframe_steps(run_id) if epoch == look.epoch}
            for run_id, look in zip(self.run_ids, pair)
        )
        for step in sorted(one & two) if not self.identical else ():
            first, second = (engine.keyframe(run_id, step, look.epoch) for run_id, look in zip(self.run_ids, pair))
            self._look(first, second, step)
            if self.parting is not None or self.trouble:
                break
        if self.parting is None and not self.trouble:
            self._compare(pair)
        self.recalls, self.playing = False, self.searching or pair[0].playing

    def apply(self, look: list[Update]) -> None:
        if not self.searching:  # meanwhile the page itself makes each step
            super().apply(look)

    def play(self, playing: bool) -> None:
        if self.searching:  # the page itself makes each step, so nothing has to be told to the engine
            self._set_playing(playing)
        else:
            super().play(playing)

    def agreement(self) -> tuple[list[int], np.ndarray]:
        """Share of the probe batch that the first pair sends to the same first expert, at the moments kept in both runs."""
        choices = self.ask(lambda engine: [engine.first_choices(run_id, self.layer) for run_id in self.run_ids[:2]])
        if choices is None:
            return [], np.empty(0)
        (steps, one), (others, two) = choices
        common = sorted(set(steps) & set(others))
        if not common or one.shape[1:] != two.shape[1:]:
            return [], np.empty(0)
        rows = [steps.index(step) for step in common], [others.index(step) for step in common]
        return common, maths.agreement(one[rows[0]], two[rows[1]])

    def _search(self, engine: Engine) -> None:
        end = time.monotonic() + SEARCH_S
        while self.searching and time.monotonic() < end:
            engine.step_once(self.open_id)
            self._compare(engine.read_group(self.run_ids[:2]))
        if not self.searching:
            engine.play(self.open_id, True)

    def _compare(self, pair: list[Update]) -> None:
        one, two = (update.snapshot for update in pair)
        self._look(one.traces, two.traces, one.step)

    def _look(self, one: list[RoutingTrace], two: list[RoutingTrace], step: int) -> None:
        try:
            self.parting = maths.parting(one, two, since=self.alike_until)
        except ValueError as error:
            self.trouble = str(error)
            return
        if self.parting is None:
            self.alike_until = step


def lab_config() -> RunConfig:
    """What the lab's knobs say now, at full speed: the twins' own buttons start and stop them."""
    return change(current().config, speed="full")


def session_twins() -> Twins:
    """The session's twins, made on the first call: as the page's address says, else from the lab's config."""
    if STATE not in st.session_state:
        st.session_state[STATE] = from_address(address.read())
    return st.session_state[STATE]


def arrive() -> Twins:
    """The same for a page that begins to be drawn: after Back or Forward they are as the address says, or the very runs that this names."""
    twins, params = session_twins(), address.gone_to()
    if params is None or (params == address_of(twins)):
        return twins
    twins.leave()
    st.session_state[STATE] = from_address(params)
    return st.session_state[STATE]


def from_address(params: Mapping[str, str]) -> Twins:
    """The twins that an address asks for; words that cannot be used are reported."""
    if not is_of_others(params):
        twins = Twins(lab_config())
        if twins.identical:
            twins.value = 0.1
        return twins
    base, problems = decode(params, _)
    twins = Twins(base, problems=problems)
    try:
        if (word := params.get("differs")) in twins.words():
            twins.value = change(base, **{word: read(params.get("second", ""))}).flat()[word]
            twins.word = word
        pairs = params.get("pairs", "")
        twins.n_pairs = int(pairs) if pairs in map(str, range(1, MOST_PAIRS + 1)) else twins.n_pairs
        twins.go_on_with(params)
    except ValueError as error:
        return Twins(base, value=base.flat()["balance_coef"], problems=problems, notices=[plain(error, _)])
    twins.recalls = bool(twins.run_ids)
    return twins


def address_of(twins: Twins) -> dict[str, str]:
    """The words of the address that brings these twins back."""
    own = {"differs": twins.word, "second": twins.value, "pairs": twins.n_pairs}
    return encode(twins.base, language(), twins.run_ids, **own)

"""Several routers on one task, in lock-step: the Gates page's runs, and what the reader's actions do to them.

One base config holds what they share (task, seed, experts, balance, speed, k, capacity); each router takes from it what it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from moe_viz.engine.protocol import Engine, Update
from moe_viz.spec import (
    ROUTER_OPTIONS,
    TASK_OPTIONS,
    Causality,
    RunConfig,
    causality_of,
    change,
    changed,
    needs_restart,
    plain,
)
from moe_viz.spec.describe import optional
from moe_viz.spec.routers import TokenChoice
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session import address
from moe_viz.ui.session.permalink import decode, encode
from moe_viz.ui.session.run import difference
from moe_viz.ui.session.run_group import RunGroup

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
class Comparison(RunGroup):
    """One reader's comparison: a run for each router, all from one shared config."""

    base: RunConfig = field(default_factory=lambda: RunConfig(task="domains", router={"name": "topk", "k": 2}))
    routers: list[str] = field(default_factory=lambda: list(FIRST))

    @property
    def configs(self) -> list[RunConfig]:
        return [config_of(router, self.base) for router in self.routers]

    @property
    def leaks(self) -> list[bool]:
        """For each router whether it would look at the tokens it has to predict."""
        return [not found for found in self.causality]

    @property
    def causality(self) -> list[Causality]:
        """Of each router as it is set here; all are causal where the task predicts no tokens."""
        text = TASK_OPTIONS[self.base.task.name].causal
        return [causality_of(config) if text else Causality() for config in self.configs]

    def offers(self, word: str) -> bool:
        """Whether turning this shared word changes any of the chosen routers."""
        if word not in TRIALS:
            return True
        one, other = (change(self.base, **{word: value}) for value in TRIALS[word])
        return any(config_of(router, one) != config_of(router, other) for router in self.routers)

    def poll(self) -> list[Update] | None:
        """As every `Watched`; nothing where no router is chosen."""
        return super().poll() if self.routers else None

    def turn(self, word: str, value: Any) -> None:
        """Turn a shared knob on every run; one that cannot be live starts them all again."""
        try:
            base = change(self.base, **{word: value})
            before, after = self.configs, [config_of(router, base) for router in self.routers]
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        self.base, self.refused = base, None
        if any(needs_restart(old, new) for old, new in zip(before, after, strict=True)):
            self.leave()
            return
        turned = [
            {name: new.flat()[name] for name in changed(old, new)} for old, new in zip(before, after, strict=True)
        ]
        self.ask(lambda engine: self._turn_all(engine, turned), waits=[])

    def _turn_all(self, engine: Engine, turned: list[dict[str, Any]]) -> list[Any]:
        """No step between the first run's knob and the last one's."""
        engine.play(self.open_id, False)
        try:
            for run_id, knobs in zip(self.run_ids, turned, strict=True):
                if knobs:
                    engine.set(run_id, **knobs)
        finally:
            engine.play(self.open_id, self.playing)
        return []

    def choose(self, routers: list[str]) -> None:
        """Compare other routers, from step 0: only runs that began together can be compared."""
        self.routers, self.layer = routers[:MOST], 0
        self.leave()


def session_comparison() -> Comparison:
    """The session's comparison, made on the first call, as the page's address says."""
    if STATE not in st.session_state:
        st.session_state[STATE] = from_address(address.read())
    return st.session_state[STATE]


def arrive() -> Comparison:
    """The same for a page that begins to be drawn: after Back or Forward it is as the address says, or the very runs that this names."""
    comparison, params = session_comparison(), address.gone_to()
    if params is None:
        return comparison
    wanted = from_address(params)
    if wanted.routers == comparison.routers and wanted.run_ids in ([], comparison.run_ids):
        for word, value in difference(comparison.base, wanted.base).items():
            comparison.turn(word, value)
        return comparison
    comparison.leave()
    st.session_state[STATE] = wanted
    return wanted


def from_address(params: dict[str, str]) -> Comparison:
    """The comparison that an address asks for; words that cannot be used are reported."""
    comparison = Comparison()
    if not params.keys() - {"lang"}:
        return comparison
    comparison.base, comparison.problems = decode(params | {"router": comparison.base.router.name}, _)
    named = [router for router in params.get("routers", "").split(".") if router in ROUTER_OPTIONS]
    comparison.routers = list(dict.fromkeys(named))[:MOST] or comparison.routers
    try:
        for word in TRIALS:
            comparison.offers(word)
        comparison.go_on_with(params)
    except ValueError as error:  # knobs that do not fit all of the routers, or that leave a shared one no choice
        return Comparison(notices=[plain(error, _)])
    return comparison


def write_address(comparison: Comparison, part: str) -> None:
    """Keep the address bar in step. part: of the page."""
    own = {"routers": ".".join(comparison.routers), "part": part}
    address.write(encode(comparison.base, language(), comparison.run_ids, **own))


def labels(routers: list[str]) -> list[str]:
    """The routers' titles in the reader's language."""
    return [_(ROUTER_OPTIONS[router].facts.title) for router in routers]


def first_sequence(update: Update, layer: int) -> int:
    """Tokens of the first sequence or image of the probe batch."""
    sequence = update.snapshot.traces[layer].sequence
    return int((sequence == sequence[0]).sum())

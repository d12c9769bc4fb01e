"""The guided scenes of collapse and rescue as data: a run, the knobs each act turns, and what must then be measured.

The page plays them and `benchmarks/scenes.py` counts over seeds how often each act keeps its word, both by the same `Watch`. What is
claimed here was measured; acts that often fail say so (`sure = False`), because that is what a learner should meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from moe_viz.records.metrics import WINDOW, is_collapsed, is_rescued
from moe_viz.spec import RunConfig, change
from moe_viz.spec.knobs import N_

Goal = Literal["healthy", "collapsed", "rescued"]
PATIENCE = 40
"""Steps after which a rescue that is not there is called too weak."""


@dataclass(frozen=True)
class Act:
    """One step of a story. knobs: what it turns;  restart: from step 0;  goal, within: what must be measured, and after how many steps.

    sure  False where it is shown because it often fails.
    """

    name: str
    title: str
    text: str
    knobs: dict[str, Any]
    goal: Goal
    within: int
    restart: bool = False
    sure: bool = True


@dataclass(frozen=True)
class Scene:
    """A story on one run: `config` (flat words) is its healthy start, `notes` what its measurements do not say of themselves."""

    name: str
    title: str
    config: dict[str, Any]
    healthy: Act
    collapse: Act
    rescues: tuple[Act, ...]
    notes: tuple[str, ...] = ()

    def start(self, act: Act, seed: int = 0, buffers: bool = False, **more: Any) -> RunConfig:
        """The run with which an act that restarts begins. buffers: capacity factor 1.25 instead of dropless."""
        config = RunConfig.from_flat(self.config | {"seed": seed} | ({"capacity_factor": BUFFERS} if buffers else {}))
        return change(config, **act.knobs, **more)


BUFFERS = 1.25
"""Capacity factor of the scenes "with buffers": the usual one of Switch."""


@dataclass
class Watch:
    """Measures an act while it runs: `feed` it the history's rows as they come.

    reached  steps until the goal was first met (healthy: never left within `within` steps);  lost  steps until it was lost again
    steps, dead, max_load, dropped  now: steps since the act; dead experts, largest load and share of routes dropped where they are highest among `layers`
    """

    act: Act
    epoch: int
    start: int
    n_experts: int
    reached: int | None = None
    lost: int | None = None
    steps: int = 0
    dead: int | None = None
    max_load: float | None = None
    dropped: float | None = None
    worst_dead: int = field(default=0)
    layers: int = 1

    def feed(self, rows: pd.DataFrame) -> None:
        """Rows with columns `epoch`, `step`, `dead_experts.<layer>`, `max_load.<layer>`, ...; those before the act are left out."""
        new = rows.loc[(rows["epoch"] == self.epoch) & (rows["step"] > self.start + self.steps)]
        for row in new.to_dict("records"):
            self._see(row)

    def _see(self, row: dict[Any, Any]) -> None:
        dead, load, dropped = (_worst(row, name) for name in ("dead_experts", "max_load", "drop_rate"))
        self.steps = int(row["step"]) - self.start
        self.layers = sum(column.startswith("max_load.") for column in row)
        if dead is None or load is None:
            return
        self.dead, self.max_load, self.dropped = int(dead), load, dropped
        if self.steps < WINDOW and self.act.goal != "rescued":
            return  # the window is not full yet: a few steps say little about who is dead
        self.worst_dead = max(self.worst_dead, self.dead)
        met = self._met(self.dead, load)
        if self.reached is None:
            if met:
                self.reached = self.steps
        elif self.lost is None and self._undone(self.dead, load):
            self.lost = self.steps

    def _met(self, dead: int, load: float) -> bool:
        if self.act.goal == "rescued":
            return is_rescued(dead, load, self.n_experts)
        collapsed = is_collapsed(self.worst_dead, self.n_experts)
        return collapsed if self.act.goal == "collapsed" else not collapsed and self.steps >= self.act.within

    def _undone(self, dead: int, load: float) -> bool:
        """Half the experts dead ends a rescue or a healthy run; a collapse ends with everybody alive."""
        if self.act.goal == "collapsed":
            return is_rescued(dead, load, self.n_experts)
        return is_collapsed(dead, self.n_experts)

    @property
    def troubled(self) -> bool:
        """There is something to rescue: an expert is dead, or has twice its fair share."""
        return (
            self.dead is not None
            and self.max_load is not None
            and not is_rescued(self.dead, self.max_load, self.n_experts)
        )

    @property
    def young(self) -> bool:
        """The run is so young that its moving window is not full: nothing is said of its experts yet."""
        return self.start + self.steps < WINDOW

    @property
    def kept(self) -> bool:
        """The goal was met in the time that the act promises."""
        return self.reached is not None and self.reached <= self.act.within

    @property
    def over(self) -> bool:
        """The promised time has passed."""
        return self.steps >= self.act.within


def _worst(row: dict[Any, Any], name: str) -> float | None:
    values = np.array([row[column] for column in row if column.startswith(name + ".")], float)
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def _rescues(bias: dict[str, Any]) -> tuple[Act, ...]:
    def rescue(name: str, title: str, text: str, sure: bool = True, **knobs: Any) -> Act:
        return Act(name, title, text, knobs, "rescued", PATIENCE, sure=sure)

    return (
        rescue("balance", N_("Balancing loss, weight 0.1"), N_("Charges the router for every bit of probability it gives to busy experts."), balance_coef=0.1),
        rescue("balance_weak", N_("Balancing loss, weight 0.01"), N_("The same term, ten times weaker: often too weak to beat what the task gradient wants."), sure=False, balance_coef=0.01),
        rescue("bias", N_("Loss-free bias (DeepSeek-V3), step 0.02"), N_("No loss at all: after each step a bias is raised for idle experts and lowered for busy ones."), **bias),
        rescue("z", N_("z-loss, weight 0.01"), N_("Keeps the router's scores small. It is for stability: it says nothing about balance."), sure=False, z_coef=0.01),
        rescue("noise", N_("Selection noise 1.0"), N_("Random numbers on the scores let idle experts win now and then. It delays a collapse; it does not prevent one."), sure=False, noise=1.0),
        rescue("expert_choice", N_("Another router: expert choice"), N_("Each expert takes its own equal number of tokens: balanced by construction."), router="expert_choice"),
        rescue("hash", N_("Another router: hash"), N_("A fixed table by token: nothing is learned, so nothing can collapse."), router="hash"),
        rescue("base", N_("Another router: BASE"), N_("Tokens are assigned so that all experts get equally many."), router="base"),
    )  # fmt: skip


_HEALTHY = N_(
    "No shared vector, no balancing loss. A missing balancing loss alone does not make routing collapse: with centred tokens most experts keep their share, though one or two may lie idle."
)
_COLLAPSE = N_(
    "One large direction is now common to all tokens, as in the uncentred hidden states of real networks. The router's first weights do not contain it: whatever collapse you see is learned."
)

POINTS = Scene(
    name="clusters",
    title=N_("Points: eight clusters"),
    config={"task": "clusters", "router": "switch", "balance_coef": 0.0, "shared_vector": 0.0, "grad_ledger": True},
    healthy=Act("healthy", N_("Without a shared vector"), _HEALTHY, {"shared_vector": 0.0}, "healthy", 60, restart=True),
    collapse=Act("collapse", N_("Shared vector up to 8"), _COLLAPSE, {"shared_vector": 8.0}, "collapsed", 60, restart=True),
    rescues=_rescues({"router": "deepseek_v3", "k": 1, "bias_step": 0.02}),
    notes=(
        N_("This layer has no residual path: a dropped token comes out as zero, which exaggerates the harm of dropping."),
    ),
)  # fmt: skip

TEXT = Scene(
    name="domains",
    title=N_("Text: four domains"),
    config={"task": "domains", "router": "topk", "k": 1, "balance_coef": 0.0, "shared_vector": 0.0, "grad_ledger": True},
    healthy=Act(
        "healthy",
        N_("No shared vector, balanced"),
        N_("No shared vector, balancing loss 0.1. Without that loss up to half of a layer's experts lie idle here for the first hundred steps even without a shared vector, and most then come back by themselves: another reason not to believe simple stories."),
        {"shared_vector": 0.0, "balance_coef": 0.1},
        "healthy",
        60,
        restart=True,
    ),
    collapse=Act(
        "collapse",
        N_("Shared vector up to 8, no balancing"),
        N_("A large direction common to all tokens is added to what the router sees, and the balancing loss is off. Half of a layer's experts or more die; who wins keeps changing, because this model's tokens change too."),
        {"shared_vector": 8.0, "balance_coef": 0.0},
        "collapsed",
        60,
        restart=True,
    ),
    rescues=_rescues({"router": "deepseek_v3", "k": 1, "bias_step": 0.02}),
    notes=(
        N_("Without a capacity limit this collapse hardly shows in the loss: one expert is as good as eight for a while. Look at load and drops."),
        N_("Dropped tokens pass the layer unchanged here: the model has a residual path."),
    ),
)  # fmt: skip

SCENES = {scene.name: scene for scene in (POINTS, TEXT)}
"""Task name -> scene."""

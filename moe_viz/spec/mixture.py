"""MixtureConfig: everything that defines the fit of a classical mixture of experts (1989-1995). Same config: same fit.

Its flat form has one word per knob, as that of `RunConfig`; a script, a link and a stored run tell the two kinds apart by the word `data`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from moe_viz.spec.config import Config
from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.points import MOST_POINTS, decode_points
from moe_viz.spec.sentence import Refused


@dataclass(frozen=True)
class Facts:
    """What a page says of a data set. x, y: the axes with their units;  source: whom to cite, "" where the points are drawn from the seed."""

    title: str
    x: str
    y: str
    source: str = ""


DATA: dict[str, Facts] = {
    "faithful": Facts(
        N_("Old Faithful: the next eruption"),
        N_("wait before the eruption (min)"),
        N_("duration of the eruption (min)"),
        N_("Azzalini & Bowman 1990; Härdle 1991"),
    ),
    "nile": Facts(
        N_("The Nile at Aswan, 1871–1970"),
        N_("year"),
        N_("volume of the year (10⁸ m³)"),
        N_("Cobb 1978"),
    ),
    "engel": Facts(
        N_("Engel's households: food and income"),
        N_("income (Belgian francs)"),
        N_("spent on food (francs)"),
        N_("Engel 1857; Koenker & Bassett 1982"),
    ),
    "pieces": Facts(N_("Three pieces of a line"), N_("x"), N_("y")),
    "clumps": Facts(N_("Two clumps"), N_("x (tells nothing)"), N_("y")),
    "sides": Facts(N_("Left below, right above"), N_("x"), N_("y")),
}  # fmt: skip
"""name -> what it is."""

CLIMBS = ("gradient", "adam", "ascent")
"""Methods that follow a gradient: the only ones that can lower an error with a fixed unit."""
OF_DISTANCES = ("constant_gaussian", "linear_gaussian")
"""Experts whose answer is the mean of what they expect, which the errors of squared distances need."""


class MixtureConfig(Config):
    """One fit."""

    kind: ClassVar[Literal["network", "mixture"]] = "mixture"
    SOURCE: ClassVar[str] = "data"

    data: Literal["faithful", "nile", "engel", "pieces", "clumps", "sides"] = Knob(
        "faithful", live=False, level="basic", title=N_("Data"), help=N_("What the experts are fitted to.")
    )
    points: str = Knob(
        "",
        live=True,
        max_length=4 * MOST_POINTS,
        title=N_("Own points"),
        help=N_("Points that the reader has moved or painted; they take the place of the data."),
    )
    n_experts: int = Knob(2, ge=1, le=16, live=False, title=N_("Experts"), help=N_("Number of experts."))
    expert: Literal["constant_gaussian", "linear_gaussian", "laplace", "student_t"] = Knob(
        "linear_gaussian", live=False, title=N_("Kind of expert"), help=N_("The density that each expert is.")
    )
    gate: Literal["softmax", "gaussian", "exponential"] = Knob(
        "softmax", live=False, title=N_("Kind of gate"), help=N_("How the experts' probabilities depend on x.")
    )
    tree: bool = Knob(
        False,
        live=False,
        title=N_("Tree"),
        help=N_("A tree of gates with two branches at each (the number of experts must be 2, 4, 8 or 16)."),
    )
    error: Literal["likelihood", "competitive", "localised", "cooperative"] = Knob(
        "likelihood",
        live=False,
        level="basic",
        title=N_("Error"),
        help=N_(
            "cooperative: of the blend. localised: of each expert, weighted by the gate. competitive: the paper's, with a fixed unit. likelihood: the same with a variance of each expert's own."
        ),
    )
    method: Literal["em", "hard_em", "gradient", "adam", "ascent"] = Knob(
        "em",
        live=False,
        level="basic",
        title=N_("Method"),
        help=N_("em, or with hard choices; gradient: L-BFGS with a line search; adam; ascent: plain gradient steps."),
    )
    sigma: float = Knob(
        0.3,
        ge=0.05,
        le=5,
        live=True,
        level="basic",
        stops=[0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0],
        title=N_("Unit σ"),
        help=N_(
            "How far an expert may miss before it counts as wrong, in standard deviations of y. Only the competitive error has it."
        ),
    )
    lr: float = Knob(
        0.03,
        gt=0,
        le=10,
        live=True,
        stops=[0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0],
        title=N_("Step size"),
        help=N_("Of adam and ascent."),
    )
    start: Literal["points", "mean"] = Knob(
        "points",
        live=False,
        title=N_("Start"),
        help=N_(
            "points: each expert is fitted to what lies nearest to one point. mean: all are the mean of y, a little apart."
        ),
    )
    apart: float = Knob(
        0.05,
        ge=0,
        le=2,
        live=False,
        title=N_("Apart at the start"),
        help=N_("Between two experts that start at the mean, in standard deviations of y."),
    )
    ridge: float = Knob(
        0.0, ge=0, le=1000, live=False, title=N_("Ridge"), help=N_("Holds the gate's slopes small; 0 switches it off.")
    )
    iterations: int = Knob(
        60,
        ge=1,
        le=5000,
        live=True,
        title=N_("Iterations"),
        help=N_("After so many, counted from the last change, the fit waits."),
    )
    speed: Literal["full"] | Annotated[float, Field(ge=0, le=1000)] = Knob(
        5.0,
        live=True,
        level="basic",
        stops=[0, 1, 2, 5, 10, 20, 50, "full"],
        unit="steps/s",
        title=N_("Speed"),
        help=N_("Iterations per second. 0: only when you press Step. full: as fast as the machine can."),
    )
    device: Literal["cpu"] = Knob("cpu", live=False, title=N_("Device"), help=N_("Where the model trains."))
    seed: int = Knob(0, ge=0, le=2**31 - 1, live=False, title=N_("Seed"), help=N_("Starting point of all randomness."))

    @field_validator("points")
    @classmethod
    def _are_points(cls, text: str) -> str:
        decode_points(text)
        return text

    @model_validator(mode="after")
    def _fits_together(self) -> MixtureConfig:
        if self.error != "likelihood" and self.method not in CLIMBS:
            raise Refused(_NO_LIKELIHOOD, error=self.error, method=self.method)
        if self.error != "likelihood" and self.expert not in OF_DISTANCES:
            raise Refused(_NO_DISTANCE, error=self.error, expert=self.expert)
        if self.tree and (self.n_experts < 2 or self.n_experts & (self.n_experts - 1)):
            raise Refused(_TREE, n=self.n_experts)
        if self.tree and self.gate != "softmax":
            raise Refused(_TREE_GATE, gate=self.gate)
        return self

    @property
    def branching(self) -> tuple[int, ...]:
        """Children per node, level by level."""
        return (2,) * int(math.log2(self.n_experts)) if self.tree else (self.n_experts,)

    @property
    def names(self) -> dict[str, str]:
        return {"data": self.data, "method": self.method}

    def flat(self) -> dict[str, Any]:
        return self.model_dump()

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> MixtureConfig:
        return cls(**values)

    def fields(self) -> dict[str, FieldInfo]:
        return dict(MixtureConfig.model_fields)

    def turned(self, knobs: dict[str, Any]) -> MixtureConfig:
        if unknown := knobs.keys() - MixtureConfig.model_fields.keys():
            known = ", ".join(sorted(MixtureConfig.model_fields))
            raise ValueError(f"unknown knob {', '.join(sorted(unknown))}; known: {known}")
        return MixtureConfig(**(self.flat() | knobs))


_NO_LIKELIHOOD = N_("the {error} error is of squared distances: it needs gradient, adam or ascent, not {method}")
_NO_DISTANCE = N_("the {error} error is of squared distances: it needs Gaussian experts, not {expert}")
_TREE = N_("a tree with two branches at each gate has 2, 4, 8 or 16 experts, not {n}")
_TREE_GATE = N_("a tree has softmax gates, not {gate} ones")

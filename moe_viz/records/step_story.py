"""StepStory: one token through one real training step, every number on the way, as plain numpy. And the questions a learner can check.

Axes: T tokens of the batch, D width, E experts, K routes of this token.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.spec.describe import is_plain_number
from moe_viz.spec.knobs import N_


@dataclass(frozen=True)
class Route:
    """One expert that the token was sent to (or asked for in vain).

    gate = probs[expert];  asked  combine weight before any drop;  weight  the one used (0 where dropped)
    place  position in the expert's queue, from 0;  asked_of  routes asked of this expert;  kept  it found a slot
    active, hidden  hidden units that are not zero, and all of them;  output [D]  f_e(x)
    gradient  dL/d weight of the batch's loss; None where no gradient reaches it
    """

    expert: int
    gate: float
    asked: float
    weight: float
    place: int
    asked_of: int
    kept: bool
    active: int
    hidden: int
    output: np.ndarray
    gradient: float | None


@dataclass(frozen=True)
class RowStory:
    """One weight of the router's row of one expert through AdamW (Loshchilov and Hutter 2019, algorithm 2).

    part = dlogit * x, this token's share of the gradient;  gradient  the sum over all tokens;  clip  factor that all gradients are scaled by
    exact  whether the other tokens' parts also have this form (then part belongs to the sum exactly)
    mean, square  Adam's averages before the step;  t  its step number, this one included;  before, after  the weight
    """

    expert: int
    component: int
    x: float
    dlogit: float
    part: float
    gradient: float
    clip: float
    mean: float
    square: float
    t: int
    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    before: float
    after: float

    @property
    def clipped(self) -> float:
        return self.gradient * self.clip

    @property
    def new_mean(self) -> float:
        return self.beta1 * self.mean + (1 - self.beta1) * self.clipped

    @property
    def new_square(self) -> float:
        return self.beta2 * self.square + (1 - self.beta2) * self.clipped**2

    @property
    def move(self) -> float:
        """lr * m / (sqrt(v) + eps), both corrected for their start at zero."""
        mean, square = self.new_mean / (1 - self.beta1**self.t), self.new_square / (1 - self.beta2**self.t)
        return self.lr * mean / (math.sqrt(square) + self.eps)

    @property
    def decay(self) -> float:
        return self.lr * self.weight_decay * self.before


@dataclass(frozen=True)
class StepStory:
    """The next training step of a run, seen by one token in one layer.

    step  steps done before it;  config  flat;  token  its number among T;  names [T] str, first_expert [T] (-1 none), dropped [T] bool of the batch
    x [D] what the experts see;  seen [D] what the router sees (with the shared vector);  row [D] the first route's router row, or None
    logits [E] or None;  ranking [E] what the choice goes by, or None;  score [E] sigmoid scores and bias [E] where the router has them
    noisy, plan: whether ranking differs from the logits by noise, or is a transport plan;  softmax: probs = softmax(logits)
    probs [E];  routes: most weighted first;  capacity: slots per expert and group, None = dropless;  group_size: tokens that share them
    mix: the residual mix of this token or None;  y [D] the layer's output for it
    loss_before, loss_after: this token's loss, before the step and after it on the same batch;  batch_before, batch_after: the batch's
    aux: term -> (its mean over the layers, its weight in the total);  dy [D] gradient of the step's loss by y
    dlogits [E] gradient by the logits or None;  dlogits_aux: term -> its part [E];  router_row: RowStory or None
    part: share of the batch in the token's micro-batch
    """

    step: int
    layer: int
    token: int
    config: dict[str, Any]
    names: np.ndarray
    first_expert: np.ndarray
    dropped: np.ndarray
    x: np.ndarray
    seen: np.ndarray
    row: np.ndarray | None
    logits: np.ndarray | None
    ranking: np.ndarray | None
    score: np.ndarray | None
    bias: np.ndarray | None
    noisy: bool
    plan: bool
    softmax: bool
    probs: np.ndarray
    routes: list[Route]
    capacity: int | None
    group_size: int
    mix: np.ndarray | None
    y: np.ndarray
    loss_before: float
    loss_after: float
    batch_before: float
    batch_after: float
    aux: dict[str, tuple[float, float]]
    dy: np.ndarray
    dlogits: np.ndarray | None
    dlogits_aux: dict[str, np.ndarray]
    router_row: RowStory | None
    part: float = 1.0

    @property
    def n_tokens(self) -> int:
        return len(self.names)

    @property
    def n_experts(self) -> int:
        return len(self.probs)

    @property
    def total(self) -> float:
        """What the step minimises on the micro-batch: its loss plus the weighted terms."""
        return self.batch_before + sum(value * weight for value, weight in self.aux.values())

    @property
    def dlogits_task(self) -> np.ndarray | None:
        """[E] what is left of the gradient without the auxiliary terms."""
        return None if self.dlogits is None else self.dlogits - sum(self.dlogits_aux.values(), np.zeros(self.n_experts))


@dataclass(frozen=True)
class Question:
    """Something a learner can work out from the panels. `panel` is where to look again; `form` how the answer is written."""

    name: str
    text: str
    values: dict[str, Any]
    answer: float
    panel: str
    form: str = ".4g"


def to_frame(story: StepStory) -> pd.DataFrame:
    """Every number of the story in long form: quantity (a name as in `StepStory`, parts joined by dots), index (from 1; 0 = a single number), value."""
    rows: list[tuple[str, int, float]] = []

    def put(name: str, value: Any) -> None:
        if is_dataclass(value):
            for part in (part for part in fields(value) if part.name != "config"):
                put(f"{name}.{part.name}" if name else part.name, getattr(value, part.name))
        elif isinstance(value, Mapping):
            for key, part in value.items():
                put(f"{name}.{key}", part)
        elif isinstance(value, list | tuple):
            for number, part in enumerate(value, 1):
                put(f"{name}.{number}", part)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            rows.extend((name, number, float(one)) for number, one in enumerate(value.reshape(-1), 1))
        elif isinstance(value, int | float | np.number):
            rows.append((name, 0, float(value)))

    put("", story)
    return pd.DataFrame(rows, columns=["quantity", "index", "value"])


def questions(story: StepStory) -> list[Question]:
    """What can be asked about this step; only what its router has."""
    items = []
    first = story.routes[0] if story.routes else None
    if first is not None and story.logits is not None and story.softmax:
        items.append(Question("gate", N_("Gate p of expert {expert}, from the logits"), {"expert": first.expert + 1}, first.gate, "scores"))  # fmt: skip
    if story.capacity is not None and story.config.get("capacity_factor") is not None and "k" in story.config:
        items.append(Question("capacity", N_("Slots of one expert (its capacity)"), {}, story.capacity, "slot", "d"))
    if first is not None and len(story.routes) > 1:
        items.append(Question("weight", N_("Combine weight of expert {expert}"), {"expert": first.expert + 1}, first.weight, "sum"))  # fmt: skip
    if first is not None and story.dlogits is not None and story.router_row is not None:
        row = story.router_row
        values = {"expert": row.expert + 1, "component": row.component + 1}
        items.append(Question("part", N_("This token's part of the gradient: weight {component} of expert {expert}'s row"), values, row.part, "row"))  # fmt: skip
        items.append(Question("after", N_("That weight after the step"), {}, row.after, "row", ".5g"))
    if any(weight for _, weight in story.aux.values()):
        items.append(
            Question("total", N_("What the step minimises: loss plus weighted terms"), {}, story.total, "loss")
        )
    return items


def is_right(question: Question, given: float) -> bool:
    """Whole numbers exactly, others within one percent."""
    if question.form == "d":
        return given == question.answer
    return abs(given - question.answer) <= 0.01 * abs(question.answer) + 1e-12


POWER_OF_TEN = re.compile(r"[·*×]10\^?([-+]?\d+)$")
FROM_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−,", "-0123456789-.")


def read_number(text: str) -> float | None:
    """A number as people type it (comma or point, 2e-5 or 2·10⁻⁵), None where it is none."""
    written = POWER_OF_TEN.sub(r"e\1", text.strip().replace(" ", "").translate(FROM_SUPERSCRIPTS)).removeprefix("+")
    if not is_plain_number(written):
        return None
    value = float(written)
    return value if math.isfinite(value) else None

"""One sentence that says in words what routing is doing now, chosen by the rules of `RULES` (first match wins) from measured signs.

Signs are read from a snapshot's metrics and the recent history rows of one layer: by default the layer that is worst off. They are means of
the last `WINDOW` training steps, and shares are of routes, as on every strip and badge. Templates are marked for translation and carry
named placeholders; experts are numbered from 1, as on screen. `records/verdict.py` keeps the sentence from flickering.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.metrics import UNEVEN, WINDOW, is_collapsed, requested_counts
from moe_viz.records.numbers import number
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.spec.knobs import N_

LOOK_BACK = 20
"""Steps over which "rising" and "falling" are judged; a collapse takes 20-30 steps at the lab's learning rates."""
MEMORY = 80
"""Steps for which a collapse is still worth mentioning after it is over."""
EARLY = 2 * WINDOW + LOOK_BACK
"""Steps in which a run is young and nothing is judged: until the window of `LOOK_BACK` steps ago holds learned steps alone, too."""
OVERFLOW = 0.05
"""Drop rate from which a sentence mentions it as the main thing."""
GROWTH, LEAP = 1.25, 1.6
"""Growth of the largest load within LOOK_BACK steps: from GROWTH on it is rising (the moving window makes less of it noise), from LEAP on fast."""
HALFWAY = 0.4
"""How far from even (0) to everything on k experts (1) the busiest expert must be before slow growth is called collapsing."""
SETTLED = 2 * WINDOW
"""Steps before which the moving window is not full of learned steps: no state of theirs is remembered."""
SLACK = 0.85
"""Part of a threshold at which a verdict that is already given still holds, so that a sign that hovers at the threshold changes nothing."""
STRUCTURAL = ("untrained", "diverged", "one_expert", "all_to_all", "fixed_load", "fixed_load_skips", "just_begun")
"""Kinds that follow from the settings or the age of a run: facts, not verdicts, so they come and go at once."""


@dataclass(frozen=True)
class Signs:
    """What the rules look at, for one layer. None or NaN never stands for 0: what is not measured makes no rule match."""

    step: int
    layer: int
    experts: int
    state: str
    loss: float | None
    expert: int | None  # busiest, from 1
    share: float | None  # of the routes, asked of the busiest expert
    times: float | None  # its load in multiples of the fair share
    fair: float  # of the routes, if all experts were asked for equally: 1/E
    most: float  # its load in multiples of the fair share if every token asked for it
    dead: int | None
    dropped: float | None  # drop rate of routes
    skipped: float | None  # share of tokens that no expert computed (probe batch)
    can_drop: bool
    all_to_all: bool
    fixed_load: bool
    grew: float | None  # load of the busiest expert now, over LOOK_BACK steps ago
    dead_then: int | None  # LOOK_BACK steps ago
    dropped_then: float | None
    worst_dead: int | None  # most dead experts within MEMORY steps
    worst_step: int | None  # when that was
    in_force: str = ""  # the kind of verdict that is in force

    @property
    def young(self) -> bool:
        return self.step <= EARLY

    @property
    def collapsed(self) -> bool:
        return self.dead is not None and is_collapsed(self.dead, self.experts)

    @property
    def was_collapsed(self) -> bool:
        return self.worst_dead is not None and is_collapsed(self.worst_dead, self.experts)

    @property
    def overflows(self) -> bool:
        return self.dropped is not None and self.dropped >= self._from(OVERFLOW, "overflowing", "full")

    @property
    def too_busy(self) -> bool:
        return self.times is not None and self.times >= self._from(UNEVEN, "uneven", "collapsing")

    def _from(self, threshold: float, *kinds: str) -> float:
        """The threshold, lower while a verdict of these kinds is in force."""
        return threshold * SLACK if any(kind in self.in_force for kind in kinds) else threshold

    @property
    def concentrating(self) -> bool:
        """Several more experts have died than LOOK_BACK steps ago, or one is too busy and getting busier."""
        if self.dead is not None and self.dead_then is not None and self.dead - self.dead_then >= 2:
            return True
        if not self.too_busy or self.grew is None or self.times is None:
            return False
        far = (self.times - 1) / max(self.most - 1, 1e-9) >= HALFWAY
        return self.grew >= self._from(GROWTH if far else LEAP, "collapsing")

    @property
    def easing(self) -> bool:
        """Fewer dead experts than LOOK_BACK steps ago, or as few and the busiest one clearly less busy."""
        if self.dead is None or self.dead_then is None:
            return False
        calmer = self.grew is not None and self.grew <= 1 / GROWTH
        return self.dead < self.dead_then or (self.dead == self.dead_then and calmer)


@dataclass(frozen=True)
class Rule:
    """One line of the table. severity: "good", "info", "warning" or "bad"."""

    kind: str
    severity: str
    when: Callable[[Signs], bool]
    template: str
    why: str


@dataclass(frozen=True)
class Story:
    """What is happening now. `template` and `why` are English with named placeholders; `values` fills them (shares as fractions)."""

    kind: str
    template: str
    values: dict[str, Any]
    severity: str
    why: str
    layer: int | None = None

    def text(self, translate: Callable[[str], str] = str) -> str:
        """The sentence in the language of `translate`."""
        return translate(self.template).format(**_spoken(self.values))

    def reason(self, translate: Callable[[str], str] = str) -> str:
        """The rule that chose the sentence, with its numbers, and what they are taken over."""
        about = translate(
            N_("Loads and drops are shares of routes in the training batches, mean of the last {n} steps.")
        )
        return f"{translate(self.why).format(**_spoken(self.values))} {about.format(n=WINDOW)}"


RULES: tuple[Rule, ...] = (
    Rule("diverged", "bad", lambda s: s.state == "diverged" or (s.loss is not None and not math.isfinite(s.loss)),
         N_("Training has diverged at step {step}: the loss is no longer a number. Lower the learning rate and start again."),
         N_("The loss or the gradient is not finite.")),
    Rule("untrained", "info", lambda s: s.times is None or s.step == 0,
         N_("Nothing has been learned yet: the router's first weights are random."),
         N_("No training step has been measured.")),
    Rule("one_expert", "info", lambda s: s.experts == 1,
         N_("There is only one expert: every token goes to it and there is nothing to route."),
         N_("The layer has one expert.")),
    Rule("all_to_all", "info", lambda s: s.all_to_all,
         N_("Every token goes to all {experts} experts; the gate only decides how much each one counts."),
         N_("As many routes per token as experts.")),
    Rule("fixed_load", "info", lambda s: s.fixed_load and not s.skipped,
         N_("Every expert has the same load by construction: {fair} of the routes each."),
         N_("This router fixes the load of every expert.")),
    Rule("fixed_load_skips", "info", lambda s: s.fixed_load,
         N_("Every expert has the same load by construction, but {skipped} of the probe batch’s tokens are picked by no expert."),
         N_("This router fixes the load of every expert, and {skipped} of the probe batch's tokens have none.")),
    Rule("just_begun", "info", lambda s: s.young,
         N_("Learning has just begun: step {step}. The busiest expert takes {share} of the routes; {fair} would be fair."),
         N_("A run is judged from step {judged_from} on: by then the moving window, and the one 20 steps before it, hold learned steps alone.")),
    Rule("recovering", "warning", lambda s: (s.collapsed or s.was_collapsed) and bool(s.dead) and s.easing,
         N_("Routing is recovering: {dead} of {experts} experts are dead; at step {worst_step} it was {worst_dead}. Expert {expert} still takes {share} of the routes."),
         N_("Half of the experts or more were dead within the last 80 steps, and fewer are dead, or the busiest one is clearly less busy, than 20 steps ago.")),
    Rule("collapsed_full", "bad", lambda s: s.collapsed and s.overflows,
         N_("Expert {expert} takes {share} of the routes and is full: {dropped} of the routes are dropped. Routing has collapsed: {dead} of {experts} experts are dead."),
         N_("Half of the experts or more get under a tenth of the fair share, and at least 5 % of the routes are dropped.")),
    Rule("collapsed", "bad", lambda s: s.collapsed,
         N_("Expert {expert} takes {share} of the routes. Routing has collapsed: {dead} of {experts} experts are dead."),
         N_("Half of the experts or more get under a tenth of the fair share.")),
    Rule("collapsing_full", "bad", lambda s: s.concentrating and s.overflows,
         N_("Expert {expert} takes {share} of the routes and is full: {dropped} of the routes are dropped. Routing is collapsing."),
         N_("Two or more experts died within 20 steps, or the busiest one has {times} the fair load and is rising; at least 5 % of the routes are dropped.")),
    Rule("collapsing", "warning", lambda s: s.concentrating,
         N_("Expert {expert} takes {share} of the routes ({fair} would be fair) and rising. Routing is collapsing."),
         N_("Two or more experts died within 20 steps, or the busiest one has {times} the fair load and is rising.")),
    Rule("recovered", "good", lambda s: s.was_collapsed and s.dead == 0 and not s.too_busy,
         N_("Routing has recovered: {worst_dead} experts were dead at step {worst_step}, now all {experts} are at work and the busiest takes {share} of the routes."),
         N_("Half of the experts or more were dead within the last 80 steps; now none is, and the busiest one is under twice the fair load.")),
    Rule("overflowing", "warning", lambda s: s.overflows,
         N_("{dropped} of the routes find their expert full and are dropped. Expert {expert} is asked for most: {times} its fair share."),
         N_("At least 5 % of the routes are dropped, and the load is not getting less even.")),
    Rule("some_dead", "warning", lambda s: bool(s.dead),
         N_("Dead experts: {dead} of {experts}. Expert {expert} takes {share} of the routes; {fair} would be fair."),
         N_("At least one expert gets under a tenth of the fair share.")),
    Rule("uneven", "info", lambda s: s.too_busy,
         N_("Routing is uneven but steady: expert {expert} takes {share} of the routes, {times} its fair share. No expert is dead."),
         N_("The busiest expert has {times} the fair load and is not rising.")),
    Rule("few_drops", "good", lambda s: bool(s.dropped),
         N_("Routing is healthy: all {experts} experts are at work, the busiest takes {share} of the routes, and {dropped} of the routes are dropped."),
         N_("No dead expert, none at twice the fair load, under 5 % of the routes dropped.")),
    Rule("even_dropless", "good", lambda s: not s.can_drop,
         N_("Routing is healthy: all {experts} experts are at work and the busiest takes {share} of the routes ({fair} would be fair). Nothing can be dropped: buffers have no limit."),
         N_("No dead expert, none at twice the fair load, and no capacity limit.")),
    Rule("healthy", "good", lambda s: True,
         N_("Routing is healthy: all {experts} experts are at work, the busiest takes {share} of the routes, and nothing is dropped."),
         N_("No dead expert, none at twice the fair load, nothing dropped.")),
)  # fmt: skip


def n_layers(snapshot: Snapshot) -> int:
    """Layers of which something can be said, at least 1."""
    return len(snapshot.metrics.get("load") or [None])


def story_of(signs: Signs) -> Story:
    """The sentence of the first rule that these signs meet."""
    rule = next(rule for rule in RULES if rule.when(signs))
    values = asdict(signs) | {"judged_from": EARLY + 1}
    return Story(rule.kind, rule.template, values, rule.severity, rule.why, signs.layer)


def signs_of(snapshot: Snapshot, history: pd.DataFrame | None, layer: int, in_force: str = "") -> Signs:
    """Read one layer's signs from a snapshot and the history rows of its epoch. in_force: the kind of verdict in force, which is not given up lightly."""
    metrics, config = snapshot.metrics, snapshot.config
    trace = snapshot.traces[layer] if layer < len(snapshot.traces) else None
    load = _of_layer(metrics.get("load"), layer)
    measured = load if load is not None and None not in load and len(load) > 0 else None
    n_experts = len(load) if load is not None else trace.n_experts if trace else int(config.get("n_experts", 1))
    routes = float(requested_counts(trace).sum() / trace.n_tokens) if trace and trace.n_tokens else config.get("k", 1)
    top = None if measured is None else max(range(n_experts), key=measured.__getitem__)
    past = _past(history, snapshot.step, layer)
    router = trace.router if trace else config.get("router")
    return Signs(
        step=snapshot.step,
        layer=layer,
        experts=n_experts,
        state=snapshot.state,
        loss=metrics.get("loss"),
        expert=None if top is None else top + 1,
        share=None if measured is None or top is None else measured[top],
        times=None if measured is None or top is None else measured[top] * n_experts,
        fair=1 / n_experts,
        most=max(1.0, n_experts / routes) if routes else float(n_experts),
        in_force=in_force,
        dead=_of_layer(metrics.get("dead_experts"), layer),
        dropped=_of_layer(metrics.get("drop_rate"), layer),
        skipped=float((~trace.kept.any(1)).mean()) if trace and trace.n_tokens else None,
        can_drop=trace.capacity is not None if trace else config.get("capacity_factor") is not None,
        all_to_all=routes >= n_experts,
        fixed_load=router in ROUTER_OPTIONS and ROUTER_OPTIONS[router].facts.fixed_load,
        grew=None if measured is None or top is None or not past["max_load"] else measured[top] / past["max_load"],
        **{name: past[name] for name in ("dead_then", "dropped_then", "worst_dead", "worst_step")},
    )


def _past(history: pd.DataFrame | None, step: int, layer: int) -> dict[str, Any]:
    """The layer's largest load, dead experts and drop rate LOOK_BACK steps ago, and its most dead experts within MEMORY steps."""
    past: dict[str, Any] = dict.fromkeys(("max_load", "dead_then", "dropped_then", "worst_dead", "worst_step"))
    if history is None or history.empty:
        return past
    epochs, steps = (
        history["epoch"].to_numpy(),
        history["step"].to_numpy(),
    )  # arrays: this is read at every tick of every page
    present = (epochs == epochs.max()) & (steps <= step)
    before = np.flatnonzero(present & (steps <= step - LOOK_BACK))
    names = {"max_load": "max_load", "dead_then": "dead_experts", "dropped_then": "drop_rate"}
    for key, name in names.items():
        if len(before) and f"{name}.{layer}" in history:
            value = float(history[f"{name}.{layer}"].to_numpy()[before[-1]])
            past[key] = None if np.isnan(value) else value
    recent = np.flatnonzero(present & (steps >= max(step - MEMORY, SETTLED)))
    if len(recent) and f"dead_experts.{layer}" in history:
        dead = history[f"dead_experts.{layer}"].to_numpy()[recent].astype(float)
        if not np.isnan(dead).all():
            most = np.nanmax(dead)
            # the latest of equally bad moments: the collapse must not sound longer ago than it was
            past |= {"worst_dead": int(most), "worst_step": int(steps[recent[dead == most][-1]])}
    return past


def _of_layer(values: Any, layer: int) -> Any:
    return values[layer] if isinstance(values, (list, tuple)) and layer < len(values) else None


def _spoken(values: dict[str, Any]) -> dict[str, str]:
    """Values as they are read out: percentages, multiples, counts."""
    spoken = {}
    for name, value in values.items():
        if name in ("share", "fair", "dropped", "skipped", "dropped_then") and value is not None:
            spoken[name] = f"{100 * value:.0f} %" if value >= 0.01 or value == 0 else f"{100 * value:.1f} %"
        elif name in ("times", "grew") and value is not None:
            spoken[name] = f"{value:.1f} ×"
        elif isinstance(value, int) and not isinstance(value, bool):
            spoken[name] = number(value, "d")
        else:
            spoken[name] = "–" if value is None else str(value)
    return spoken

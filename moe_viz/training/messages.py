"""What a run tells its reader: why it restarted, what was kept, why it stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, Config, RunConfig
from moe_viz.spec.describe import write
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Knobs, Sentence

SUSPECTS = ("lr", "balance_coef", "z_coef", "router", "k", "shared_vector")
"""Knobs whose values are named when a run diverges."""

LONGEST = 40
"""Characters of a changed value that are told."""


def restarted(words: Iterable[str], before: Config, after: Config) -> Sentence:
    """The run began again because these words cannot change while it trains."""
    old, new = before.flat(), after.flat()
    changes = Knobs(_change(after.fields()[word].title or word, word, old[word], new[word]) for word in sorted(words))
    return Sentence(
        N_("Restarted from step 0, because this cannot change in a running model: {changes}."), changes=changes
    )


def _change(title: str, word: str, old: Any, new: Any) -> tuple[str, ...]:
    """Title, old and new value as a reader calls them; the title alone where a value is a code, such as that of painted points."""
    values = _said(word, old), _said(word, new)
    return (title, *values) if all(0 < len(value) <= LONGEST for value in values) else (title,)


def _said(word: str, value: Any) -> str:
    """A value in the reader's words, which a page can translate."""
    if word == "router":
        return ROUTER_OPTIONS[value].facts.title
    if word == "task":
        return TASK_OPTIONS[value].title
    if isinstance(value, bool):
        return N_("on") if value else N_("off")
    if value is None:
        return N_("dropless") if word == "capacity_factor" else N_("none")
    return value.replace("_", " ") if isinstance(value, str) else write(value)


def swapped(before: RunConfig, after: RunConfig, gate_kept: bool) -> Sentence:
    """Another router took over in all layers."""
    names = {name: Knobs([(config.router.facts.title,)]) for name, config in (("old", before), ("new", after))}
    if gate_kept:
        return Sentence(N_("Switched {old} to {new}; the experts and the gate's weights stay."), **names)
    return Sentence(N_("Switched {old} to {new}; the experts stay, its gate starts anew."), **names)


def diverged(step: int, loss: float, kept: int, config: Config) -> Sentence:
    """Training stopped on a loss or gradient that is not finite."""
    flat, fields = config.flat(), config.fields()
    knobs = Knobs((fields[word].title or word, _said(word, flat[word])) for word in SUSPECTS if word in flat)
    return Sentence(
        N_(
            "Stopped: at step {step} the loss or its gradient was no longer a finite number (loss {loss}), with {knobs}. "
            "The parameters of step {kept} were put back. Lower the learning rate, or reset."
        ),
        step=step,
        loss=f"{loss:.4g}",
        knobs=knobs,
        kept=kept,
    )


def goes_on(step: int) -> Sentence:
    """A diverged run continues."""
    return Sentence(N_("Goes on from step {step}, the last sound one."), step=step)

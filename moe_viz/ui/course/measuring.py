"""What an exercise needs from its run beside the history: what it shows (scores, gates, a table of domains), and what is measured for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from moe_viz.engine.protocol import Engine
from moe_viz.lessons.model import Exercise
from moe_viz.records.specialisation import domain_specialisation
from moe_viz.spec.knobs import N_

LAYER = 1
"""The layer, from 0, in which an expert is switched off."""
OF_STUDENT = ("answer", "edit")


@dataclass(frozen=True)
class Shown:
    """A table beside the exercise. title: marked for translation, filled in with `values`;  marked: its rows, from 0, that the answer is about."""

    title: str = ""
    values: Mapping[str, Any] | None = None
    table: pd.DataFrame | None = None
    marked: tuple[int, ...] = ()


def show(engine: Engine, run_id: str, exercise: Exercise) -> Shown:
    """What the student works from. Raises EngineError."""
    given = exercise.given
    if given.truth == "marked_tokens":
        found = engine.measure(run_id, "by_hand", {})
        logits = pd.DataFrame(found["logits"])
        logits.columns = [str(expert + 1) for expert in logits.columns]
        logits.index = pd.RangeIndex(1, len(logits) + 1)
        title = N_(
            "Scores of the next batch's tokens (rows) for each expert (columns); slots of each expert: {n}. Marked tokens: {marked}."
        )
        marked = tuple(found["marked"])
        return Shown(title, {"n": found["capacity"], "marked": ", ".join(str(t + 1) for t in marked)}, logits, marked)  # fmt: skip
    if given.truth == "switched_off":
        found = engine.measure(run_id, "switched_off", {"layer": LAYER})
        table = domain_specialisation(engine.analyse(run_id).traces[LAYER])
        table.index = pd.RangeIndex(1, len(table) + 1)
        title = N_(
            "Layer {layer}: which part of each domain's tokens (columns) goes to each expert (rows). Marked: expert {n}."
        )
        return Shown(title, {"layer": LAYER + 1, "n": found["marked"] + 1}, table, (found["marked"],))
    if given.measure is not None and given.measure.kind == "slots":
        game = engine.assignment_losses(run_id, 0)
        table = pd.DataFrame(game.probs, index=pd.RangeIndex(1, len(game.tokens) + 1))
        table.columns = [str(expert + 1) for expert in range(game.n_experts)]
        return Shown(N_("Gates of twelve held-out tokens (rows) for each expert (columns); slots of each expert: {n}."), {"n": game.slots}, table)  # fmt: skip
    return Shown()


def needs_measuring(exercise: Exercise) -> bool:
    """Whether something is measured at a press, for what the student has given."""
    return exercise.given.measure is not None or exercise.given.truth is not None


def of_student(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the student has given; what was measured of an older run is left out."""
    return None if given is None else {word: value for word, value in given.items() if word in OF_STUDENT}


def measure(engine: Engine, run_id: str, exercise: Exercise, given: Mapping[str, Any]) -> dict[str, Any]:
    """`paused` and `truth`, as the check reads them. Raises EngineError for an answer or edit that cannot be measured."""
    found: dict[str, Any] = {}
    wanted, truth = exercise.given.measure, exercise.given.truth
    if wanted is not None:
        words: dict[str, Any] = {"settings": {name: dict(knobs) for name, knobs in wanted.settings.items()}}
        if wanted.kind == "knobs":
            words["columns"] = list(wanted.columns)
        elif wanted.kind == "edit":
            words["text"], words["after"] = given["edit"]
        elif wanted.kind == "texts":
            texts = {text: text for text in given["edit"]} | {"original": wanted.original or ""}
            words = {"group": wanted.group or "", "layer": wanted.layer, "texts": texts}
        else:
            words = {"answer": given["answer"], "tokens": wanted.tokens, "slots": wanted.slots}
        found["paused"] = engine.measure(run_id, wanted.kind, words)
    if truth == "marked_tokens":
        found["truth"] = engine.measure(run_id, "by_hand", {})["truth"]
    elif truth == "switched_off":
        found["truth"] = engine.measure(run_id, "switched_off", {"layer": LAYER})["rises"]
    elif truth == "future_gate" and wanted is not None:
        found["truth"] = next(name for name, knobs in wanted.settings.items() if knobs.get("router") == "expert_choice")
    return found

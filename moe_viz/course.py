"""The course played without a browser: an exercise's solutions on real runs, what a page measures for it, and whether it is solved.

Stands beside the command line because it knows both sides: the lessons, and the runs that train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.lessons import solved
from moe_viz.lessons.model import Exercise, Solution
from moe_viz.lessons.rows import rows_of
from moe_viz.spec import RunConfig, change
from moe_viz.training.inspect import exercise as inspect
from moe_viz.training.run import Run


@dataclass
class Attempt:
    """One go at an exercise. begin: (epoch, step) at which it began;  given: as checks read it;  metrics: what was looked at last, by name."""

    exercise: Exercise
    run: Run | None
    begin: tuple[int, int] = (0, 0)
    given: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> pd.DataFrame:
        """What the check is read against."""
        if self.run is None:
            return pd.DataFrame()
        script = self.run.script_so_far
        assert script is not None
        return rows_of(self.run.history.rows(limit=None), script, self.begin)

    @property
    def solved(self) -> int | None:
        """Steps at which it was solved; None: not yet."""
        return solved(self.exercise.check, self.rows, self.metrics, self.exercise.deadline, self.given)


class Starts:
    """Warmed-up runs as checkpoints, by what they were made of, so that exercises which begin alike warm up once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], bytes] = {}

    def run(self, config: RunConfig, steps: int) -> Run:
        """A run of its own that stands after so many steps."""
        key = (config.model_dump_json(), steps)
        if key not in self._known:
            run = Run(config)
            run.run(steps)
            self._known[key] = run.checkpoint()
        return Run.from_bytes(self._known[key])


def begin(
    exercise: Exercise, seed: int = 0, start: Mapping[str, Any] | None = None, starts: Starts | None = None
) -> Attempt:
    """The exercise as a student meets it, warmed up. start: flat words other than the exercise's own."""
    config = exercise.config
    if config is None:
        return Attempt(exercise, None)
    config = change(config, seed=seed, **(start or {}))
    if exercise.warm_up is None:
        return Attempt(exercise, Run(config))
    run = (starts or Starts()).run(change(config, **exercise.warm_up.knobs), exercise.warm_up.steps)
    back = {word: value for word, value in config.flat().items() if run.config.flat().get(word, ...) != value}
    if back:
        run.set(**back)
    return Attempt(exercise, run, (run.epoch, run.step_number))


def play(exercise: Exercise, solution: Solution, seed: int = 0, starts: Starts | None = None) -> Attempt:
    """Play a solution from beginning to end: turn its knobs, look when it looks, give what it gives, measure what the page measures."""
    attempt = begin(exercise, seed, solution.start, starts)
    run = attempt.run
    if run is not None:
        turns = {turn.at: turn.knobs for turn in solution.turns}
        for step in range(solution.steps + 1):
            if step:
                run.step()
            if step in solution.looks and step:
                look(attempt)
            if step in turns:
                run.set(**turns[step])
        run.collect()
        if not solution.steps or not solution.looks:
            look(attempt)
    attempt.given = {**solution.given, **(WAYS[solution.by](attempt) if solution.by else {})}
    measure(attempt)
    return attempt


def look(attempt: Attempt) -> None:
    """Measure what the check must look at, now."""
    if attempt.run is not None and attempt.exercise.looked_at:
        attempt.metrics = inspect.look(attempt.run, attempt.exercise.looked_at)


def measure(attempt: Attempt) -> None:
    """Put into `given` what the page measures: paused, twin, truth. Raises ValueError for an answer or edit that cannot be measured."""
    wanted, run, given = attempt.exercise.given, attempt.run, attempt.given
    if run is None:
        return
    if wanted.measure is not None:
        given["paused"] = _paused(attempt)
    if wanted.twin is not None:
        given["twin"] = twin(run.config, wanted.twin.knobs, wanted.twin.step, wanted.twin.columns)
    if wanted.truth is not None:
        given["truth"] = _truth(attempt)


def _paused(attempt: Attempt) -> dict[str, Any]:
    wanted, run, given = attempt.exercise.given.measure, attempt.run, attempt.given
    assert wanted is not None and run is not None
    if wanted.kind == "knobs":
        return inspect.paused(run, wanted.settings, wanted.columns)
    if wanted.kind == "edit":
        before, after = given["edit"]
        return inspect.edited(run, wanted.settings, before, after)
    if wanted.kind == "texts":
        texts = {text: text for text in given["edit"]} | {"original": wanted.original or ""}
        return inspect.shares(run, wanted.group or "", wanted.layer, texts)
    return inspect.assignments(run, given["answer"], wanted.tokens, wanted.slots)


def _truth(attempt: Attempt) -> Any:
    wanted, run = attempt.exercise.given, attempt.run
    assert run is not None
    if wanted.truth == "marked_tokens":
        return inspect.by_hand(run)["truth"]
    if wanted.truth == "switched_off":
        return inspect.switched_off(run, LAYER_2)[1]
    assert wanted.measure is not None
    return next(name for name, knobs in wanted.measure.settings.items() if knobs.get("router") == "expert_choice")


LAYER_2 = 1


def twin(config: RunConfig, knobs: Mapping[str, Any], step: int, columns: tuple[str, ...]) -> dict[str, Any]:
    """The same run with these knobs, trained to `step`: its looked-at columns."""
    other = Run(change(config, **knobs))
    other.run(step)
    return inspect.look(other, columns)


# -- ways to an answer that are worked out from the run ----------------------------------------------------------------------


def _by_hand(attempt: Attempt) -> dict[str, Any]:
    return {"answer": _truth(attempt)}


def _token_by_token(attempt: Attempt) -> dict[str, Any]:
    """The queue numbered token by token, each one's second choice right after its first."""
    assert attempt.run is not None
    by_hand = inspect.by_hand(attempt.run)
    chosen = np.argsort(-np.array(by_hand["logits"]), axis=1, kind="stable")[:, :2]
    rows = [list(row) for row in by_hand["truth"]]
    for number, row in enumerate(rows):
        token, choice = by_hand["marked"][number // 2], number % 2
        before = chosen.reshape(-1)[: 2 * token + choice]
        place = int((before == row[0] - 1).sum()) + 1
        rows[number] = [row[0], row[1], place, place <= by_hand["capacity"]]
    return {"answer": rows}


def _not_renormalised(attempt: Attempt) -> dict[str, Any]:
    """Probabilities over all experts taken for weights."""
    assert attempt.run is not None
    by_hand = inspect.by_hand(attempt.run)
    logits = np.array(by_hand["logits"])
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = [list(row) for row in by_hand["truth"]]
    return {
        "answer": [
            [row[0], float(probs[by_hand["marked"][n // 2], row[0] - 1]), *row[2:]] for n, row in enumerate(rows)
        ]
    }


def _from_the_table(attempt: Attempt) -> dict[str, Any]:
    assert attempt.run is not None
    marked = inspect.switched_off(attempt.run, LAYER_2)[0]
    return {"answer": inspect.table_names(attempt.run, LAYER_2, marked)}


def _hungarian(attempt: Attempt) -> dict[str, Any]:
    wanted = attempt.exercise.given.measure
    assert attempt.run is not None and wanted is not None
    matrix = inspect.loss_matrix(attempt.run, wanted.tokens)
    return {"answer": inspect.best_assignment(matrix, wanted.slots).tolist()}


def _luckiest_of_twenty(attempt: Attempt) -> dict[str, Any]:
    wanted = attempt.exercise.given.measure
    assert attempt.run is not None and wanted is not None
    matrix = inspect.loss_matrix(attempt.run, wanted.tokens)
    tried = inspect.random_assignments(wanted.tokens, matrix.shape[1] - 1, wanted.slots, 20)
    return {"answer": min(tried, key=lambda one: inspect.assignment_loss(matrix, one)).tolist()}


WAYS = {
    "by_hand": _by_hand,
    "token_by_token": _token_by_token,
    "not_renormalised": _not_renormalised,
    "from_the_table": _from_the_table,
    "hungarian": _hungarian,
    "luckiest_of_twenty": _luckiest_of_twenty,
}
"""`Solution.by` -> how its answer is worked out from the run."""

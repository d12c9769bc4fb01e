"""Verifying a receipt of an exercise: its run is played again, its looks are looked again, its check is read again.

identical            every figure, bit for bit
confirmed            on another kind of machine the run's figures agree within the tolerance, and the check holds
refuted              the receipt was edited, it does not begin or stay as the exercise has it, or on an equal machine something differs
cannot be compared   another version, other data, an unknown exercise, an unreadable file, or another machine and other figures
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from moe_viz import __version__
from moe_viz.course import Attempt, measure
from moe_viz.lessons import find, solved
from moe_viz.lessons.check_values import agree
from moe_viz.lessons.model import Exercise
from moe_viz.lessons.receipt import MOST_BYTES, Receipt, columns_of, read_receipt
from moe_viz.records.script import Script
from moe_viz.spec import change, plain
from moe_viz.training.files.claim import Claim
from moe_viz.training.files.figures import table_of
from moe_viz.training.inspect import exercise as inspect
from moe_viz.training.replay import Replay
from moe_viz.training.run import Run
from moe_viz.training.verify import CANNOT, CONFIRMED, IDENTICAL, REFUTED, Verdict, verify_claim

ANYWHERE = ("seed", "device", "speed")
"""Knobs in which a student's run may differ from the exercise's start."""
CLOSE = 0.05
"""How far measured figures may be apart on another kind of machine."""


class LookingReplay(Replay[Run]):
    """A replay that looks when the student looked. names: columns of the exercise's check;  at: (epoch, step);  found: what was seen."""

    names: tuple[str, ...] = ()
    at: frozenset[tuple[int, int]] = frozenset()
    found: dict[tuple[int, int], dict[str, Any]]

    def _look(self) -> None:
        place = (self.run.epoch, self.run.step_number)
        if place in self.at and self.names:
            self.found[place] = inspect.look(self.run, self.names)
        super()._look()


def verify_receipt(
    path: Path, device: str | None = None, progress: Callable[[int, int], Any] = lambda done, total: None
) -> tuple[Verdict, Receipt | None]:
    """Play a receipt again and compare; the receipt as far as it could be read. Never raises for what the file holds."""
    receipt = None
    try:
        with path.open("rb") as file:
            receipt, sound = read_receipt(file.read(MOST_BYTES + 1))
        if receipt.version != __version__:
            raise ValueError(f"written by moe_viz {receipt.version}, this is {__version__}")
        if not sound:
            return Verdict(REFUTED, ["the receipt was changed: its hash is not that of its content"]), receipt
        return _verified(receipt, device, progress), receipt
    except (ValueError, OSError) as error:
        return Verdict(CANNOT, [plain(error) if isinstance(error, ValueError) else str(error)]), receipt


def _verified(receipt: Receipt, device: str | None, progress: Callable[[int, int], Any]) -> Verdict:
    try:
        exercise = find(receipt.exercise)
    except KeyError:
        raise ValueError(f"this version has no exercise {receipt.exercise}") from None
    script = receipt.played
    if (script is None) != (exercise.start is None):
        return Verdict(REFUTED, [f"exercise {exercise.id} {'needs a run' if exercise.start else 'is on paper'}"])
    if script is None:
        return _on_paper(exercise, receipt)
    wrong = _not_as_set(exercise, script, receipt.begin)
    if wrong:
        return Verdict(REFUTED, [wrong])
    rows = pd.DataFrame() if script.figures is None else table_of(script.figures)
    claim = Claim(script, rows, script.end.parameters)
    at = frozenset((look.epoch, look.step) for look in receipt.figures.looks)
    play: LookingReplay | None = None

    def player(*arguments: Any, **words: Any) -> LookingReplay:
        nonlocal play
        play = LookingReplay(*arguments, **words)
        play.names, play.at, play.found = exercise.looked_at, at, {}
        return play

    verdict = verify_claim(claim, device, progress, player)
    if verdict.answer in (REFUTED, CANNOT) or play is None:
        return verdict
    return _compared(exercise, receipt, play, verdict)


def _on_paper(exercise: Exercise, receipt: Receipt) -> Verdict:
    attempt = Attempt(exercise, None, given=dict(receipt.answers))
    if attempt.solved is None:
        return Verdict(REFUTED, ["the answers do not solve it"])
    return Verdict(IDENTICAL, ["the answers solve it"])


def _not_as_set(exercise: Exercise, script: Script, begin: tuple[int, int]) -> str | None:
    """What of the run is not as the exercise sets it, None where all is: its start, its warm-up, a knob that may not be turned so."""
    start = exercise.config
    assert start is not None
    warm = exercise.warm_up
    wanted = (change(start, **warm.knobs) if warm else start).flat()
    ours = script.config.flat()
    apart = [word for word in wanted if word not in ANYWHERE and ours.get(word, ...) != wanted[word]]
    if apart:
        return f"the run began with {apart[0]} = {ours.get(apart[0])!r}, the exercise begins with {wanted[apart[0]]!r}"
    if begin != (0, warm.steps if warm else 0):
        return f"the exercise began at step {begin[1]}, not after {warm.steps if warm else 0} steps"
    for moment in script.moments():
        before, after = moment.before.flat(), moment.after.flat()
        turned = [w for w in before if w in after and before[w] != after[w] and w not in ANYWHERE]
        place = (moment.event.epoch, moment.event.step)
        if place < begin and turned:
            return f"{turned[0]} was turned at step {moment.event.step}, before the exercise began"
        back = place == begin and all(after[w] == start.flat().get(w, ...) for w in turned)
        if back or {"router", "task"} & set(turned):
            turned = [
                word for word in turned if word in ("router", "task") and not back
            ]  # their options come with them
        locked = [w for w in turned if not exercise.controls.allows(w, after[w])]
        if locked:
            return f"{locked[0]} may not be {after[locked[0]]!r} in this exercise, but was so from step {moment.event.step} on"
    return None


def _compared(exercise: Exercise, receipt: Receipt, play: LookingReplay, verdict: Verdict) -> Verdict:
    """The looks, what was measured and the check, after the run itself has agreed."""
    exact = verdict.answer == IDENTICAL
    run = play.run
    end = (run.epoch, run.step_number)
    if play.names and end in play.at and end not in play.found:
        play.found[end] = inspect.look(run, play.names)
    for look in receipt.figures.looks:
        seen = columns_of(play.found.get((look.epoch, look.step), {}))
        for name, value in look.values.items():
            if not _same(value, seen.get(name), exact):
                there, here = value, seen.get(name)
                return _apart(exact, f"step {look.step}: {name}: {there} in the receipt, {here} in the replay", verdict)
    attempt = Attempt(exercise, run, receipt.begin, dict(receipt.answers), play.found.get(end, {}))
    measure(attempt)
    for word, value in receipt.figures.given.items():
        here = attempt.given.get(word)
        if not (value == here if exact else agree(value, here, CLOSE)):
            return _apart(exact, f"what was measured ({word}) is another in the replay", verdict)
    found = solved(exercise.check, attempt.rows, attempt.metrics, exercise.deadline, attempt.given)
    if found is None:
        return _apart(exact, "the check does not hold in the replay", verdict)
    if exact and found != receipt.figures.solved:
        return Verdict(
            REFUTED, [f"solved at step {receipt.figures.solved} in the receipt, at step {found} in the replay"]
        )
    words = [f"exercise {exercise.id} solved at step {found}", *verdict.words]
    return Verdict(IDENTICAL if exact else CONFIRMED, words)


def _apart(exact: bool, what: str, verdict: Verdict) -> Verdict:
    return Verdict(REFUTED, [what]) if exact else Verdict(CANNOT, [*verdict.words[1:], what])


def _same(there: float | None, here: float | None, exact: bool) -> bool:
    if there is None or here is None:
        return there is here
    return math.isclose(there, here, rel_tol=1e-6 if exact else CLOSE, abs_tol=1e-9 if exact else CLOSE)


def as_row(path: Path, verdict: Verdict, receipt: Receipt | None) -> dict[str, Any]:
    """One line of a class's results: no names but the file's."""
    return {
        "file": path.name,
        "answer": verdict.answer,
        "lesson": "" if receipt is None else receipt.lesson,
        "exercise": "" if receipt is None else receipt.exercise,
        "solved_at": "" if receipt is None else receipt.figures.solved,
        "words": "; ".join(verdict.words),
    }

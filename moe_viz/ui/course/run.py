"""The run of an exercise: it begins in the exercise's start state, waits for its reader, and is measured by the exercise's check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd
import streamlit as st

from moe_viz.engine.protocol import Engine, Update
from moe_viz.lessons import solved, terms
from moe_viz.lessons.check_terms import Term
from moe_viz.lessons.model import Exercise, Twin
from moe_viz.lessons.receipt import write_receipt
from moe_viz.lessons.rows import rows_of
from moe_viz.spec import RunConfig, change
from moe_viz.ui.course import measuring
from moe_viz.ui.session.run import SessionRun

STATE = "course_run"
SPEEDS = {"clusters": 20.0, "plane": 20.0}
"""Steps per second with which a run begins, by task: what takes a second in all would not be seen. Others: as fast as they can."""

LOOK_EVERY = 10
"""Steps between two looks at a running model: some take as long as many steps."""


@dataclass
class CourseRun(SessionRun):
    """exercise: None before the first;  began: epoch and step at which it began;  warming: the step up to which it is trained before that.

    rows: every step since, see `lessons.rows`;  given: what the student has given and what was measured for it;  looked: columns looked at last
    shown: what the exercise shows beside its text;  twin_id: the second run, while it trains;  solved_at: steps at which the check came true
    """

    exercise: Exercise | None = None
    began: tuple[int, int] = (0, 0)
    warming: int = 0
    rows: pd.DataFrame | None = None
    given: dict[str, Any] | None = None
    looked: dict[str, Any] = field(default_factory=dict)
    shown: measuring.Shown | None = None
    twin_id: str | None = None
    solved_at: int | None = None
    _seen: tuple[int, int, str] | None = None
    _looked_at: int = -1
    kept: ClassVar[bool] = False

    def begin_exercise(self, exercise: Exercise) -> None:
        """A new run in the start state, which waits. What was given stays: failing costs nothing."""
        self.leave()
        given = measuring.of_student(self.given) if self.exercise and self.exercise.id == exercise.id else None
        self.exercise, self.given, self.layer, self.playing = exercise, given, 0, False
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.rows, self.solved_at, self._seen, self.began, self.warming = None, None, None, (0, 0), 0
        self.looked, self.shown, self.twin_id, self._looked_at = {}, None, None, -1
        exercise = self.exercise
        if exercise is None or exercise.config is None:
            return
        self.config = change(exercise.config, speed=SPEEDS.get(exercise.config.task.name, "full"))
        if exercise.warm_up is not None:
            self.warming = exercise.warm_up.steps

    def begin(self, engine: Engine, owner: str) -> None:
        config = self.config
        warm_up = self.exercise.warm_up if self.exercise is not None else None
        if warm_up is not None:
            config = change(config, **warm_up.knobs, speed="full")
        self.run_id = engine.open(config, playing=False, owner=owner)
        if warm_up is not None:
            engine.train_to(self.run_id, warm_up.steps)
        twin = self.exercise.given.twin if self.exercise is not None else None
        if twin is not None:
            self.twin_id = engine.open(change(self.config, **twin.knobs, speed="full"), playing=False, owner=owner)
            engine.train_to(self.twin_id, twin.step)

    def read(self, engine: Engine) -> Update:
        """The newest picture; and where it is a new one, all rows of the exercise."""
        update = engine.read(self.open_id)
        at = update.epoch, update.snapshot.step
        if self.warming and at[1] >= self.warming:
            engine.play(self.open_id, False)
            engine.set(self.open_id, **_back(self.exercise, self.config))
            self.began, self.warming = at, 0
            update = engine.read(self.open_id)
        now = (*at, repr(update.snapshot.config))
        if self.exercise is not None and not self.warming and now != self._seen:
            self._look(engine, self.exercise, update)
            script = engine.script(self.open_id, figures=False)
            if script is not None:
                self.rows, self._seen = rows_of(engine.all_rows(self.open_id), script, self.began), now
        if self.twin_id is not None and self.exercise is not None and self.exercise.given.twin is not None:
            self._wait_for_twin(engine, self.twin_id, self.exercise.given.twin)
        return update

    def _look(self, engine: Engine, exercise: Exercise, update: Update) -> None:
        """Measure the columns that the check looks at, and what the exercise shows; of a running model at most every `LOOK_EVERY` steps."""
        names = [name for name in exercise.looked_at if name != "task_metric"]
        step = update.snapshot.step
        if names and (not update.playing or not 0 <= step - self._looked_at < LOOK_EVERY):
            self.looked, self._looked_at = engine.look(self.open_id, names), step
        if self.shown is None:
            self.shown = measuring.show(engine, self.open_id, exercise)

    def _wait_for_twin(self, engine: Engine, twin_id: str, twin: Twin) -> None:
        """Once it is there, what was measured of it; then it is not needed any more."""
        if engine.read(twin_id).snapshot.step >= twin.step:
            found = engine.look(twin_id, list(twin.columns))
            self.given, self.twin_id = {**(self.given or {}), "twin": found}, None
            engine.delete(twin_id)

    def measure(self) -> None:
        """Have measured what the exercise asks for, for what the student has given. What cannot be is told."""
        exercise = self.exercise
        if exercise is None:
            return
        if self.playing:
            self.play(False)
        found = self.ask(lambda engine: measuring.measure(engine, self.open_id, exercise, self.given or {}))
        if found is not None:
            self.given = {**(self.given or {}), **found}

    def apply(self, look: Update) -> None:
        if not self.warming:
            super().apply(look)

    @property
    def steps(self) -> int:
        """Trained since the exercise began."""
        return 0 if self.rows is None else int(self.rows["steps"].iloc[-1])

    def receipt(self, engine: Engine, prediction: int | None) -> str:
        """What the solved exercise leaves behind, to be checked by `moe-viz verify`. Raises EngineError, ValueError where it is not solved."""
        if self.exercise is None or self.solved_at is None:
            raise ValueError("the exercise is not solved")
        given = self.given or {}
        if self.exercise.start is None:
            return write_receipt(self.exercise, self.solved_at, given, prediction=prediction)
        script, history = engine.script(self.open_id), engine.all_rows(self.open_id)
        return write_receipt(
            self.exercise, self.solved_at, given, script, self.began, history, self.looked, prediction=prediction
        )

    def judge(self) -> list[Term]:
        """The check's terms as they stand now; `solved_at` is set when it has come true in time."""
        if self.exercise is None or self.rows is None or self.latest is None:
            return []
        metrics = self._metrics(self.latest)
        if self.solved_at is None:
            self.solved_at = solved(self.exercise.check, self.rows, metrics, self.exercise.deadline, self.given)
        return terms(self.exercise.check, self.rows, metrics, self.given)

    def judge_on_paper(self) -> list[Term]:
        """The same for an exercise without a run, where the answer alone is checked."""
        if self.exercise is None:
            return []
        nothing = pd.DataFrame()
        self.solved_at = solved(self.exercise.check, nothing, None, self.exercise.deadline, self.given)
        return terms(self.exercise.check, nothing, None, self.given)

    def _metrics(self, look: Update) -> dict[str, Any] | None:
        """Those of the newest row; None where the picture is of another one."""
        same = self.rows is not None and self.rows["step"].iloc[-1] == look.snapshot.step
        return (
            {**look.snapshot.metrics, **self.looked} if same and self._looked_at in (-1, look.snapshot.step) else None
        )


def _back(exercise: Exercise | None, config: RunConfig) -> dict[str, Any]:
    """The knobs that the warm-up had otherwise, as the exercise begins with them."""
    warmed = exercise.warm_up.knobs if exercise is not None and exercise.warm_up is not None else {}
    return {word: config.flat()[word] for word in (*warmed, "speed")}


def course_run() -> CourseRun:
    """The session's."""
    if STATE not in st.session_state:
        st.session_state[STATE] = CourseRun(config=RunConfig(task="clusters"), playing=False)
    return st.session_state[STATE]

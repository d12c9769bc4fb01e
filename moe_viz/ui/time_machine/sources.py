"""Where the time machine's moments come from: the session's lab run, a branch of it, or the shipped recording; and what the reader pinned.

Each source answers the same four questions: which moments are kept, how was the probe batch routed then, what were the first choices
over the run, what did the history say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import EngineError, Update
from moe_viz.records.script import Event, Script
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig, change
from moe_viz.ui.session.page_state import of_run
from moe_viz.ui.session.permalink import number_of
from moe_viz.ui.session.recorded import recorded, recorded_run
from moe_viz.ui.session.run import SessionRun, current, place_to_go
from moe_viz.ui.session.watched import lease
from moe_viz.ui.widgets.download import every_row

STATE = "time_machine"
MOST_TRACES = 32
"""Moments that are held ready between two readings: both pins, and those just passed."""
FRESH_S = 0.8
"""A run read less than this ago is not read again: scrubbing must not wait for a new snapshot of the present."""


@dataclass
class BranchRun(SessionRun):
    """A run that was forked off. ended: it is gone; no other takes its place."""

    ended: bool = False
    kept: ClassVar[bool] = False

    def poll(self) -> Update | None:
        return None if self.ended else super().poll()

    def forget(self) -> None:
        super().forget()
        self.ended = True


@dataclass
class Branch:
    """A run that left the lab run: from which step, after which moment was asked for, and the knob that differs (None: none does)."""

    run: BranchRun
    start: int
    asked: int
    word: str | None
    value: Any


@dataclass
class TimeMachine:
    """What the reader has chosen on the page, for one run and one (re)start of it. at: the step on screen, None = the newest."""

    at: int | None = None
    stamp: float = 0.0
    layer: int = 0
    pins: dict[str, int | None] = field(default_factory=lambda: {"A": None, "B": None})
    branch: Branch | None = None
    shows_branch: bool = False
    draft: RunConfig | None = None
    word: str | None = "balance_coef"
    lacks_moments: bool = False
    """The part of the page that does not tick has found too few moments to compare."""
    problem: EngineError | None = None
    read_at: float = 0.0
    sources: dict[str, Source] = field(default_factory=dict)
    """Run id -> its source as of the last reading: between two readings nothing is asked twice."""
    beginning: tuple[str | None, int] = (None, -1)
    """Of which run and which (re)start of it all this is."""
    written: dict[str, int] = field(default_factory=dict)
    """`place` as the address has it."""
    strips: tuple[Any, list[Any]] | None = None
    """What the charts below the picture were made from, and the charts: a move of the track does not touch them."""

    def move(self, asked: tuple[int, float] | None, newest: int) -> bool:
        """Follow the reader's last move on the track, once; at its end the machine follows the run. Whether there was a new move."""
        if asked is None or asked[1] == self.stamp:
            return False
        self.at, self.stamp = (None if asked[0] >= newest else asked[0]), asked[1]
        return True

    def by(self, moments: int, steps: list[int]) -> None:
        """So many kept moments on, or (below 0) back; at the end the machine follows the run."""
        at = steps[-1] if self.at is None else self.at
        now = min(range(len(steps)), key=lambda i: abs(steps[i] - at))
        there = min(max(now + moments, 0), len(steps) - 1)
        self.at = None if there == len(steps) - 1 else steps[there]

    @property
    def place(self) -> dict[str, int]:
        """Where it stands, as words of the address; what stands where it begins has none."""
        words = {
            "at": self.at,
            "pin_a": self.pins["A"],
            "pin_b": self.pins["B"],
            "layer": self.layer + 1 if self.layer else None,
        }
        return {word: value for word, value in words.items() if value is not None}

    def go(self, params: Mapping[str, str]) -> None:
        """Stand where an address says."""
        self.at = number_of(params, "at")
        self.pins = {"A": number_of(params, "pin_a"), "B": number_of(params, "pin_b")}
        self.layer = max(number_of(params, "layer") or 1, 1) - 1

    def settle(self, newest: int) -> None:
        """A link may name steps that this start of the run has not come to."""
        self.at = None if self.at is None or self.at >= newest else self.at
        self.pins = {name: None if step is None or step > newest else step for name, step in self.pins.items()}

    def pin(self, **steps: int | None) -> None:
        """Pin A, B or both to a step, or (None) take the pin away."""
        self.pins = self.pins | steps

    def leave(self) -> None:
        """Give the branch up."""
        if self.branch is not None:
            self.branch.run.leave()
        self.branch, self.shows_branch = None, False


@dataclass(frozen=True)
class Source:
    """One run to look back on. steps: its kept moments of the present epoch, rising;  checkpoints: where branches can start."""

    update: Update
    steps: list[int]
    checkpoints: list[int]
    traces_at: Callable[[int], list[RoutingTrace]]
    choices: Callable[[int], tuple[list[int], np.ndarray]]
    rows: Callable[[], pd.DataFrame]
    """Every kept row of the history; the update holds a thinned view of it."""
    script: Script | None = None
    """What was done so far, without figures; None for the recording."""
    run_id: str | None = None
    is_recorded: bool = False

    @property
    def done(self) -> list[Event]:
        """What was done in the present epoch."""
        events = self.script.events if self.script is not None else ()
        return [event for event in events if event.epoch == self.update.epoch]

    def nearest(self, step: int | None) -> int:
        """The kept step nearest to `step` (None: the newest)."""
        return self.steps[-1] if step is None else min(self.steps, key=lambda kept: abs(kept - step))


def session_time_machine() -> TimeMachine:
    """The session's time machine for its present run: where the session left it, or (in a new session) as the address says."""
    run = current()

    def begin(old: TimeMachine | None) -> TimeMachine:
        made = (
            TimeMachine(beginning=run.beginning) if old is None else TimeMachine(beginning=run.beginning, word=old.word)
        )
        # not read yet, it was not known which start of the run this is
        if params := place_to_go(run, begins=old is None or old.beginning == (run.run_id, -1)):
            made.go(params)
        return made

    return of_run(STATE, run.beginning, begin)


def follow_back() -> bool:
    """After Back or Forward the machine stands where the address says; whether it was that."""
    machine, params = session_time_machine(), place_to_go(current(), begins=False)
    if params is None or "v" not in params:
        return False
    machine.go(params)
    machine.written = machine.place
    return True


def lab_source(machine: TimeMachine) -> Source:
    """The session's lab run; the recording where there is none yet, or where the training process is gone."""
    run = current()
    if run.run_id is None:
        return recorded_source()  # to look back opens no run
    if run.latest is None or time.monotonic() - machine.read_at > FRESH_S:
        run.poll()
        machine.read_at = time.monotonic()
        if machine.branch is not None:
            _read_branch(machine, machine.branch)
    if run.run_id is None or run.latest is None or run.lost:
        return recorded_source()
    return _live(machine, run, run.latest)


def branch_source(machine: TimeMachine) -> Source | None:
    """The branch as a source; None where there is none, or before its first reading."""
    run = None if machine.branch is None else machine.branch.run
    return None if run is None or run.latest is None else _live(machine, run, run.latest)


def recorded_source() -> Source:
    """The shipped recording."""
    history = recorded_run().history
    steps = [step for epoch, step in history.keyframes.steps() if epoch == history.epoch]
    return Source(
        recorded(),
        steps,
        [],
        lambda step: kept.traces if (kept := history.nearest_keyframe(step)) else [],
        lambda layer: history.keyframes.first_choices(layer, history.epoch),
        lambda: history.rows(limit=None),
        is_recorded=True,
    )


def start_branch(run: SessionRun, machine: TimeMachine, step: int, word: str | None, value: Any) -> None:
    """Fork the lab run at `step` with one knob changed (None: none); a refusal is kept for the page to say."""
    machine.problem = None
    knobs = {word: value} if word else {}
    epoch = None if run.latest is None else run.latest.epoch
    forked = run.ask(
        lambda engine: engine.fork(run.open_id, step, epoch, **knobs), partial(setattr, machine, "problem")
    )
    if forked is None:
        return
    run_id, start = forked
    machine.leave()
    lease(run_id)
    machine.branch = Branch(BranchRun(change(run.config, **knobs), run_id), start, step, word, value)
    machine.read_at = 0.0


def _read_branch(machine: TimeMachine, branch: Branch) -> None:
    branch.run.poll()
    for notice in branch.run.notices:
        machine.problem = notice if isinstance(notice, EngineError) else machine.problem
    branch.run.notices.clear()
    if branch.run.ended:
        machine.branch, machine.shows_branch = None, False


def _live(machine: TimeMachine, run: SessionRun, update: Update) -> Source:
    """Raises EngineError where the engine does not answer."""
    run_id = run.open_id
    known = machine.sources.get(run_id)
    if known is not None and known.update is update:
        return known
    now = update.epoch
    steps = [step for epoch, step in engine().keyframe_steps(run_id) if epoch == now]
    checkpoints = [step for epoch, step in engine().checkpoint_steps(run_id) if epoch == now]
    source = Source(
        update,
        steps,
        checkpoints,
        lru_cache(MOST_TRACES)(lambda step: engine().keyframe(run_id, step, now)),
        lambda layer: engine().first_choices(run_id, layer, now),
        every_row({"lab": run_id}, [update.history]),
        engine().script(run_id, figures=False),
        run_id,
    )
    ids = {current().run_id, machine.branch.run.run_id if machine.branch is not None else None}
    machine.sources = {name: kept for name, kept in machine.sources.items() if name in ids} | {run_id: source}
    return source

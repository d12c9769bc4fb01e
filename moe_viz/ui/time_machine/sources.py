"""Where the time machine's moments come from: the session's lab run, a branch of it, or the shipped recording; and what the reader pinned.

Each source answers the same four questions: which moments are kept, how was the probe batch routed then, what were the first choices
over the run, what did the history say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from moe_viz.engine.protocol import EngineError, Update, WorkerLost
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig
from moe_viz.ui.session.recorded import recorded, recorded_run
from moe_viz.ui.session.run import LabRun, current, engine, lease
from moe_viz.ui.widgets.download import every_row

STATE = "time_machine"
MOST_TRACES = 32
"""Moments that are held ready between two readings: both pins, and those just passed."""
FRESH_S = 0.8
"""A run read less than this ago is not read again: scrubbing must not wait for a new snapshot of the present."""


@dataclass
class Branch:
    """A run that left the lab run: from which step, after which moment was asked for, and the knob that differs (None: none does)."""

    run: str
    start: int
    asked: int
    word: str | None
    value: Any
    latest: Update | None = None
    playing: bool = True


@dataclass
class Machine:
    """What the reader has chosen on the page. at: the step on screen, None = the newest."""

    at: int | None = None
    stamp: float = 0.0
    layer: int = 0
    epoch: int | None = None
    pins: dict[str, int | None] = field(default_factory=lambda: {"A": None, "B": None})
    branch: Branch | None = None
    shows_branch: bool = False
    draft: RunConfig | None = None
    word: str = "balance_coef"
    problem: EngineError | None = None
    read_at: float = 0.0
    sources: dict[str, Source] = field(default_factory=dict)
    """Run id -> its source as of the last reading: between two readings nothing is asked twice."""
    strips: tuple[Any, list[Any]] | None = None
    """What the charts below the picture were made from, and the charts: a move of the track does not touch them."""

    def begin(self, epoch: int) -> None:
        """Forget positions of an earlier (re)start: its steps mean other moments."""
        if epoch != self.epoch:
            self.epoch, self.at, self.pins = epoch, None, {"A": None, "B": None}

    def move(self, asked: tuple[int, float] | None, newest: int) -> bool:
        """Follow the reader's last move on the track, once; at its end the machine follows the run. Whether there was a new move."""
        if asked is None or asked[1] == self.stamp:
            return False
        self.at, self.stamp = (None if asked[0] >= newest else asked[0]), asked[1]
        return True

    def pin(self, **steps: int | None) -> None:
        """Pin A, B or both to a step, or (None) take the pin away."""
        self.pins = self.pins | steps

    def leave_branch(self) -> None:
        if self.branch is not None:
            engine().release(self.branch.run)
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
    is_recorded: bool = False

    def nearest(self, step: int | None) -> int:
        """The kept step nearest to `step` (None: the newest)."""
        return self.steps[-1] if step is None else min(self.steps, key=lambda kept: abs(kept - step))


def machine() -> Machine:
    """The session's time machine."""
    if STATE not in st.session_state:
        st.session_state[STATE] = Machine()
    return st.session_state[STATE]


def lab_source(found: Machine) -> Source:
    """The session's lab run; the recording where there is none yet, or where the training process is gone."""
    run = current()
    if run.run is None or run.lost:
        return recorded_source()
    if run.latest is None or time.monotonic() - found.read_at > FRESH_S:
        run.poll()
        found.read_at = time.monotonic()
        _read_branch(run, found)
    if run.latest is None or run.lost:
        return recorded_source()
    try:
        return _live(found, run.run, run.latest)
    except WorkerLost:
        run.lost = True
        return recorded_source()


def branch_source(found: Machine) -> Source | None:
    """The branch as a source; None where there is none, or before its first reading."""
    branch = found.branch
    return None if branch is None or branch.latest is None else _live(found, branch.run, branch.latest)


def recorded_source() -> Source:
    """The shipped recording."""
    history = recorded_run().history
    steps = [step for epoch, step in history.keyframes.steps() if epoch == history.epoch]
    return Source(
        recorded(),
        steps,
        [],
        lambda step: history.nearest_keyframe(step).traces,
        lambda layer: history.keyframes.first_choices(layer, history.epoch),
        lambda: history.rows(limit=None),
        is_recorded=True,
    )


def start_branch(run: LabRun, found: Machine, step: int, word: str | None, value: Any) -> None:
    """Fork the lab run at `step` with one knob changed (None: none); a refusal is kept for the page to say."""
    found.problem = None
    try:
        name, start = engine().fork(run.run, step, found.epoch, **({word: value} if word else {}))
    except WorkerLost:
        run.lost = True
        return
    except EngineError as error:
        found.problem = error
        return
    found.leave_branch()
    lease(name)
    found.branch = Branch(name, start, step, word, value)
    found.read_at = 0.0


def _read_branch(run: LabRun, found: Machine) -> None:
    branch = found.branch
    if branch is None or run.lost:
        return
    try:
        branch.latest = engine().read(branch.run)
        branch.playing = branch.latest.playing
    except WorkerLost:
        run.lost = True
    except EngineError as error:
        found.problem, found.branch, found.shows_branch = error, None, False


def _live(found: Machine, run: str, update: Update) -> Source:
    if run in found.sources and found.sources[run].update is update:
        return found.sources[run]
    now = update.epoch
    steps = [step for epoch, step in engine().keyframe_steps(run) if epoch == now]
    checkpoints = [step for epoch, step in engine().checkpoint_steps(run) if epoch == now]
    source = Source(
        update,
        steps,
        checkpoints,
        lru_cache(MOST_TRACES)(lambda step: engine().keyframe(run, step, now)),
        lambda layer: engine().first_choices(run, layer, now),
        every_row({"lab": run}, [update.history]),
    )
    runs = {current().run, found.branch.run if found.branch is not None else None}
    found.sources = {name: kept for name, kept in found.sources.items() if name in runs} | {run: source}
    return source

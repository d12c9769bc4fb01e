"""Study: the session's close look at its run, and at the same run with its router frozen, both at one stated step.

A tick looks at a young run by itself (`watch`), later only the reader does: `update` looks at the run as it is now; `follow` lets the frozen
twin train up to that very step and looks at it, too. Figures are kept until the next look, so that a redrawn page costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import Engine, EngineError
from moe_viz.records.analysis import Ablation, Analysis
from moe_viz.spec import RunConfig
from moe_viz.ui.session.page_state import of_run
from moe_viz.ui.session.run import SessionRun, current
from moe_viz.ui.session.watched import lease, owner
from moe_viz.ui.words import in_words

STATE = "study"
YOUNG = 200
"""Steps after which the reader alone decides when to look again."""
NOT_COMPARED = ("speed", "freeze_router")
"""Words in which a twin may differ from its run."""


@dataclass
class Study:
    """learned, frozen: the looks at the run and at its twin (None: none yet). twin: the twin's run; steps: how far it has come; shown_steps: how far the page says."""

    learned: Analysis | None = None
    frozen: Analysis | None = None
    twin: str | None = None
    twin_config: dict[str, Any] | None = None
    steps: int = 0
    shown_steps: int = 0
    refusal: str = ""
    shuffled_labels: bool = False
    frozen_router: bool = False
    """The two controls, kept here because a page forgets the widgets of another page."""
    ablations: dict[tuple[str, int], Ablation] = field(default_factory=dict)
    _kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def look(self) -> Analysis:
        """The newest look at the run. Raises ValueError before the first."""
        if self.learned is None:
            raise ValueError("nothing has been looked at yet")
        return self.learned

    @property
    def pending(self) -> bool:
        """The twin is still on its way to the step looked at."""
        return self.learned is not None and self.frozen is None and not self.refusal

    def keep(self, key: Any, make: Callable[[], Any]) -> Any:
        """The figure or number of `key`, made once per look."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def watch(self, run: SessionRun, step: int) -> bool:
        """The first look, and another one each time a young run has doubled its steps: in its first steps there is little to see.

        Not while something rests on the present look: the frozen twin, or experts switched off. Whether it has looked.
        """
        if self.refusal or (self.learned is not None and not self._is_early(self.learned, step)):
            return False
        self.update(run)
        return True

    def _is_early(self, learned: Analysis, step: int) -> bool:
        rests = self.frozen_router or self.ablations
        return learned.step < YOUNG and step >= max(10, 2 * learned.step) and not rests

    def update(self, run: SessionRun) -> None:
        """Look at the run as it is now."""
        if run.lost:
            return
        learned = run.ask(lambda engine: engine.analyse(run.open_id), self._refuse)
        if learned is None:
            return
        self.learned, self.frozen, self.refusal = learned, None, ""
        self.ablations.clear()
        self._kept.clear()

    def _refuse(self, error: EngineError) -> None:
        self.refusal = in_words(error)

    def follow(self, run: SessionRun) -> None:
        """Let the frozen twin train on towards the step looked at; look at it once it is there. Cheap: ask as often as the page ticks."""
        if self.pending and not run.lost:
            run.ask(self._follow, self._lose_twin)

    def _follow(self, engine: Engine) -> None:
        learned = self.look
        twin = self._open_twin(engine, learned)
        self.steps = engine.train_to(twin, learned.step)
        if self.steps > learned.step:  # the run has begun again since
            engine.reset(twin)
            self.steps = engine.train_to(twin, learned.step)
        if self.steps == learned.step:
            self.frozen = engine.analyse(twin)

    def _lose_twin(self, error: EngineError) -> None:
        self.twin, self.refusal = None, in_words(error)

    def _open_twin(self, engine: Engine, learned: Analysis) -> str:
        """The frozen run of the same settings, opened where there is none; its id."""
        wanted = {word: value for word, value in learned.config.items() if word not in NOT_COMPARED}
        if self.twin is not None and self.twin_config == wanted:
            return self.twin
        if self.twin is not None:
            engine.release(self.twin)
        config = RunConfig.from_flat({**wanted, "speed": "full", "freeze_router": True})
        twin = engine.open(config, playing=False, owner=owner())
        self.twin, self.twin_config = twin, wanted
        return lease(twin)

    def leave(self) -> None:
        """Give the twin up."""
        if self.twin is not None:
            engine().release(self.twin)
        self.twin = None

    def ablate(self, run: SessionRun, layer: int, which: str, progress: Callable[[float], Any]) -> None:
        """Switch the experts of one layer off, one call each, so that other runs have their turn in between."""
        seen, of = (self.learned, run.run_id) if which == "learned" else (self.frozen, self.twin)
        if seen is None or of is None:  # given up meanwhile
            return
        n_experts = seen.traces[layer].n_experts
        losses: list[np.ndarray] = []
        for done, expert in enumerate([None, *range(n_experts)]):
            loss = run.ask(lambda engine, expert=expert: engine.switch_off(of, seen.step, layer, expert))
            if loss is None:
                return
            losses.append(loss)
            progress((done + 1) / (n_experts + 1))
        base, off = losses[0], np.stack(losses[1:])
        group = seen.sequence_groups()[: len(base)]  # the first half of the batch where experts are many
        self.ablations[which, layer] = Ablation(seen.step, layer, group, base, off)


def session_study() -> Study:
    """The session's study of its present run; the two controls are the reader's and stay."""

    def begin(old: Study | None) -> Study:
        return Study() if old is None else Study(shuffled_labels=old.shuffled_labels, frozen_router=old.frozen_router)

    return of_run(STATE, current().beginning, begin)

"""The calls of the engine that look closely at one moment of a run, apart from the host's scheduling.

A reference run (the same config with its router frozen) is trained up to the very step that is looked at, and no further; an expert is
switched off in a call of its own, so that other runs have their turn in between.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.worker.run_calls import RunCalls
from moe_viz.records import mixture as mixtures
from moe_viz.records.analysis import Analysis
from moe_viz.records.assignment import AssignmentLosses
from moe_viz.records.gate_map import GateMap
from moe_viz.records.model_size import ModelSize
from moe_viz.records.step_story import StepStory


class AnalysisCalls(RunCalls):
    """A part of `Host`."""

    def all_rows(self, run_id: str) -> pd.DataFrame:
        return self._ask(run_id, lambda trainer: trainer.history.rows(limit=None))

    def analyse(self, run_id: str) -> Analysis:
        return self._ask(run_id, lambda trainer: trainer.analyse(), "network")

    def switch_off(self, run_id: str, step: int, layer: int, expert: int | None) -> np.ndarray:
        return self._ask(run_id, lambda trainer: trainer.switch_off(step, layer, expert), "network")

    def look(self, run_id: str, names: list[str]) -> dict[str, Any]:
        return self._ask(run_id, lambda trainer: trainer.look(names), "network")

    def measure(self, run_id: str, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return self._ask(run_id, lambda trainer: trainer.measure(kind, wanted), "network")

    def gate_map(self, run_id: str, layer: int, resolution: int = 64) -> GateMap:
        return self._ask(run_id, lambda trainer: trainer.gate_map(layer, resolution), "network")

    def model_size(self, run_id: str) -> ModelSize:
        return self._ask(run_id, lambda trainer: trainer.model_size(), "network")

    def dissect(self, run_id: str, token: int, layer: int) -> StepStory:
        return self._ask(run_id, lambda trainer: trainer.dissect(token, layer), "network")

    def assignment_losses(self, run_id: str, deal: int) -> AssignmentLosses:
        return self._ask(run_id, lambda trainer: trainer.assignment_losses(deal), "network")

    def train_to(self, run_id: str, step: int) -> int:
        run = self._find(run_id)
        if not run.healthy:
            raise run.failure or EngineError(str(run.trainer.message))
        run.refuse_while_it_plays()
        # compared with at every turn of the host: only here a wrong one harms nobody
        run.until = operator.index(step)
        run.playing = True
        return run.trainer.step_number

    def mixture(self, run_id: str, step: int | None = None) -> mixtures.MixturePicture:
        return self._ask(run_id, lambda run: run.picture(step), "mixture")

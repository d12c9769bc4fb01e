"""Analysing: the calls of the engine that look closely at one moment of a run, apart from the host's scheduling.

A reference run (the same config with its router frozen) is trained up to the very step that is looked at, and no further; an expert is
switched off in a call of its own, so that other runs have their turn in between.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.worker.hosted_run import HostedRun
from moe_viz.records.analysis import Analysis
from moe_viz.records.gate_map import GateMap


class Analysing:
    """Needs `_find(run) -> HostedRun` (renews the lease) and `_guard(run, request)` (a request on the trainer that the run pays for)."""

    _find: Callable[[str], HostedRun]
    _guard: Callable[[HostedRun, Callable[[], Any]], Any]

    def all_rows(self, run: str) -> pd.DataFrame:
        found = self._find(run)
        return self._guard(found, lambda: found.trainer.history.rows(limit=None))

    def analyse(self, run: str) -> Analysis:
        found = self._find(run)
        return self._guard(found, found.trainer.analyse)

    def switch_off(self, run: str, step: int, layer: int, expert: int | None) -> np.ndarray:
        found = self._find(run)
        return self._guard(found, lambda: found.trainer.switch_off(step, layer, expert))

    def gate_map(self, run: str, layer: int, resolution: int = 64) -> GateMap:
        found = self._find(run)
        return self._guard(found, lambda: found.trainer.gate_map(layer, resolution))

    def train_to(self, run: str, step: int) -> int:
        found = self._find(run)
        if not found.healthy:
            raise found.failure or EngineError(str(found.trainer.message))
        found.until = operator.index(
            step
        )  # compared with at every turn of the host: only here a wrong one harms nobody
        found.playing = True
        return found.trainer.step_number

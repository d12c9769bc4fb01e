"""Calls of the engine as they are carried to a training process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.engine.protocol import KeptRun
from moe_viz.records.analysis import Analysis
from moe_viz.records.gate_map import GateMap
from moe_viz.records.step_story import StepStory


class AnalysingClient:
    """The same calls where they are carried to a training process. Needs `_call(name, *args)`."""

    _call: Callable[..., Any]

    def all_rows(self, run: str) -> pd.DataFrame:
        return self._call("all_rows", run)

    def analyse(self, run: str) -> Analysis:
        return self._call("analyse", run)

    def switch_off(self, run: str, step: int, layer: int, expert: int | None) -> np.ndarray:
        return self._call("switch_off", run, step, layer, expert)

    def gate_map(self, run: str, layer: int, resolution: int = 64) -> GateMap:
        return self._call("gate_map", run, layer, resolution)

    def train_to(self, run: str, step: int) -> int:
        return self._call("train_to", run, step)


class DissectingClient:
    """The same call where it is carried to a training process. Needs `_call(name, *args)`."""

    _call: Callable[..., Any]

    def dissect(self, run: str, token: int, layer: int) -> StepStory:
        return self._call("dissect", run, token, layer)


class KeepingClient:
    """The same calls where they are carried to a training process. Needs `_call(name, *args)`."""

    _call: Callable[..., Any]

    def describe(self, runs: list[str]) -> list[KeptRun]:
        return self._call("describe", runs)

    def rename(self, run: str, name: str) -> None:
        self._call("rename", run, name)

    def pin(self, run: str, pinned: bool) -> None:
        self._call("pin", run, pinned)

    def copy(self, run: str) -> str:
        return self._call("copy", run)

    def delete(self, run: str) -> None:
        self._call("delete", run)

    def export(self, run: str) -> bytes:
        return self._call("export", run)

    def import_run(self, data: bytes, name: str = "") -> str:
        return self._call("import_run", data, name)

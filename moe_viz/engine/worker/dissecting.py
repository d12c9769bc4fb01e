"""Dissecting: the engine's call that takes one training step apart, on the host and where it is carried to a training process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moe_viz.engine.worker.hosted_run import HostedRun
from moe_viz.records.step_story import StepStory


class Dissecting:
    """Needs `_find(run) -> HostedRun` (renews the lease) and `_guard(run, request)` (a request on the trainer that the run pays for)."""

    _find: Callable[[str], HostedRun]
    _guard: Callable[[HostedRun, Callable[[], Any]], Any]

    def dissect(self, run: str, token: int, layer: int) -> StepStory:
        found = self._find(run)
        return self._guard(found, lambda: found.trainer.dissect(token, layer))

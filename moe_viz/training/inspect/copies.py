"""Copies of a run and of its model on their device, to be looked at while the run goes on. Nothing is read by the host."""

from __future__ import annotations

import copy
from typing import TypeVar

from moe_viz.models import Model
from moe_viz.records.history import History
from moe_viz.training.metrics.statistics import Statistics
from moe_viz.training.run import Run
from moe_viz.training.step import make_optimizer

M = TypeVar("M", bound=Model)


def copied_model(model: M) -> M:
    """The model without what its last forward pass left behind (tensors with a graph cannot be copied)."""
    routings, model.routings = model.routings, []
    try:
        return copy.deepcopy(model)
    finally:
        model.routings = routings


def twin_of(run: Run) -> Run:
    """A run that makes the same next step with a model and an optimiser of its own; it shares the rest and has no history."""
    twin = copy.copy(run)
    twin.model = copied_model(run.model)
    twin.optimizer = make_optimizer(twin.model)
    for theirs, ours in zip(run.model.parameters(), twin.model.parameters(), strict=True):
        if theirs in run.optimizer.state:
            kept = run.optimizer.state[theirs]
            twin.optimizer.state[ours] = {name: moment.clone() for name, moment in kept.items()}
    twin.statistics = Statistics(len(twin.model.moe_layers), run.config.n_experts, run.device, rows=2)
    twin.history = History()
    return twin

"""The gate map of a run whose data lie in the plane: every place of a grid through the present model, without touching the run."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from moe_viz.moe import Routing
from moe_viz.records.gate_map import GateMap, grid
from moe_viz.spec import causality_of
from moe_viz.tasks import Batch, observing
from moe_viz.tasks.plane import PlaneTask
from moe_viz.training.devices import random_stream
from moe_viz.training.inspect.traces import first_choice
from moe_viz.training.run import Run
from moe_viz.training.transfer import to_host

RESOLUTIONS = (8, 128)


def gate_map(run: Run, layer: int, resolution: int) -> GateMap:
    """Made anew. Raises ValueError for another task, a layer that is not there, and a resolution that is out of range."""
    task, layers = run.task, run.model.moe_layers
    if not isinstance(task, PlaneTask):
        raise ValueError(f"task = {run.config.task.name!r} does not lie in the plane: it has no gate map")
    if not 0 <= layer < len(layers):
        raise ValueError(f"layer = {layer} must be 0 to {len(layers) - 1}")
    if not RESOLUTIONS[0] <= resolution <= RESOLUTIONS[1]:
        raise ValueError(f"resolution = {resolution} must be {RESOLUTIONS[0]} to {RESOLUTIONS[1]}")
    places = grid(resolution)
    shape = (resolution, resolution)
    looks = [_look(run, batch, layer) for batch in (_batch(task, places), task.held_out, *_left_half(run, places))]
    ((routing, predicted), (held_out, answers), *alone), targets = to_host((looks, task.held_out.targets))
    owner, prediction = first_choice(routing), predicted.numpy()
    points, classes = task.shown
    return GateMap(
        step=run.step_number,
        epoch=run.epoch,
        layer=layer,
        router=run.config.router.name,
        owner=owner.reshape(shape),
        probs=routing.probs.float().numpy().reshape(*shape, -1),
        prediction=prediction.reshape(shape).astype(np.int16),
        points=points.astype(np.float32),
        classes=classes.astype(np.int16),
        held_out_owner=first_choice(held_out),
        held_out_correct=answers.numpy() == targets.numpy(),
        batch_dependent=any(bool((first_choice(left) != owner[places[:, 0] < 0]).any()) for left, _ in alone),
    )


def _left_half(run: Run, places: np.ndarray) -> list[Batch]:
    """The left half of the places as a batch of its own: a router that is not causal may route it otherwise."""
    assert isinstance(run.task, PlaneTask)
    return (
        []
        if causality_of(run.config) or run.config.router.facts.stochastic_eval
        else [_batch(run.task, places[places[:, 0] < 0])]
    )


def _look(run: Run, batch: Batch, layer: int) -> tuple[Routing, Tensor]:
    """The routing of a batch in one layer, and the predicted classes [T], on the device."""
    model = run.model
    assert isinstance(run.task, PlaneTask)
    with random_stream(run.device, "look", run.config.seed, run.step_number), observing(model):
        outputs = model(batch)
        return model.routings[layer], run.task.predict(outputs)


def _batch(task: PlaneTask, places: np.ndarray) -> Batch:
    return task.batch(places, np.zeros(len(places), dtype=np.int64))


__all__ = ["gate_map"]

"""The gate map of a run whose data lie in the plane: every place of a grid through the present model, without touching the run."""

from __future__ import annotations

import numpy as np

from moe_viz.moe import Routing
from moe_viz.records.gate_map import GateMap, grid
from moe_viz.tasks import Batch, observing
from moe_viz.tasks.plane import PlaneTask
from moe_viz.training.devices import random_stream
from moe_viz.training.inspect.traces import first_choice
from moe_viz.training.run import Run

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
    routing, prediction = _look(run, _batch(task, places), layer)
    owner = first_choice(routing)
    held_out, answers = _look(run, task.held_out, layer)
    points, classes = task.shown
    return GateMap(
        step=run.step_number,
        epoch=run.epoch,
        layer=layer,
        router=run.config.router.name,
        owner=owner.reshape(shape),
        probs=routing.probs.detach().float().cpu().numpy().reshape(*shape, -1),
        prediction=prediction.reshape(shape).astype(np.int16),
        points=points.astype(np.float32),
        classes=classes.astype(np.int16),
        held_out_owner=first_choice(held_out),
        held_out_correct=answers == task.held_out.targets.cpu().numpy(),
        batch_dependent=_depends_on_batch(run, places, owner, layer),
    )


def _depends_on_batch(run: Run, places: np.ndarray, owner: np.ndarray, layer: int) -> bool:
    """Whether the left half of the places is routed otherwise when it comes alone. Only routers whose card says so can do that."""
    facts = run.config.router.facts
    if facts.causal or facts.stochastic_eval:
        return False
    left = places[:, 0] < 0
    assert isinstance(run.task, PlaneTask)
    routing, _ = _look(run, _batch(run.task, places[left]), layer)
    return bool((first_choice(routing) != owner[left]).any())


def _look(run: Run, batch: Batch, layer: int) -> tuple[Routing, np.ndarray]:
    """The routing of a batch in one layer, and the predicted classes [T]."""
    model = run.model
    assert isinstance(run.task, PlaneTask)
    with random_stream(run.device, "look", run.config.seed, run.step_number), observing(model):
        outputs = model(batch)
        return model.routings[layer], run.task.predict(outputs).cpu().numpy()


def _batch(task: PlaneTask, places: np.ndarray) -> Batch:
    return task.batch(places, np.zeros(len(places), dtype=np.int64))


__all__ = ["gate_map"]

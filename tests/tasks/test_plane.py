"""The task `plane`: its shapes are what their names say, painted points replace them, borders are as straight as declared."""

import numpy as np
import pytest
import torch

from moe_viz.models import build_model
from moe_viz.spec import RunConfig
from moe_viz.spec.points import encode_points
from moe_viz.tasks import make_task
from moe_viz.tasks.plane import JITTER, SHAPES, places_of_grid

CPU = torch.device("cpu")
N_CLASSES = {"moons": 2, "rings": 3, "checker": 2, "spiral": 3, "waves": 4}


def plane(**options):
    return make_task(RunConfig(task={"name": "plane", **options}), CPU)


def places(batch):
    return batch.inputs[:, 1:3].numpy() / 3.4


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_have_their_classes_and_stay_in_the_square(shape):
    task = plane(shape=shape)
    batch = task.train_batch(3, 0)
    assert torch.equal(batch.inputs, plane(shape=shape).train_batch(3, 0).inputs)
    assert np.abs(places(batch)).max() <= 1 + 1e-6
    shares = np.bincount(task.held_out.targets, minlength=4) / len(task.held_out.targets)
    assert (shares > 0.1).sum() == N_CLASSES[shape] and (shares[N_CLASSES[shape] :] == 0).all()


def test_every_shape_is_one_declared():
    field = RunConfig(task="plane").fields()["shape"]
    assert set(field.annotation.__args__) == SHAPES.keys()


def test_rings_are_told_apart_by_their_radius_alone():
    batch = plane(shape="rings").held_out
    radius = np.linalg.norm(places(batch), axis=1)
    assert (np.clip(np.floor((radius - 0.01) / 0.32), 0, 2) == batch.targets.numpy()).mean() > 0.98


def test_painted_points_replace_the_shape():
    painted = [(0, 0, 3), (255, 128, 1)]
    task = plane(points=encode_points(painted))
    batch = task.held_out
    homes = places_of_grid(np.array([[0, 0], [255, 128]]))
    for home, label in zip(homes, (3, 1), strict=True):
        near = np.linalg.norm(places(batch) - home, axis=1) < 6 * JITTER
        assert near.mean() > 0.4 and (batch.targets.numpy()[near] == label).all()
    assert task.shown[0].tolist() == homes.tolist() and task.shown[1].tolist() == [3, 1]
    assert set(task.probe_labels.group) == {"D", "B"}


def test_a_straight_lift_makes_every_score_an_affine_function_of_the_place():
    task = plane(lift="straight")
    model = build_model(task.config, task)
    corners = np.array([[-1, -1], [1, -1], [-1, 1], [0.5, 0.25]])
    model(task.batch(corners, np.zeros(4, np.int64)))
    logits = model.routings[0].logits.double()
    a, b, c, inside = logits
    assert torch.allclose(a + 0.75 * (b - a) + 0.625 * (c - a), inside, atol=1e-5)
    assert not torch.allclose(a + b, torch.zeros_like(a), atol=1e-3)


def test_a_token_without_an_output_predicts_nothing():
    outputs = torch.zeros(2, 16)
    outputs[1, 2] = 1
    assert plane().predict(outputs).tolist() == [-1, 2]


@pytest.mark.parametrize("lift", ["curved", "straight"])
def test_the_spiral_is_learned(lift):
    from moe_viz.training import Trainer

    trainer = Trainer(RunConfig(task={"name": "plane", "lift": lift}, device="cpu"))
    trainer.run(400)
    assert trainer.snapshot().metrics["task_metric"] > 0.85

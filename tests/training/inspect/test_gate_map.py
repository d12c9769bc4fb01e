"""The gate map against the router itself: owners and probabilities at the places of the grid, and a run that is left as it was."""

import numpy as np
import pytest
import torch

from moe_viz.records.gate_map import grid, regions
from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.training import Trainer
from tests.records.gate_map_field import field_of


def plane(router="switch", **knobs):
    return Trainer(
        RunConfig(task=knobs.pop("task", "plane"), router=router, n_experts=6, batch_tokens=64, device="cpu", **knobs)
    )


def test_the_map_is_what_the_gate_says_at_each_place():
    trainer = plane()
    trainer.run(20)
    found = trainer.gate_map(0, 16)
    task, router = trainer.task, trainer.model.moe_layers[0].router
    for row, column in ((0, 0), (3, 11), (15, 2), (8, 8)):
        place = np.array([[(column + 0.5) / 8 - 1, (row + 0.5) / 8 - 1]])
        probs = (torch.from_numpy(task.lift(place)).float() @ router.gate.weight.T).softmax(-1)[0]
        assert np.allclose(found.probs[row, column], probs.detach().numpy(), atol=1e-5)
        assert found.owner[row, column] == int(probs.argmax())
        assert field_of(*place[0], 16) == (row, column)
    assert found.step == 20 and not found.batch_dependent


def test_fields_fill_the_square_from_below():
    assert grid(2).tolist() == [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]
    assert field_of(-5, 5, 64) == (63, 0)


def test_regions_add_up_to_the_plane_and_to_the_accuracy():
    trainer = plane({"name": "switch", "capacity_factor": 0.5}, task={"name": "plane", "shape": "rings"})
    trainer.run(60)
    table = regions(trainer.gate_map(0, 32))
    assert table["share"].sum() == pytest.approx(1)
    weighted = (table["held_out"] * table["accuracy"].fillna(0)).sum() / table["held_out"].sum()
    assert float(weighted) == pytest.approx(trainer.snapshot().metrics["task_metric"], abs=1e-6)


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_every_gate_has_a_map(router):
    trainer = plane(router)
    trainer.run(2)
    found = trainer.gate_map(0, 16)
    assert found.owner.shape == (16, 16) and found.probs.shape == (16, 16, 6)
    assert found.owner.min() >= -1 and found.owner.max() < 6 and (found.owner >= 0).any()
    assert found.batch_dependent == (router == "expert_choice")
    assert regions(found)["share"].sum() == pytest.approx(1)


def test_a_hash_gate_owns_whole_fields_of_the_board():
    owner = plane("hash").gate_map(0, 16).owner
    assert (owner == np.kron(owner[::2, ::2], np.ones((2, 2), np.int16))).all() and len(np.unique(owner)) == 6


def test_looking_changes_nothing_and_is_kept_for_its_step():
    plain, looked = plane("noisy_topk"), plane("noisy_topk")
    for trainer in (plain, looked):
        trainer.run(3)
    assert looked.gate_map(0) is looked.gate_map(0)
    for trainer in (plain, looked):
        trainer.run(3)
    states = [trainer.model.state_dict() for trainer in (plain, looked)]
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values()))
    assert looked.gate_map(0).step == 6


def test_refusals_name_the_value():
    with pytest.raises(ValueError, match="'clusters' does not lie in the plane"):
        plane(task="clusters").gate_map(0)
    with pytest.raises(ValueError, match="layer = 1 must be 0 to 0"):
        plane().gate_map(1)
    with pytest.raises(ValueError, match="resolution = 1000 must be 8 to 128"):
        plane().gate_map(0, 1000)

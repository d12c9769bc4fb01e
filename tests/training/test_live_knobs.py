"""Turning knobs while a run trains: what stays, what starts anew, what is said."""

from __future__ import annotations

import math

import pytest
import torch

from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.spec.sentence import Sentence
from moe_viz.training import Trainer
from tests.training.conftest import small


def moment(trainer: Trainer, parameter: torch.nn.Parameter) -> torch.Tensor:
    return trainer.optimizer.state[parameter]["exp_avg"]


def test_switching_router_keeps_experts_gate_and_optimiser_state():
    trainer = Trainer(small(router="topk"))
    trainer.run(5)
    layer = trainer.model.moe_layers[0]
    experts, gate = layer.experts.w1, layer.router.gate.weight
    weight, expert_moment, gate_moment = gate.clone(), moment(trainer, experts).clone(), moment(trainer, gate).clone()
    said = trainer.set(router="switch")
    after = trainer.model.moe_layers[0]
    assert after.experts.w1 is experts
    assert after.router is not layer.router and type(after.router).__name__ == "SwitchRouter"
    assert torch.equal(after.router.gate.weight, weight)
    assert torch.equal(moment(trainer, experts), expert_moment)
    assert torch.equal(moment(trainer, after.router.gate.weight), gate_moment)
    assert gate not in trainer.optimizer.state
    assert trainer.step_number == 5 and trainer.epoch == 0
    assert said == ["Switched Top-k softmax to Switch; the experts and the gate's weights stay."]
    trainer.step()
    assert not torch.equal(after.router.gate.weight, weight), "the new gate trains"


def test_a_gate_that_cannot_be_kept_is_said_to_start_anew():
    trainer = Trainer(small(router="topk"))
    assert "starts anew" in trainer.set(router="hash")[0]
    assert "starts anew" in trainer.set(router="topk")[0]


def test_options_that_only_share_a_name_do_not_restart():
    """`temperature` cannot be turned in a live cosine router, but moving to one that has a temperature of its own is a live change."""
    trainer = Trainer(small(router="sinkhorn"))
    trainer.run(2)
    trainer.set(router="cosine")
    assert trainer.step_number == 2 and trainer.epoch == 0
    trainer.set(temperature=0.9)
    assert trainer.step_number == 0 and trainer.epoch == 1


def test_changing_k_keeps_everything():
    trainer = Trainer(small(router={"name": "topk", "k": 2}))
    trainer.run(3)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.set(k=4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())
    assert trainer.snapshot().traces[0].expert.shape[1] == 4
    assert trainer.snapshot().metrics["load"] is not None
    trainer.run(3)
    assert trainer.snapshot().config["k"] == 4


def test_values_take_effect_at_the_next_step():
    trainer = Trainer(small())
    trainer.set(lr=0.02, shared_vector=4.0, batch_tokens=64, capacity_factor=0.5)
    trainer.step()
    trainer.collect()
    assert trainer.optimizer.param_groups[0]["lr"] == 0.02
    assert trainer.model.shared_vector.norm() == pytest.approx(4.0)
    assert trainer._window.tokens.tolist() == [64]
    assert trainer.snapshot().metrics["drop_rate"][0] > 0


def test_balance_coefficient_pushes():
    loads = []
    for coefficient in (0.0, 1.0):
        trainer = Trainer(small(seed=3, balance_coef=0.0))
        trainer.set(balance_coef=coefficient, shared_vector=8.0)
        trainer.run(60)
        loads.append(trainer.snapshot().metrics["max_load"][0])
    assert loads[1] < loads[0] - 0.2


def test_a_change_that_cannot_be_live_restarts_and_says_so():
    trainer = Trainer(small(n_experts=4))
    trainer.run(5)
    said = trainer.set(n_experts=8, lr=0.001)
    assert trainer.step_number == 0 and trainer.epoch == 1
    assert said == ["Restarted from step 0, because this cannot change in a running model: Experts 4 → 8."]
    assert isinstance(said[0], Sentence) and said[0].values["changes"].parts == (("Experts", "4", "8"),)
    trainer.run(2)
    assert len(trainer.snapshot().metrics["load"][0]) == 8
    rows = trainer.history.rows(limit=None)
    assert list(zip(rows["epoch"], rows["step"])) == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 1), (1, 2)]


def test_reset_repeats_the_run():
    trainer = Trainer(small())
    trainer.run(4)
    trainer.reset()
    assert trainer.step_number == 0 and trainer.epoch == 1
    trainer.run(4)
    rows = trainer.history.rows(limit=None)
    losses = [rows[rows["epoch"] == epoch]["loss"].tolist() for epoch in (0, 1)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("knobs", [{"k": 99}, {"nonsense": 1}, {"lr": -1.0}, {"lr": math.nan}, {"router": "nope"}])
def test_a_refused_knob_changes_nothing(knobs):
    trainer = Trainer(small(router="topk"))
    trainer.run(2)
    before = trainer.config
    with pytest.raises(ValueError):
        trainer.set(**knobs)
    assert trainer.config == before and trainer.step_number == 2 and trainer.epoch == 0


@pytest.mark.parametrize("first", ROUTER_OPTIONS)
def test_every_router_gives_way_to_every_other(first):
    """Live, in both directions, over all layers of a real network; nothing becomes infinite and every probe is traced."""
    trainer = Trainer(small("digits", router=first))
    experts = trainer.model.moe_layers[1].experts.w1
    for other in ROUTER_OPTIONS:
        trainer.set(router=first)
        trainer.run(1)
        trainer.set(router=other)
        trainer.run(1)
        snapshot = trainer.snapshot()
        assert trainer.state == "running", (first, other, trainer.message)
        assert trainer.epoch == 0 and trainer.model.moe_layers[1].experts.w1 is experts
        assert [trace.router for trace in snapshot.traces] == [other] * 2
        assert math.isfinite(snapshot.metrics["loss"]) and math.isfinite(snapshot.metrics["task_metric"])


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_every_router_trains_on_every_task(router):
    for task in ("clusters", "domains"):
        trainer = Trainer(small(task, router=router, micro_batches=2, z_coef=0.001))
        trainer.run(4)
        assert trainer.state == "running", trainer.message
        for trace in trainer.snapshot().traces:
            asked = trace.expert >= 0
            assert asked.any() and trace.expert.max() < trainer.config.n_experts
            assert (trace.slot[asked] >= 0).all() and not trace.kept[~asked].any()

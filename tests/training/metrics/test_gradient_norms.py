"""The gradient ledger: real norms of real gradients, and no trace of it in a run that did not ask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moe_viz.models import build_model
from moe_viz.tasks import make_task
from moe_viz.training import Trainer
from moe_viz.training.devices import random_stream
from moe_viz.training.metrics.gradient_norms import gradient_norms
from tests.training.conftest import small


def test_norms_are_those_of_each_experts_own_gradient():
    config = small(n_experts=4)
    with random_stream(torch.device("cpu"), "test", 0):
        task = make_task(config, torch.device("cpu"))
        model = build_model(config, task)
        batch = task.train_batch(0, 0)
    task.loss(model(batch), batch)[0].backward()
    layer = model.moe_layers[0]
    found = gradient_norms(model)
    assert found.shape == (1, 2, 4)
    for expert in range(4):
        parts = torch.cat([p.grad[expert].flatten() for p in layer.experts.parameters()])
        assert found[0, 0, expert] == pytest.approx(parts.norm().item(), rel=1e-5)
        assert found[0, 1, expert] == pytest.approx(layer.router.gate.weight.grad[expert].norm().item(), rel=1e-5)


def test_shares_are_recorded_per_step_and_sum_to_one():
    trainer = Trainer(small(grad_ledger=True, n_layers=2))
    trainer.run(12)
    metrics, history = trainer.snapshot().metrics, trainer.history.rows(limit=None)
    for name in ("grad_share", "router_grad_share"):
        assert np.array(metrics[name]).shape == (2, 8)
        assert np.array(metrics[name]).sum(1) == pytest.approx(1)
        columns = [f"{name}.1.{e}" for e in range(8)]
        assert history[columns].sum(axis=1).to_numpy() == pytest.approx(np.ones(12), abs=1e-5)


def test_a_run_that_does_not_ask_is_the_same_run_without_the_columns():
    plain, kept = Trainer(small()), Trainer(small(grad_ledger=True))
    for trainer in (plain, kept):
        trainer.run(20)
    ours, theirs = plain.history.rows(limit=None), kept.history.rows(limit=None)
    assert not [name for name in ours if "grad_share" in name]
    assert "grad_share" not in plain.snapshot().metrics
    assert ours.equals(theirs[ours.columns])


def test_switching_it_on_later_leaves_blanks_before():
    trainer = Trainer(small())
    trainer.run(5)
    trainer.set(grad_ledger=True)
    trainer.run(15)
    column = trainer.history.rows(limit=None)["grad_share.0.0"]
    assert column[:5].isna().all() and column[15:].notna().all()


def test_routers_without_rows_have_no_share_of_them():
    trainer = Trainer(small(router="hash", grad_ledger=True))
    trainer.run(3)
    metrics = trainer.snapshot().metrics
    assert sum(metrics["grad_share"][0]) == pytest.approx(1)
    assert metrics["router_grad_share"] == [[None] * 8]


def test_a_collapsed_expert_gets_no_gradient():
    task = {"name": "clusters", "shared_vector": 8.0}
    trainer = Trainer(small(task=task, balance_coef=0.0, grad_ledger=True))
    trainer.run(80)
    metrics = trainer.snapshot().metrics
    load, share = np.array(metrics["load"][0]), np.array(metrics["grad_share"][0])
    assert (load == 0).any(), "some expert gets nothing"
    assert (share[load == 0] == 0).all()
    assert np.corrcoef(load, share)[0, 1] > 0.7

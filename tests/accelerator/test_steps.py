"""Steps on an accelerator: every router, task and live knob; no tensors of two devices meet, the losses are the CPU's, waits are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from moe_viz.moe import ROUTERS, dispatch
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.spec.routers.base import TokenChoice
from moe_viz.training import Trainer
from tests.accelerator.conftest import REAL, turns
from tests.training.conftest import small

WAITS_PER_LAYER = {"expert_choice": 0, "soft": 0, "base": 2}
"""Host reads of a dropless step in float32: one, the counts. The assignment of `base` is solved on the host."""
MOST_KERNELS = 302
"""Launches of one step of the default lab: 2 layers, attention and head, statistics and optimiser."""
WITH_BUFFERS = [name for name, options in ROUTER_OPTIONS.items() if "capacity_factor" in options.model_fields]


def both(task: str = "clusters", **knobs: Any) -> list[Trainer]:
    """The same run on the host and on the accelerator."""
    return [Trainer(small(task, device=device, **knobs)) for device in ("cpu", "cuda")]


def assert_same_losses(runs: list[Trainer], rel: float = 2e-3) -> None:
    losses = [run.history.rows(limit=None)["loss"].to_numpy() for run in runs]
    if not REAL:  # a real one draws other random numbers
        np.testing.assert_allclose(*losses, rtol=rel)
    assert np.isfinite(losses[1]).all()


def turn(runs: list[Trainer], **knobs: Any) -> None:
    for run in runs:
        run.set(**knobs)
        run.step()


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_trains_as_on_the_host_with_each_of_its_live_options(name, accelerator):
    runs = both(router=name, n_layers=1)
    for run in runs:
        run.run(2)
    with accelerator.waits_at_most(WAITS_PER_LAYER.get(name, 1)):
        runs[1].step()
    assert not accelerator.unordered, "every sum has an order"
    runs[0].step()
    shared = () if name == "topk" else TokenChoice.model_fields
    for knob in turns(runs[0].config, runs[0].config.router, known=shared):
        turn(runs, **knob)
    for run in runs:
        run.collect()
    assert_same_losses(runs)


@pytest.mark.parametrize("name", WITH_BUFFERS)
def test_with_finite_buffers_no_step_waits(name, accelerator):
    factor = 1.0 if name != "soft" else None
    trainer = Trainer(small(device="cuda", n_layers=1, router={"name": name, "capacity_factor": factor}))
    trainer.run(2)
    with accelerator.waits_at_most(0):
        trainer.step()
    assert not accelerator.unordered


@pytest.mark.parametrize("task", TASK_OPTIONS)
def test_every_task_trains_as_on_the_host_with_each_live_knob(task, accelerator):
    runs = both(task, router={"name": "topk", "k": 2})
    for run in runs:
        run.run(2)
    with accelerator.waits_at_most(2):
        runs[1].step()
    runs[0].step()
    for part in (runs[0].config.task, *([runs[0].config] if task == "clusters" else [])):
        for knob in turns(runs[0].config, part):
            turn(runs, **knob)
    for run in runs:
        run.collect()
    assert_same_losses(runs)


def test_the_default_lab_waits_once_a_layer_and_launches_few_kernels(accelerator):
    trainer = Trainer(RunConfig.from_flat({"device": "cuda", "batch_tokens": 128}))
    trainer.run(1)
    with accelerator.waits_at_most(trainer.config.n_layers):
        trainer.step()
    assert accelerator.kernels is None or accelerator.kernels <= MOST_KERNELS
    before = accelerator.kernels
    many = Trainer(RunConfig.from_flat({"device": "cuda", "batch_tokens": 128, "n_experts": 64, "d_model": 16}))
    many.run(1)
    with accelerator.waits_at_most(many.config.n_layers):
        many.step()
    assert accelerator.kernels == before, "more experts are not more launches"


def test_a_collapsed_dropless_step_keeps_no_empty_rows(accelerator, monkeypatch):
    """All tokens on one of 8 experts: buffers of the fullest would be seven eighths empty."""
    monkeypatch.setattr(dispatch, "FEW_ROWS", 0)
    plans, plan_sorted = [], dispatch.plan_sorted
    monkeypatch.setattr(dispatch, "plan_sorted", lambda routing: plans.append(1) or plan_sorted(routing))
    runs = both("clusters", router="switch", n_layers=1, balance_coef=0.0)
    for run in runs:
        with torch.no_grad():
            run.model.moe_layers[0].router.gate.weight.zero_()  # a tie: the lowest number takes all
        run.set(freeze_router=True)
        run.run(3)
    assert_same_losses(runs)
    plans.clear()
    with accelerator.waits_at_most(1):
        runs[1].step()
    assert plans


def test_one_router_after_another_moves_into_a_run_on_the_accelerator():
    runs = both(router="topk", n_layers=1)
    for run in runs:
        run.step()
    for name in ROUTERS:
        turn(runs, router=name)
    for run in runs:
        run.collect()
    assert_same_losses(runs, rel=1e-2)


def test_the_knobs_that_have_a_list_are_all_turned():
    turned = [word for knob in turns(small(), small()) for word in knob]
    assert {"balance_scope", "freeze_router", "grad_ledger", "lr", "balance_coef", "batch_tokens"} <= set(turned)


@pytest.mark.skipif(not REAL, reason="no CUDA device here: `make gpu-check` runs this folder on one")
def test_on_a_real_device():
    assert Trainer(small(device="cuda")).device.type == "cuda"

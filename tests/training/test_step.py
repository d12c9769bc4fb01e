"""One step: no waiting for the device, micro-batches that add up, the scope of balancing, the objective."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.training import Trainer
from moe_viz.training.objective import auxiliary_loss, coefficient
from moe_viz.training.step import WARM_UP, learning_rate
from tests.training.conftest import small

LOOKS = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__", "nonzero")
"""Every way in which host code reads a tensor's value, which on an accelerator waits for it."""


@pytest.mark.parametrize("task", ["clusters", "digits", "photo", "domains"])
@pytest.mark.parametrize("scope", ["batch", "sequence", "global"])
def test_a_step_reads_no_tensor(task, scope, monkeypatch):
    knobs = {"micro_batches": 2, "balance_scope": scope, "z_coef": 0.001}
    trainer = Trainer(small(task, router={"name": "topk", "k": 2, "capacity_factor": 1.25}, **knobs))
    trainer.step()
    seen: Counter[str] = Counter()
    for name in LOOKS:
        original = getattr(torch.Tensor, name)

        def counted(self, *args, _name=name, _original=original, **kwargs):
            seen[_name] += 1
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    for _ in range(3):
        trainer.step()
    assert not seen, dict(seen)
    trainer.collect()
    assert seen["cpu"] == 1, "reading all new statistics is one copy"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("task", ["clusters", "digits", "photo", "domains"])
def test_a_step_does_not_synchronise_cuda(task):
    trainer = Trainer(small(task, device="cuda", router={"name": "topk", "k": 2, "capacity_factor": 1.25}))
    trainer.run(2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            trainer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_trains_on_every_device(device):
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[device]
    if not there:
        with pytest.raises(ValueError, match=f"device = '{device}' is not available"):
            Trainer(small(device=device))
        pytest.skip(f"no {device} device here (that it is refused was checked)")
    trainer = Trainer(small("domains", device=device))
    trainer.run(5)
    assert trainer.state == "running" and trainer.device.type == device


def test_micro_batches_give_the_same_gradient():
    """Without auxiliary terms the gradient of a batch is the sum of its parts', so the runs agree up to rounding."""
    runs = [Trainer(small(balance_coef=0.0, micro_batches=parts)) for parts in (1, 4)]
    for run in runs:
        run.run(3)
    losses = [run.history.rows()["loss"].to_numpy() for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    loads = [run.snapshot().metrics["load"] for run in runs]
    assert np.allclose(loads[0], loads[1], atol=0.02)


def test_global_scope_is_the_full_batch_loss():
    """Counts of all micro-batches so far: with one micro-batch, global and batch are the same thing."""
    runs = [Trainer(small(balance_scope=scope)) for scope in ("batch", "global")]
    for run in runs:
        run.run(5)
    assert torch.equal(*(run.model.moe_layers[0].router.gate.weight for run in runs))


def test_scopes_differ_and_are_set_for_the_step_only():
    weights = []
    for scope in ("batch", "sequence", "global"):
        trainer = Trainer(small("domains", balance_scope=scope, micro_batches=2, balance_coef=1.0, batch_tokens=256))
        trainer.run(3)
        router = trainer.model.moe_layers[0].router
        assert router.balance_group is None and router.global_counts is None
        weights.append(router.gate.weight.detach().clone())
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_auxiliary_terms_are_weighted_and_averaged_over_layers():
    config = small(router="topk", balance_coef=0.5, z_coef=0.25)
    routings = [make_router("topk", d_model=16, n_experts=8)(torch.randn(12, 16)) for _ in range(2)]
    expected = sum(0.5 * r.aux["balance"] + 0.25 * r.aux["z"] for r in routings) / 2
    assert auxiliary_loss(routings, config).item() == pytest.approx(expected.item(), rel=1e-6)
    assert [coefficient(name, config) for name in ("importance", "load", "reinforce")] == [0.5, 0.5, 1.0]
    assert auxiliary_loss([], config) == 0


def test_text_warms_up():
    text, points = small("domains", lr=0.01), small("clusters", lr=0.01)
    assert [learning_rate(text, step) for step in (0, WARM_UP - 1, 500)] == pytest.approx([0.01 / WARM_UP, 0.01, 0.01])
    assert learning_rate(points, 0) == 0.01


def test_controllers_see_the_whole_step_once():
    """The bias controller moves once per step, by the counts of all micro-batches."""
    trainer = Trainer(small(router={"name": "deepseek_v3", "bias_step": 0.01}, micro_batches=4))
    trainer.step()
    bias = trainer.model.moe_layers[0].router.bias
    assert set(np.round(bias.abs().tolist(), 6)) <= {0.0, 0.01}
    trainer.collect()
    counts = trainer._window.asked[-1, 0]
    assert counts.sum() == 128 * trainer.config.router.k
    assert np.array_equal(np.sign(bias.numpy()), np.sign(counts.mean() - counts))

"""Memory ends on the accelerator in the middle of something: nothing of it stays, and the next try gives the very same run."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, TooCostly
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.cost import _slots, estimate
from moe_viz.engine.worker.host import Host
from moe_viz.moe.dispatch import plan_buffers
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.accelerator.conftest import REAL
from tests.accelerator.pretended import DEVICE
from tests.engine.fake import FakeTrainer
from tests.training.conftest import small

pytestmark = pytest.mark.skipif(REAL, reason="a real device cannot be told when its memory ends")


def end_memory(at: str, times: int = 1, skip: int = 0) -> None:
    """The operations of this name fail for want of memory, after the first `skip`, `times` times."""
    left = [skip, times]

    def before(name: str) -> None:
        if name == at and left[0] > 0:
            left[0] -= 1
        elif name == at and left[1] > 0:
            left[1] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    DEVICE.before = before


CASES: dict[str, tuple[dict[str, Any], str, int]] = {
    "micro-batches": ({"router": {"name": "topk", "capacity_factor": 2.0}, "micro_batches": 2}, "bmm", 8),
    "balance over the step": ({"balance_scope": "global", "micro_batches": 2}, "bmm", 8),
    "kmeans": ({"router": "kmeans"}, "bmm", 1),
    "thor": ({"router": {"name": "random", "consistency": 1.0}}, "bmm", 2),
    "optimiser": ({}, "zeros_like", 1),
}
"""A run, and the operation of its step at which memory ends, the n-th."""


@pytest.mark.parametrize("case", CASES)
def test_a_step_that_is_tried_again_is_the_same_step(case):
    knobs, at, skip = CASES[case]
    runs = [Trainer(small(device="cuda", n_layers=1, **knobs)) for _ in range(2)]
    if case != "optimiser":
        for run in runs:
            run.step()
    end_memory(at, skip=skip)
    with pytest.raises(torch.OutOfMemoryError):
        runs[0].step()
    assert runs[0].model.routings == [] and all(p.grad is None for p in runs[0].model.parameters())
    for run in runs:
        run.run(2)
    assert runs[0].script.end == runs[1].script.end
    assert runs[0].history.rows().equals(runs[1].history.rows())


@pytest.mark.parametrize("knobs", [{"n_experts": 4}, {"router": "cosine"}], ids=["restart", "router"])
@pytest.mark.parametrize("skip", [0, 7])
def test_a_knob_for_which_there_is_no_memory_leaves_the_run_as_it_was(knobs, skip):
    runs = [Trainer(small(device="cuda")) for _ in range(2)]
    for run in runs:
        run.run(2)
    end_memory("copy_", skip=skip if "n_experts" in knobs else 0)
    with pytest.raises(torch.OutOfMemoryError):
        runs[0].set(**knobs)
    assert runs[0].config == runs[1].config and runs[0].task.config == runs[1].task.config
    for run in runs:
        run.run(2)
    assert runs[0].script == runs[1].script


def test_a_full_device_still_gives_up_what_is_to_be_saved():
    trainer = Trainer(small(device="cuda"))
    trainer.run(2)
    whole = trainer.checkpoint()
    end_memory("cat", times=10)
    again = Trainer.from_bytes(trainer.checkpoint(), device="cpu")
    assert again.script.end == Trainer.from_bytes(whole, device="cpu").script.end


def test_a_hosted_run_whose_step_ends_memory_once_is_the_same_run(tmp_path):
    host, alone = Host(Trainer, RunStore(tmp_path), Limits()), Trainer(small(device="cuda"))
    run = host.open(small(device="cuda"), playing=False)
    end_memory("bmm", skip=3)
    for _ in range(3):
        host.step_once(run)
        alone.step()
    DEVICE.before = lambda name: None
    theirs, ours = host.script(run, figures=False), alone.script
    assert host.read(run).snapshot.step == 3 and theirs.config == ours.config
    assert host._runs[run].trainer.script.end == ours.end


def test_admission_counts_padded_rows_and_asks_the_device(tmp_path, monkeypatch):
    wide = {"device": "cuda", "n_experts": 64, "router": "topk", "capacity_factor": 16.0, "batch_tokens": 16384}
    config = RunConfig.from_flat(wide)
    assert estimate(config, padded=True).step_bytes > 5 * estimate(config).step_bytes
    host = Host(FakeTrainer, RunStore(tmp_path), Limits())
    monkeypatch.setattr(DEVICE, "memory", (2_000_000_000, 16_000_000_000))
    with pytest.raises(TooCostly, match="MB"):
        host.open(config)
    monkeypatch.setattr(DEVICE, "memory", (60_000_000_000, 80_000_000_000))
    host.open(config)
    with pytest.raises(TooCostly):
        host.open(config.model_copy(update={"device": "cpu", "d_model": 512, "d_hidden": 2048}))


def test_the_rows_that_admission_counts_are_those_that_the_layer_makes():
    for knobs in ({"capacity_factor": 16.0}, {"capacity_factor": 1.0}, {"capacity_factor": 1.0, "min_capacity": 40}):
        config = small(n_experts=8, n_layers=1, router={"name": "topk", "k": 2, **knobs})
        layer = Trainer(config.model_copy(update={"device": "cuda"})).model.moe_layers[0]
        routing = layer.router(torch.randn(config.batch_tokens, config.d_model).to("cuda"))
        assert len(plan_buffers(routing).row_token) == pytest.approx(_slots(config), rel=0.05)


def test_what_a_failed_step_holds_is_free_before_the_next_try(tmp_path):
    host = Host(Trainer, RunStore(tmp_path), Limits())
    run = host.open(small(device="cuda", batch_tokens=2048), playing=False)
    host.step_once(run)
    host._runs[run].trainer.model.routings = []
    gc.collect()
    settled = DEVICE.bytes()
    end_memory("_fused_adamw_", times=2)
    with pytest.raises(EngineError, match="Out of memory"):
        host.step_once(run)
    assert DEVICE.bytes() <= settled
    host.set(run, micro_batches=2)
    host.step_once(run)
    assert host.read(run).snapshot.step == 2

"""The live model's size: the arithmetic agrees with its tensors, whatever the task, the router and the shape."""

import pytest
import torch

from moe_viz.moe import ROUTERS
from moe_viz.spec import TASK_OPTIONS, RunConfig
from moe_viz.systems import count
from moe_viz.systems.live import VARYING, chosen, live_system
from moe_viz.training import Trainer

LINEAR = ("topk", "switch", "mixtral", "olmoe", "dbrx", "deepseek_v3", "gshard", "st_moe", "vmoe")
"""Routers of one matrix, which the arithmetic counts by itself."""
SMALL = {"n_layers": 2, "d_model": 16, "d_hidden": 24, "n_experts": 4, "batch_tokens": 64}


def sized(**wanted):
    trainer = Trainer(RunConfig(**{**SMALL, **wanted}))
    return trainer, trainer.model_size(), live_system(trainer.config, trainer.model_size())


def tensors(model):
    """Counted once more, without any knowledge of parts."""
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("task", TASK_OPTIONS)
@pytest.mark.parametrize("more", [{}, {"n_shared": 2}, {"n_shared": 1, "shared_gate": True, "n_layers": 3}])
def test_the_arithmetic_agrees_with_the_tensors_of_every_task(task, more):
    trainer, size, system = sized(task=task, router={"name": "topk", "k": 2}, **more)
    assert size.total == tensors(trainer.model) == count(system).total
    assert count(system).parts["experts"] == size.parts["experts"]
    assert count(system).parts["norms"] == size.parts["norms"]
    assert count(system).parts["attention"] == size.parts["attention"]
    assert system.extra_per_layer == 0


@pytest.mark.parametrize("router", ROUTERS)
def test_the_arithmetic_agrees_with_the_tensors_of_every_router(router):
    task = "clusters" if router in ("soft", "expert_choice") else "domains"
    trainer, size, system = sized(task=task, router=router)
    bias = sum(layer.router.bias.numel() for layer in trainer.model.moe_layers) if router == "deepseek_v3" else 0
    assert size.total == tensors(trainer.model) + bias == count(system).total
    if router in LINEAR:
        assert system.extra_per_layer == 0
        assert system.selection_bias == (router == "deepseek_v3")


def test_what_a_token_meets_is_counted_from_its_own_tensors():
    trainer, _, system = sized(task="domains", router={"name": "topk", "k": 2})
    idle = sum(2 * (layer.experts.w1[0].numel() + layer.experts.w2[0].numel()) for layer in trainer.model.moe_layers)
    assert count(system).active("all") == tensors(trainer.model) - idle
    assert count(system).per_expert == 2 * 16 * 24


@pytest.mark.parametrize("router", ROUTERS)
def test_how_many_experts_a_token_meets_is_said_only_where_it_is_fixed(router):
    trainer, _, _ = sized(task="clusters" if router in ("soft", "expert_choice") else "domains", router=router)
    wanted = chosen(trainer.config)
    trainer.run(1)
    with torch.no_grad():
        trace = trainer.snapshot().traces[0]
    if router in VARYING:
        assert wanted is None
    else:
        assert 1 <= (trace.expert >= 0).sum(1).max() <= wanted

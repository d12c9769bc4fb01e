"""Runs of one seed that differ in the router alone start with the same model around it: only then does a comparison compare routers."""

import pytest
import torch

from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.training import Trainer

SMALL = {"n_layers": 2, "d_model": 16, "d_hidden": 16, "n_experts": 4}


def around(router, task, seed=0):
    model = Trainer(RunConfig(task=task, router=router, seed=seed, **SMALL)).model
    return {name: value for name, value in model.state_dict().items() if ".router." not in name}


@pytest.mark.parametrize("task", ["domains", "digits", "photo", "clusters"])
@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_everything_but_the_router_starts_alike(router, task):
    expected, found = around("topk", task), around(router, task)
    assert expected.keys() <= found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_another_seed_starts_elsewhere():
    one, two = around("topk", "clusters"), around("topk", "clusters", seed=1)
    assert any(not torch.equal(one[name], two[name]) for name in one if "experts" in name)

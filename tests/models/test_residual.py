"""Which models have a path beside the experts: what the page says about a dropped token rests on it."""

import pytest
import torch

from moe_viz.models import build_model
from moe_viz.spec import TASK_OPTIONS, RunConfig
from moe_viz.tasks import make_task


@pytest.mark.parametrize("name", TASK_OPTIONS)
def test_with_all_experts_silent_something_comes_out_only_where_there_is_a_residual(name):
    config = RunConfig(task=name, n_layers=1)
    task = make_task(config, torch.device("cpu"))
    model = build_model(config, task).eval()
    for layer in model.moe_layers:
        layer.disabled = frozenset(range(config.n_experts))
    seen = []
    model.moe_layers[0].register_forward_hook(lambda _, inputs, out: seen.append((inputs[0], out[0])))
    with torch.no_grad():
        outputs = model(task.probe)
    assert (seen[0][1] == 0).all(), "no expert answers"
    assert bool((outputs != 0).any()) == TASK_OPTIONS[name].residual

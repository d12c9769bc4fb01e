"""What a run may cost on a shared server: the estimate is near the truth, one config cannot take everybody's memory or time."""

import pytest

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, TooCostly
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.cost import PER_PARAMETER, estimate
from moe_viz.engine.worker.host import Host
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.training import Trainer
from tests.engine.fake import FakeTrainer

LARGEST = {"n_experts": 64, "n_layers": 8, "d_model": 512, "d_hidden": 2048, "batch_tokens": 16384}


@pytest.fixture
def host(tmp_path):
    return Host(FakeTrainer, RunStore(tmp_path), Limits(model_bytes=3e7))


@pytest.mark.parametrize("task", TASK_OPTIONS)
@pytest.mark.parametrize("more", [{}, {"n_experts": 16, "n_shared": 2, "n_layers": 3}])
def test_the_estimate_of_a_model_is_near_its_size(task, more):
    config = RunConfig.from_flat({"task": task} | more)
    real = PER_PARAMETER * sum(p.numel() for p in Trainer(config).model.parameters())
    assert 0.6 < estimate(config).model_bytes / real < 1.4


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_the_largest_config_is_refused_and_the_usual_one_is_not(tmp_path, router):
    host = Host(FakeTrainer, RunStore(tmp_path))
    with pytest.raises(TooCostly):
        host.open(RunConfig.from_flat({"task": "domains", "router": router, **LARGEST}))
    for task in TASK_OPTIONS:
        host.open(RunConfig.from_flat({"task": task, "router": router}))


def test_a_knob_or_a_branch_cannot_grow_a_run_beyond_the_limit(host):
    run = host.open(RunConfig(task="domains"))
    before = host.read(run).snapshot.config
    for knobs in ({"batch_tokens": 16384, "n_experts": 64}, {"d_hidden": 2048}, {"n_layers": 8, "d_model": 512}):
        with pytest.raises(EngineError):
            host.set(run, **knobs)
    with pytest.raises(EngineError):
        host.fork(run, 0, batch_tokens=16384)
    assert host.read(run).snapshot.config == before


def test_all_models_together_fit_the_memory(host):
    one = estimate(RunConfig(task="domains")).model_bytes
    with pytest.raises(EngineError, match="full"):
        for _ in range(10):
            host.open(RunConfig(task="domains"))
    held = sum(estimate(run.trainer.config).model_bytes for run in host._runs.values())
    assert 3e7 - one < held <= 3e7

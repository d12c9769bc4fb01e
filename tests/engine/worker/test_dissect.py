"""The call that takes a step apart: the host answers while the run trains, refuses what is not there, and the run is not disturbed."""

from __future__ import annotations

import pytest
import torch

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer


@pytest.fixture
def host(tmp_path):
    torch.set_num_threads(1)
    return Host(Trainer, RunStore(tmp_path))


def test_a_step_is_told_and_then_made(host):
    run = host.open(RunConfig(task="clusters", batch_tokens=64, device="cpu"), playing=False)
    host.step_once(run)
    story = host.dissect(run, 5, 0)
    assert story.step == 1 and host.read(run).snapshot.step == 1
    host.step_once(run)
    history = host.read(run).history
    assert history["loss"].iloc[-1] == pytest.approx(story.batch_before, rel=1e-5)


def test_what_is_not_there_is_refused_in_words(host):
    run = host.open(RunConfig(task="clusters", batch_tokens=64, device="cpu"), playing=False)
    with pytest.raises(EngineError, match="token = 64 must be 0 to 63"):
        host.dissect(run, 64, 0)
    assert host.read(run).snapshot.state != "failed"

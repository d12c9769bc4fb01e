"""A reference run that trains up to a step and waits there, and what the host says about a close look."""

import numpy as np
import pytest

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from tests.engine.fake import FakeTrainer


class Seen(FakeTrainer):
    def analyse(self):
        return {"step": self.step_number}

    def switch_off(self, step, layer, expert):
        if step != self.step_number:
            raise ValueError(f"step = {step} is not the one that was analysed last")
        return np.array([layer, -1 if expert is None else expert])


@pytest.fixture
def host(tmp_path):
    return Host(Seen, RunStore(tmp_path))


def settle(host):
    for _ in range(50):
        host.tick(0.001)


def test_a_run_trains_up_to_a_step_and_waits(host):
    run = host.open(RunConfig(), playing=False)
    assert host.train_to(run, 17) == 0
    settle(host)
    assert host.read(run).snapshot.step == 17
    assert host.train_to(run, 17) == 17
    host.train_to(run, 30)
    settle(host)
    assert host.train_to(run, 20) == 30, "never back"


def test_others_go_on_meanwhile(host):
    waits, goes = host.open(RunConfig(), playing=False), host.open(RunConfig())
    host.train_to(waits, 5)
    settle(host)
    assert host.read(waits).snapshot.step == 5 and host.read(goes).snapshot.step > 50


def test_a_close_look_and_its_refusal(host):
    run = host.open(RunConfig(), playing=False)
    assert host.analyse(run) == {"step": 0}
    assert host.switch_off(run, 0, 1, None).tolist() == [1, -1]
    with pytest.raises(EngineError, match="step = 7"):
        host.switch_off(run, 7, 0, 0)


@pytest.mark.parametrize(("seed", "says"), [(100, "stopped at step 3"), (101, "not finite")])
def test_a_run_that_stopped_never_arrives_and_says_why(host, seed, says):
    run = host.open(RunConfig(seed=seed), playing=False)
    host.train_to(run, 10)
    settle(host)
    with pytest.raises(EngineError, match=says):
        host.train_to(run, 10)

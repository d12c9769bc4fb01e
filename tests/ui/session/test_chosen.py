"""A reader turns the gate through others and back: the knobs end where the reader had them, in the page and in the engine, and it is said."""

import pytest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun

SMALL = RunConfig(task="clusters", router="topk", n_layers=1, d_model=16, d_hidden=16, batch_tokens=64, device="cpu")


@pytest.fixture
def run(tmp_path, monkeypatch):
    host = Host(Trainer, RunStore(tmp_path / "runs"))
    host.revive, host.ready = lambda: None, lambda: True
    monkeypatch.setattr(watched, "engine", lambda: host)
    run = SessionRun(SMALL, host.open(SMALL, playing=False))
    run.poll()
    run.notices.clear()
    return run


def test_switching_the_gate_back_brings_every_knob_back(run):
    for router in ("switch", "expert_choice", "deepseek_v3", "topk"):
        run.turn(router=router)
        assert run.poll().snapshot.config == run.config.flat(), "page and engine agree"
    assert run.config == SMALL


def test_a_switch_that_changes_another_knob_says_so(run):
    run.turn(router="switch")
    assert any("k (experts per token) 2 → 1" in str(notice) for notice in run.notices), run.notices
    run.notices.clear()
    run.turn(router="topk")
    assert any("k (experts per token) 1 → 2" in str(notice) for notice in run.notices), run.notices


def test_what_another_reader_of_the_run_has_set_is_not_overturned(run):
    run.turn(k=1)
    watched.engine().set(run.run_id, k=2)
    run.poll()
    run.turn(router="deepseek_v3")
    assert run.config.router.k == 2

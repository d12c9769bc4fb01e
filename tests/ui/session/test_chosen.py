"""A reader turns the gate through others and back: the knobs end where the reader had them, in the page and in the engine, and it is said."""

import pytest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.session import run as session_run
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


def test_a_switch_there_and_back_keeps_what_a_link_has_set(run):
    """Not only what was turned: an option that the run was opened with is the reader's, too."""
    run.config = RunConfig.from_flat(
        SMALL.flat() | {"noise": 0.5, "drop_policy": "probability", "capacity_factor": 1.5}
    )
    watched.engine().set(run.run_id, noise=0.5, drop_policy="probability", capacity_factor=1.5)
    opened = run.config
    run.turn(router="soft")
    run.turn(router="topk")
    assert run.config == opened


def test_what_was_turned_since_the_switch_is_not_turned_back(run):
    run.turn(router="switch")
    run.turn(router="deepseek_v3")
    run.turn(k=4)
    run.turn(router="topk")
    assert run.config.router.k == 4


def test_the_knobs_that_a_switch_turns_along_are_known_for_a_while(run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(session_run.time, "monotonic", lambda: now[0])
    run.turn(k=1)
    assert run.turned_along() == ([], 0), "what was asked for is not turned along"
    run.turn(k=2)
    run.turn(router="switch")
    assert run.turned_along() == (["k", "renormalize"], 1)
    run.turn(balance_coef=0.1)
    assert run.turned_along() == (["k", "renormalize"], 1), "another knob turns none along"
    now[0] += session_run.FLASH_S
    assert run.turned_along() == ([], 1)

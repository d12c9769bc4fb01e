"""What is offered to somebody who has not turned anything: each press turns what it says, leads back, and goes when the reader has begun."""

import pytest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.records.metrics import WINDOW, is_collapsed
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig, change
from moe_viz.training import Trainer
from moe_viz.ui.lab import first_presses as presses
from moe_viz.ui.lab import first_visit
from moe_viz.ui.session import address, watched
from moe_viz.ui.session import run as session
from moe_viz.ui.session.recorded import recorded
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_cookie import Remembered
from tests.engine.fake import FakeTrainer


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that an engine of its own has opened."""
    host, known = Host(FakeTrainer, RunStore(tmp_path)), Remembered({})
    host.ready, host.revive = lambda: True, lambda: None
    for module in (watched, session):
        monkeypatch.setattr(module, "remembered", lambda: known)
    monkeypatch.setattr(first_visit, "remembered", lambda: Remembered({}))
    for module in (watched, session):
        monkeypatch.setattr(module, "lease", lambda run_id: run_id)
    monkeypatch.setattr(watched, "engine", lambda: host)
    monkeypatch.setattr(watched, "owner", lambda: "me")
    monkeypatch.setattr(presses.st, "session_state", {})
    made = SessionRun(RunConfig(task="clusters", n_experts=4))
    presses.first_presses(made)
    made.poll()
    return made


@pytest.mark.parametrize("name", [presses.COLLAPSE, presses.LIMIT])
def test_a_press_turns_the_run_and_as_it_was_turns_it_back(run, name):
    state, before = presses.first_presses(run), run.config
    presses._press(run, state, name)
    assert state.pressed == name and state.offered and run.config != before and run.changed
    assert run.poll().snapshot.config == run.config.flat(), "it is the model that was turned"
    presses._undo(run, state)
    assert run.config == before and state.pressed is None and state.offered


def test_what_a_reader_turns_ends_the_offer(run):
    state = presses.first_presses(run)
    presses._press(run, state, presses.LIMIT)
    run.turn(balance_coef=0.5)
    assert not presses.first_presses(run).offered
    assert not presses.first_presses(SessionRun(run.config, "a" * 22)).offered, "who comes back to a run has begun"


def test_rescue_is_the_balancing_loss_and_as_it_was_still_leads_back(run):
    state, before = presses.first_presses(run), run.config
    presses._press(run, state, presses.COLLAPSE)
    presses._rescue(run, state)
    assert run.config.balance_coef == 0.1 and run.config.flat()["shared_vector"] == 8.0 and state.rescued
    presses._undo(run, state)
    assert run.config == before


def test_a_press_on_a_paused_run_lets_it_go_on(run):
    run.play(False)
    state = presses.first_presses(run)
    state.acted = run.n_actions
    presses._press(run, state, presses.COLLAPSE)
    assert run.playing and state.offered


def test_ones_own_is_a_view_and_leads_back_to_the_one_before(run):
    presses.st.session_state[presses.VIEW] = "capacity"
    state, before = presses.first_presses(run), run.config
    presses._press(run, state, presses.OWN)
    assert presses.st.session_state[presses.VIEW] == "yours" and state.leads and run.config == before
    presses._undo(run, state)
    assert presses.st.session_state[presses.VIEW] == "capacity"


@pytest.mark.parametrize("task", TASK_OPTIONS)
@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_the_presses_can_be_turned_from_any_settings(task, router):
    config = RunConfig.from_flat({"task": task, "router": router})
    assert change(config, **presses.collapse_knobs(config)).balance_coef == 0
    assert change(config, **presses.limit_knobs(config)).flat()["capacity_factor"] == 1.0


@pytest.mark.parametrize("task", TASK_OPTIONS)
def test_make_it_collapse_does(task):
    """One seed here; ten of ten in `benchmarks.first_minute`."""
    config = RunConfig(task=task)
    trainer = Trainer(change(config, **presses.collapse_knobs(config), device="cpu"))
    trainer.run(4 * WINDOW)
    assert any(is_collapsed(int(dead), config.n_experts) for dead in trainer.snapshot().metrics["dead_experts"])


def test_a_first_visit_stays_with_the_recording_until_its_own_run_has_come_as_far(run, monkeypatch):
    monkeypatch.setattr(address, "read", lambda: {"lang": "ru"})
    first_visit.arrive()
    assert first_visit.is_calm(run)
    moment = recorded().snapshot
    object.__setattr__(run.latest.snapshot, "step", moment.step - 1)
    assert first_visit.is_calm(run)
    object.__setattr__(run.latest.snapshot, "step", moment.step)
    assert not first_visit.is_calm(run)
    object.__setattr__(run.latest.snapshot, "step", 0)
    assert not first_visit.is_calm(run), "after a reset, too"


@pytest.mark.parametrize("act", ["turn", "press", "own"])
def test_any_press_ends_the_calm(run, monkeypatch, act):
    monkeypatch.setattr(address, "read", dict)
    first_visit.arrive()
    assert first_visit.is_calm(run)
    if act == "turn":
        run.turn(balance_coef=0.3)
    else:
        presses._press(run, presses.first_presses(run), presses.COLLAPSE if act == "press" else presses.OWN)
    assert not first_visit.is_calm(run)


@pytest.mark.parametrize("params, runs", [({"task": "clusters"}, {}), ({"run": "a" * 22}, {}), ({}, {"a" * 22: True})])
def test_a_link_with_settings_or_a_browser_with_runs_is_no_first_visit(run, monkeypatch, params, runs):
    monkeypatch.setattr(address, "read", lambda: params)
    monkeypatch.setattr(first_visit, "remembered", lambda: Remembered(runs))
    first_visit.arrive()
    assert not first_visit.is_calm(run)

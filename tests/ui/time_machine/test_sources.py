"""The time machine's and the twins' state, driven without a page: what they follow, forget, refuse and find."""

import numpy as np
import pytest

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.records import twins
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.time_machine import compare, sources
from moe_viz.ui.time_machine.sources import TimeMachine, recorded_source, start_branch
from moe_viz.ui.twins.runs import Twins
from tests.ui.ready_host import ReadyHost

SMALL = RunConfig(task="clusters", n_layers=1, d_model=16, d_hidden=16, batch_tokens=64, balance_coef=0.1)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    host = ReadyHost(Trainer, RunStore(tmp_path / "runs"))
    for module in (sources, watched):
        monkeypatch.setattr(module, "engine", lambda: host)
        monkeypatch.setattr(module, "lease", lambda run_id: run_id)
    monkeypatch.setattr(watched, "owner", lambda: "me")
    return host


def test_the_machine_follows_each_move_once_and_the_run_at_the_end():
    machine = TimeMachine()
    machine.move((40, 1.0), newest=100)
    assert machine.at == 40
    machine.at = 60  # moved from elsewhere: the old move must not come back
    machine.move((40, 1.0), newest=100)
    assert machine.at == 60
    machine.move((100, 2.0), newest=100)
    assert machine.at is None


def test_the_recording_has_moments_but_no_checkpoints():
    source = recorded_source()
    assert source.is_recorded and len(source.steps) > 1 and source.checkpoints == []
    assert source.nearest(None) == source.steps[-1] and source.nearest(-5) == source.steps[0]
    assert source.traces_at(source.steps[0])[0].step == source.steps[0]
    steps, choices = source.choices(0)
    assert steps == source.steps and choices.shape == (len(steps), source.traces_at(0)[0].n_tokens)


def test_a_branch_is_made_and_a_refusal_is_kept_for_the_page(engine):
    run = SessionRun(SMALL, run_id=engine.open(SMALL, playing=False))
    machine = TimeMachine()
    run.poll()
    start_branch(run, machine, 0, "lr", 0.01)
    assert machine.branch is None and "No checkpoint" in str(machine.problem)
    engine.step_once(run.run_id)
    start_branch(run, machine, 7, "lr", 0.01)
    assert machine.problem is None and (machine.branch.start, machine.branch.asked) == (0, 7)
    assert engine.read(machine.branch.run.run_id).snapshot.config["lr"] == 0.01
    start_branch(run, machine, 0, "n_experts", 2)
    assert "Experts cannot change" in str(machine.problem) and machine.branch is not None


def test_twins_find_the_very_first_parting_and_then_train_freely(engine):
    found = Twins(SMALL, "balance_coef", 1.0, n_pairs=2)
    for _ in range(100):
        assert found.poll()
        if found.parting:
            break
    assert found.parting.exact and found.parting.step == found.latest[0].snapshot.step
    assert [update.snapshot.config["balance_coef"] for update in found.latest] == [0.1, 1.0, 0.1, 1.0]
    assert [update.snapshot.config["seed"] for update in found.latest] == [0, 0, 1, 1]
    assert all(update.playing for update in found.latest)
    steps, alike = found.agreement()
    assert alike[0] == 1 and alike[-1] < 1 and steps[-1] == found.parting.step
    assert len(twins.gap_table(found.pairs, ["loss"])) == 1


def test_identical_twins_never_part(engine):
    found = Twins(SMALL, "balance_coef", SMALL.balance_coef, n_pairs=1)
    found.poll()
    for _ in range(10):
        engine.step_once(found.run_ids[0])
    found.poll()
    assert found.identical and found.parting is None and not found.searching
    assert np.array_equal(*(update.history["loss"] for update in found.latest))


def test_another_knob_begins_anew_and_a_refusal_is_kept(engine, monkeypatch):
    found = Twins(SMALL, n_pairs=1)
    found.poll()
    runs = found.run_ids
    found.choose(word="lr", value=0.02)
    assert found.run_ids == [] and found.parting is None
    found.poll()
    assert set(found.run_ids) & set(runs) == set() and found.latest[1].snapshot.config["lr"] == 0.02

    def full(*_, **__):
        raise EngineError("The server is full.")

    found.choose(n_pairs=5)
    monkeypatch.setattr(engine, "open_group", full)
    assert not found.poll() and [str(notice) for notice in found.notices] == ["The server is full."]


def test_words_that_change_the_data_are_not_offered():
    words = Twins(RunConfig()).words()
    assert {"balance_coef", "router", "k", "n_experts", "lr"} <= set(words)
    assert not {"seed", "task", "batch_tokens", "n_layers", "tokenizer", "block"} & set(words)


def test_the_newest_moment_is_the_newest_when_it_is_pinned(engine, monkeypatch):
    run, kept = SessionRun(SMALL, engine.open(SMALL, playing=False)), TimeMachine(at=1)
    for module in (sources, compare):
        monkeypatch.setattr(module, "current", lambda: run)
    monkeypatch.setattr(compare, "session_time_machine", lambda: kept)
    for _ in range(2):  # the button was drawn between them
        engine.step_once(run.run_id)
        run.poll()
    assert compare.lab_source(kept).steps[-1] == 2
    for _ in range(3):
        engine.step_once(run.run_id)
        engine.read(run.run_id)
    kept.read_at = 0.0
    compare._pin_both(kept)
    assert kept.pins == {"A": engine.keyframe_steps(run.run_id)[0][1], "B": 5} and kept.at == 1

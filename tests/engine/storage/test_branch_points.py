"""Branches: where checkpoints lie along a run, that they stay few, and that a branch is the run it left, until a knob says otherwise."""

import numpy as np
import pytest

from moe_viz.engine.protocol import EngineError, UnknownRun
from moe_viz.engine.storage.branch_points import MOST, BranchPoints
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.engine.fake import FakeTrainer
from tests.engine.worker.test_host import config, make

__all__ = ["make"]


def advance(host, run, steps):
    for _ in range(steps):
        host.step_once(run)


@pytest.mark.parametrize("length", [1, 26, 310, 1234])
def test_checkpoints_cover_the_run_evenly_and_stay_few(make, length):
    host = make()
    run = host.open(config(), playing=False)
    for _ in range(length):
        host.step_once(run)
        assert len(host.checkpoint_steps(run)) <= MOST
    steps = [step for _, step in host.checkpoint_steps(run)]
    gaps = set(np.diff(steps).tolist())
    assert steps[0] == 0 and len(gaps) <= 1
    assert length - steps[-1] <= max(gaps | {25}) and len(steps) >= min(1 + (length - 1) // 25, MOST // 2)


def test_a_restart_begins_its_own_row_of_checkpoints(make):
    host = make()
    run = host.open(config(), playing=False)
    advance(host, run, 200)
    host.reset(run)
    advance(host, run, 30)
    assert host.checkpoint_steps(run)[-2:] == [(1, 0), (1, 25)]
    advance(host, run, 270)
    assert {epoch for epoch, _ in host.checkpoint_steps(run)} == {1}


def test_wide_models_have_fewer_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr("moe_viz.engine.storage.branch_points.MOST_BYTES", 700)
    trainer, milestones = FakeTrainer(config()), BranchPoints(tmp_path / "milestones")
    for _ in range(300):
        if milestones.wanted(trainer):
            milestones.keep(trainer)
        trainer.step()
    held = milestones.steps()
    assert held[0] == (0, 0) and len(held) < 4
    assert sum(path.stat().st_size for path in (tmp_path / "milestones").iterdir()) <= 700 or len(held) == 1


@pytest.mark.parametrize(("step", "start"), [(0, 0), (24, 0), (25, 25), (60, 50), (10_000, 75)])
def test_a_branch_starts_at_the_last_checkpoint_up_to_the_moment(make, step, start):
    host = make()
    run = host.open(config(), playing=False)
    advance(host, run, 90)
    branch, begins = host.fork(run, step, balance_coef=0.5)
    assert begins == start and branch != run
    snapshot = host.read(branch).snapshot
    assert (snapshot.step, snapshot.config["balance_coef"]) == (start, 0.5)
    assert host.read(run).snapshot.step == 90 and host.read(run).snapshot.config["balance_coef"] == 0.1
    host.step_once(branch)
    assert host.read(branch).snapshot.step == start + 1


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"n_experts": 4}, "Experts cannot change"),
        ({"lr": -1.0}, "lr = -1"),
        ({"nonsense": 1}, "unknown knob nonsense"),
    ],
)
def test_a_knob_that_a_branch_cannot_take_is_refused_by_name(make, knobs, says):
    host = make()
    run = host.open(config(), playing=False)
    advance(host, run, 3)
    with pytest.raises(EngineError, match=says):
        host.fork(run, 0, **knobs)
    assert len(host.status()["runs"]) == 1 and host.read(run).snapshot.state == "paused"


def test_a_branch_whose_checkpoint_is_gone_says_so(make, tmp_path):
    host = make()
    run = host.open(config(), playing=False)
    advance(host, run, 30)
    for path in (tmp_path / "runs" / run / "milestones").iterdir():
        path.unlink()
    with pytest.raises(EngineError, match=r"No checkpoint of this part of the run is kept.* step 20"):
        host.fork(run, 20)
    with pytest.raises(EngineError, match="No checkpoint"):
        host.fork(run, 20, epoch=7)
    with pytest.raises(UnknownRun):
        host.fork("no-such-run-at-all", 20)


def test_a_released_run_can_still_be_branched(make, clock, tmp_path):
    host = make()
    run = host.open(config(), playing=False)
    advance(host, run, 30)
    host.release(run)
    clock.now += 1000
    host.tick()
    host.tick()
    assert not host._runs
    _, start = host.fork(run, 40)
    assert start == 25


SMALL = {"task": "clusters", "n_layers": 1, "d_model": 16, "d_hidden": 16, "batch_tokens": 64, "seed": 3}


@pytest.mark.parametrize("router", [{"name": "switch"}, {"name": "noisy_topk"}, {"name": "deepseek_v3"}])
def test_a_branch_without_a_changed_knob_repeats_the_original_bit_for_bit(tmp_path, router):
    host = Host(Trainer, RunStore(tmp_path / "runs"))
    run = host.open(RunConfig(**SMALL, router=router), playing=False)
    advance(host, run, 60)
    branch, start = host.fork(run, 40)
    other, _ = host.fork(run, 40, balance_coef=0.7)
    assert start == 25
    for one in (branch, other):
        advance(host, one, 60 - start)
    ours, same, changed = (host.read(one) for one in (run, branch, other))
    loss = ours.history.set_index("step")["loss"]
    assert np.array_equal(same.history.set_index("step")["loss"], loss.loc[start + 1 :])
    for field in ("expert", "weight", "probs", "slot", "kept"):
        assert np.array_equal(getattr(ours.snapshot.traces[0], field), getattr(same.snapshot.traces[0], field)), field
    assert not np.array_equal(ours.snapshot.traces[0].probs, changed.snapshot.traces[0].probs)


def test_kept_moments_and_first_choices_agree_with_what_was_read(tmp_path):
    host = Host(Trainer, RunStore(tmp_path / "runs"))
    run = host.open(RunConfig(**SMALL), playing=False)
    seen = []
    for _ in range(4):
        advance(host, run, 2)
        seen.append(host.read(run).snapshot.traces[0])
    assert host.keyframe_steps(run) == [(0, 2), (0, 4), (0, 6), (0, 8)]
    steps, choices = host.first_choices(run, 0)
    assert steps == [2, 4, 6, 8] and np.array_equal(choices, np.stack([trace.expert[:, 0] for trace in seen]))
    assert host.first_choices(run, 0, epoch=5)[0] == []
    with pytest.raises(EngineError, match="layer 3 is not one of the 1 layers"):
        host.first_choices(run, 3)
    assert np.array_equal(host.keyframe(run, 5)[0].expert, seen[1].expert)

"""Runs that advance in lock-step: always level where a page looks, one knob for speed, play and reset, and level again after a crash."""

import pytest

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.engine.worker.test_host import config, make, serve, steps

__all__ = ["make"]


def levels(host, runs):
    return [update.snapshot.step for update in host.read_group(runs)]


def routers(*names, **fields):
    return [config(router=name, **fields) for name in names]


def test_a_group_is_level_at_every_look_however_unequal_its_runs(make, clock):
    host = make([0.0007, 0.013, 0.004])
    alone = host.open(config())
    runs = host.open_group(routers("topk", "switch", "expert_choice"))
    for _ in range(200):
        serve(host, clock, 0.013)
        assert len(set(levels(host, runs))) == 1
    assert steps(host, runs[0]) > 50
    status = host.status()["runs"]
    assert all(status[run[:6]]["active"] for run in [alone, *runs])


def test_a_group_costs_its_neighbours_no_more_than_one_run_does(make, clock):
    host = make([0.001])
    alone = host.open(config())
    runs = host.open_group([config() for _ in range(4)])
    serve(host, clock, 20, [alone, *runs])
    assert steps(host, alone) == pytest.approx(4 * steps(host, runs[0]), rel=0.05)


def test_speed_play_step_and_reset_on_one_move_all(make, clock):
    host = make()
    runs = host.open_group([config(speed=3), config(speed="full")])
    assert [update.snapshot.config["speed"] for update in host.read_group(runs)] == [3, 3]
    host.set(runs[1], speed=20)
    serve(host, clock, 10, runs)
    assert levels(host, runs)[0] == levels(host, runs)[1] == pytest.approx(200, rel=0.05)
    host.play(runs[1], False)
    at = levels(host, runs)
    serve(host, clock, 1, runs)
    assert levels(host, runs) == at
    host.step_once(runs[0])
    assert levels(host, runs) == [step + 1 for step in at]
    host.reset(runs[1])
    assert levels(host, runs) == [0, 0] and [update.epoch for update in host.read_group(runs)] == [1, 1]


def test_a_knob_is_one_runs_own_but_a_restart_is_everyones(make, clock):
    host = make()
    runs = host.open_group([config(), config()])
    serve(host, clock, 1, runs)
    host.set(runs[1], balance_coef=0.5)
    assert [update.snapshot.config["balance_coef"] for update in host.read_group(runs)] == [0.1, 0.5]
    assert levels(host, runs)[0] > 100
    host.set(runs[1], seed=7)
    assert levels(host, runs) == [0, 0]
    assert [update.snapshot.config["seed"] for update in host.read_group(runs)] == [0, 7]


@pytest.mark.parametrize("seed", [100, 101])
def test_a_run_that_stops_stays_where_it_is_and_the_others_go_on(make, clock, seed):
    host = make()
    runs = host.open_group([config(seed=seed), config(), config()])
    serve(host, clock, 1, runs)
    levels(host, runs)  # looking is what finds a divergence
    one, two, three = (host.status()["runs"][run[:6]]["step"] for run in runs)
    assert (one, two) == (3, three) and two > 100
    assert host.read(runs[0]).snapshot.state == {100: "failed", 101: "diverged"}[seed]
    host.reset(runs[2])
    host.step_once(runs[2])
    assert levels(host, runs) == [1, 1, 1]


def test_a_group_whose_runs_have_all_stopped_refuses_a_step(make, clock):
    host = make()
    runs = host.open_group([config(seed=100), config(seed=100)])
    serve(host, clock, 1, runs)
    with pytest.raises(EngineError, match="has stopped"):
        host.step_once(runs[0])


def test_a_lost_group_comes_back_together_and_waits_for_those_behind(make, clock, tmp_path):
    store = RunStore(tmp_path / "runs")
    host = make(store=store)
    runs = host.open_group(routers("topk", "switch", "hash"))
    serve(host, clock, 10, runs)
    host.play(runs[0], False)
    for run, ahead in zip(runs, (0, 5, 9)):  # the crash came between two checkpoints
        trainer = host._runs[run].trainer
        for _ in range(ahead):
            trainer.step()
        host._roster.save(host._runs[run])
    highest = steps(host, runs[2])
    again = make(store=store)
    assert steps(again, runs[1]) == highest - 4 and not again.read(runs[1]).playing
    serve(again, clock, 1, runs)
    assert levels(again, runs) == [highest] * 3
    assert [again.read(run).snapshot.config["router"] for run in runs] == ["topk", "switch", "hash"]
    again.step_once(runs[1])
    assert levels(again, runs) == [highest + 1] * 3


def test_an_unread_group_pauses_leaves_memory_and_returns_as_one(make, clock):
    host = make(limits=Limits(max_runs=4))
    runs = host.open_group([config(), config(), config()])
    serve(host, clock, 1, runs)
    with pytest.raises(EngineError, match="full"):
        host.open_group([config(), config()])
    at = levels(host, runs)
    host.release(runs[1])
    serve(host, clock, 5)
    assert host.status()["active"] == 0
    new = host.open_group([config(), config()])
    assert list(host._runs) == new
    serve(host, clock, 40)
    assert levels(host, runs) == at and not set(new) & set(host._runs)
    clock.now += 1000
    host.tick()
    assert not host._runs


def test_different_routers_of_one_group_see_the_same_data(tmp_path):
    seen = []

    class Watched(Trainer):
        def step(self):
            batch = self.task.train_batch(self.step_number, self.config.seed)
            seen.append((self.step_number, self.config.router.name, batch.token_ids.tolist()))
            super().step()

    host = Host(Watched, RunStore(tmp_path / "runs"))
    small = {"batch_tokens": 64, "n_layers": 1, "d_model": 16, "d_hidden": 16}
    names = ("switch", "expert_choice", "soft")
    runs = host.open_group([RunConfig(task="domains", router=name, **small) for name in names], playing=False)
    for _ in range(3):
        host.step_once(runs[0])
    assert [(step, name) for step, name, _ in seen] == [(step, name) for step in range(3) for name in names]
    for step in range(3):
        one, two, three = (ids for at, _, ids in seen if at == step)
        assert one == two == three
    assert seen[0][2] != seen[3][2]
    updates = host.read_group(runs)
    assert [update.snapshot.step for update in updates] == [3, 3, 3]
    tokens = [update.snapshot.traces[0].tokens.tolist() for update in updates]
    assert tokens[0] == tokens[1] == tokens[2]

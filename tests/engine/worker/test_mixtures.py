"""A host runs a mixture as it runs a network: play, pause, step, reset, scrub, store, export, script."""

import pytest

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.records.script_file import write_script
from moe_viz.spec import MixtureConfig, RunConfig
from moe_viz.training import runs
from tests.clock import Clock

FIT = MixtureConfig(data="nile", expert="constant_gaussian", iterations=8, speed="full")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def host(tmp_path, clock):
    return Host(runs, RunStore(tmp_path / "runs"), clock=clock)


def settle(host, clock):
    for _ in range(200):
        clock.now += 0.01
        host.tick(0)


def test_a_fit_plays_to_its_end_and_waits_there(host, clock):
    fit = host.open(FIT)
    settle(host, clock)
    update = host.read(fit)
    assert update.snapshot.step == 8 and update.snapshot.extras["at_rest"]
    assert host.tick(0) > 0  # nothing is due: the process may sleep
    assert update.history["step"].tolist() == list(range(9))
    host.step_once(fit)
    assert host.read(fit).snapshot.step == 9


def test_every_iteration_can_be_looked_at_again(host, clock):
    fit = host.open(FIT)
    settle(host, clock)
    then, now = host.mixture(fit, 1), host.mixture(fit)
    assert (then.step, now.step, then.newest) == (1, 8, 8)
    assert abs(then.lines[0] - then.lines[1]).max() < abs(now.lines[0] - now.lines[1]).max()


def test_a_fit_comes_back_from_the_store_and_from_its_files(host, clock, tmp_path):
    fit = host.open(FIT, playing=False)
    host.step_once(fit)
    host.step_once(fit)
    host.set(fit, speed=10)
    here = host.script(fit).end.parameters
    host.close()
    again = Host(runs, RunStore(tmp_path / "runs"), clock=clock)
    assert again.script(fit).end.parameters == here
    assert again.script(again.copy(fit)).end.parameters == here
    assert again.script(again.import_run(again.export(fit))).end.parameters == here
    played = again.open_script(write_script(again.script(fit)).encode())
    settle(again, clock)
    assert again.script(played).end.parameters == here
    assert again.describe([fit])[0].config["data"] == "nile"


def test_four_errors_are_fitted_in_lock_step(host, clock):
    configs = [FIT.turned({"error": error, "method": "adam"}) for error in ("cooperative", "localised", "competitive")]
    ids = host.open_group([*configs, FIT])
    settle(host, clock)
    assert {update.snapshot.step for update in host.read_group(ids)} == {8}


def test_what_only_the_other_kind_has_is_refused_and_harms_nobody(host):
    fit, network = host.open(FIT), host.open(RunConfig(task="clusters"))
    for ask in (host.analyse, lambda run: host.route_text(run, "a"), lambda run: host.dissect(run, 0, 0)):
        with pytest.raises(EngineError, match="another kind"):
            ask(fit)
    with pytest.raises(EngineError, match="another kind"):
        host.mixture(network)
    assert host.read(fit).snapshot.state == host.read(network).snapshot.state == "running"


def test_an_operator_sees_what_is_fitted(host):
    fit = host.open(FIT)
    assert host.status()["runs"][fit[:6]]["data"] == "nile"

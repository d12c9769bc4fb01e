"""The engine on a real Ray cluster of two nodes on this machine: the same results, losses of actors and nodes, and a clean end."""

import importlib.util
import inspect
import os
import signal
import time

import pandas as pd
import psutil
import pytest

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.cluster.demo import go_on, wait, watch, where
from moe_viz.engine.cluster.dev_nodes import nodes
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import WorkerLost
from moe_viz.spec import RunConfig
from tests.engine.cluster.fake_ray import FakeRay
from tests.engine.cluster.test_connect import FakeModule

CONFIG = RunConfig(task="clusters", speed=40)
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: make test-cluster"),
]


@pytest.fixture(scope="module")
def two():
    with nodes([1, 1]) as two:
        yield two


@pytest.fixture(scope="module")
def engine(two, tmp_path_factory):
    engine = LocalEngine(WorkerSettings(store=str(tmp_path_factory.mktemp("home") / "runs"), engine=two.engine))
    wait(engine.ready, "the first actor", 120)
    wait(lambda: len(engine.status()["workers"]) == 2, "an actor on each node", 120)
    yield engine
    engine.close()


def opened(engine, count):
    """Runs of which each node has its half, and the node of each."""
    wait(lambda: not engine.status()["runs"], "earlier runs to be gone")
    runs = [engine.open(CONFIG.model_copy(update={"seed": seed})) for seed in range(count)]
    watch(engine, runs, 5)
    said = where(engine, runs)
    nodes = {run: said[run]["node"] for run in runs}
    assert sorted(nodes.values()).count(min(nodes.values())) == count // 2
    return runs, nodes


def test_same_run_as_on_one_machine_bit_for_bit(engine, tmp_path):
    config = CONFIG.model_copy(update={"speed": "full"})
    local = LocalEngine(WorkerSettings(store=str(tmp_path / "runs")))
    try:
        results = []
        for one in (engine, local):
            wait(one.ready, "the engine", 120)
            run = one.open(config, playing=False)
            one.train_to(run, 60)
            wait(lambda one=one, run=run: one.read(run).snapshot.step == 60, "60 steps")
            results.append((one.read(run), one.all_rows(run)))
            one.delete(run)
    finally:
        local.close()
    (there, rows), (here, expected) = results
    # one depends on the time, the other is measured whenever somebody looks
    apart = [name for name in expected.columns if "per_second" in name or name == "task_metric"]
    pd.testing.assert_frame_equal(rows.drop(columns=apart), expected.drop(columns=apart), check_exact=True)
    assert there.snapshot.metrics["task_metric"] == here.snapshot.metrics["task_metric"]
    for trace, same in zip(there.snapshot.traces, here.snapshot.traces, strict=True):
        assert (trace.expert == same.expert).all() and (trace.probs == same.probs).all()


def test_killed_actor(engine):
    runs, _ = opened(engine, 2)
    reached = watch(engine, runs, 0)
    lost = where(engine, runs[:1])[runs[0]]
    os.kill(lost["pid"], signal.SIGKILL)
    seconds, step, says = go_on(engine, runs[:1])[runs[0]]
    assert seconds < 20 and step >= reached[runs[0]] - 5.5 * CONFIG.speed and "goes on here" in says
    wait(lambda: len(engine.status()["workers"]) == 2, "a new actor", 120)
    for run in runs:
        engine.delete(run)


def test_killed_node(engine, two):
    runs, nodes = opened(engine, 4)
    branch, _ = engine.fork(runs[0], 0)
    group = engine.open_group([CONFIG, CONFIG])
    reached = watch(engine, [*runs, branch, *group], 5)
    two.kill()
    wait(lambda: len(engine.status()["workers"]) == 1, "the loss to be noticed")
    left = engine.status()["workers"][0]["node"]
    lost = [run for run in runs if nodes[run] != left]
    assert len(lost) == 2
    for run, (seconds, step, _) in go_on(engine, lost).items():
        assert seconds < 20 and step >= reached[run] - 5.5 * CONFIG.speed
    watch(engine, [*runs, branch, *group], 2)
    assert {about["node"] for about in where(engine, [*runs, branch, *group]).values()} == {left}
    two.add()
    wait(lambda: len(engine.status()["workers"]) == 2, "an actor on the new node", 120)


def test_own_cluster_is_closed_to_others_and_leaves_nothing(tmp_path, capfd):
    engine = LocalEngine(
        WorkerSettings(store=str(tmp_path / "runs"), engine="ray", trainer="tests.engine.fake:SlowTrainer")
    )
    try:
        wait(engine.ready, "our own cluster", 120)
        run = engine.open(CONFIG)
        family = psutil.Process(engine.pid).children(recursive=True)
        listening = [c.laddr.ip for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert len(listening) >= 4 and {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
        reached = watch(engine, [run], 5)[run]
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="signal 9"):
            while True:
                engine.read(run)
        wait(lambda: gone(family), "the end of all processes", 15)
        engine.resume(run)
        assert engine.read(run).snapshot.step >= reached - 5.5 * CONFIG.speed
        family = [psutil.Process(engine.pid), *psutil.Process(engine.pid).children(recursive=True)]
    finally:
        engine.close()
    wait(lambda: gone(family), "the end of all processes", 15)
    assert "Traceback" not in capfd.readouterr().err


def gone(family):
    return not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def reason(engine):
    """What the log and the page hear of an engine that cannot start."""
    try:
        end = time.monotonic() + 60
        with pytest.raises(WorkerLost) as caught:
            while time.monotonic() < end:
                engine.ready()
                time.sleep(0.05)
        time.sleep(0.2)
        with pytest.raises(WorkerLost) as caught:
            engine.ready()
        return str(caught.value)
    finally:
        engine.close()


def test_address_that_does_not_answer(tmp_path):
    for address in ("ray:127.0.0.1:1", "ray://127.0.0.1:1"):
        says = reason(LocalEngine(WorkerSettings(store=str(tmp_path / "runs"), engine=address)))
        assert "127.0.0.1:1 (Connection refused; tried for 3 s)" in says and "ray start --head" in says


def test_the_stand_in_has_what_ray_has():
    """tests/engine/cluster/test_cluster.py stands on it."""
    import ray.util.scheduling_strategies

    for name in vars(FakeRay([]).exceptions):
        assert issubclass(getattr(ray.exceptions, name), Exception)
    assert issubclass(ray.exceptions.RayActorError, ray.exceptions.RayError)
    assert not issubclass(ray.exceptions.RayActorError, ray.exceptions.RayTaskError)
    assert callable(ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy)
    here = inspect.signature(FakeModule.init).parameters.keys() - {"self"}
    passed_on = {"log_to_driver", "configure_logging", "include_dashboard"}
    assert here <= inspect.signature(ray.init).parameters.keys() | passed_on

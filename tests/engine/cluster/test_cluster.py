"""Runs on several actors in one process: where they are put, what is sent where, and that a lost machine costs a few steps only."""

import asyncio
import gc
import pickle
import shutil
from contextlib import asynccontextmanager

import pytest

from moe_viz.engine.calls import Request
from moe_viz.engine.cluster.cluster import Cluster
from moe_viz.engine.limits import Limits, WorkerSettings
from moe_viz.engine.protocol import EngineError, UnknownRun
from moe_viz.spec import RunConfig
from tests.engine.cluster.fake_ray import FakeRay
from tests.engine.fake import SlowTrainer

CONFIG = RunConfig(task="clusters", speed=100)


class Reader:
    """Asks a cluster as the client's pipe would."""

    def __init__(self, cluster):
        self.cluster = cluster

    async def __call__(self, call, *args, **kwargs):
        _, fine, value = pickle.loads(await self.cluster.answer(1, Request(call, args, kwargs)))
        if not fine:
            raise value
        return value

    async def until(self, run, step):
        for _ in range(500):
            update = await self("read", run)
            if update.snapshot.step >= step:
                return update
            await asyncio.sleep(0.02)
        raise AssertionError("waited in vain")


@asynccontextmanager
async def cluster_of(folder, cores, limits=None):
    ray = FakeRay({name: {"CPU": float(count)} for name, count in cores.items()})
    limits = limits or Limits(checkpoint_s=0.2)
    settings = WorkerSettings(
        str(folder / "runs"), "tests.engine.fake:SlowTrainer", limits, niceness=0, log_level="error"
    )
    cluster = Cluster(ray, settings)
    await cluster.start()
    watching = asyncio.ensure_future(cluster.watch())
    while len(cluster.places.ready) < sum(cores.values()):
        await asyncio.sleep(0.01)
    try:
        yield ray, cluster, Reader(cluster)
    finally:
        watching.cancel()
        await cluster.close()
        for handle in ray.handles:
            ray.kill(handle)
            shutil.rmtree(handle.actor._folder, ignore_errors=True)


def in_loop(test):
    """A test written as a coroutine."""

    def run(tmp_path):
        asyncio.run(asyncio.wait_for(test(tmp_path), 60))

    run.__doc__ = test.__doc__
    run.__name__ = test.__name__
    return run


def nodes_of(cluster):
    return {run: place.node for run, place in cluster._routes.items()}


def copied(cluster, run):
    """The step that the newest copy of a run has reached."""
    return cluster.store.load(run, SlowTrainer.load).trainer.step_number


@in_loop
async def test_runs_go_where_the_fewest_train(folder):
    async with cluster_of(folder, {"a": 1, "b": 2}) as (_, cluster, ask):
        runs = [await ask("open", CONFIG) for _ in range(6)]
        loads = [sum(at is place for at in cluster._routes.values()) for place in cluster.places.ready]
        assert loads == [2, 2, 2]
        group = await ask("open_group", [CONFIG, CONFIG])
        assert len({id(cluster._routes[run]) for run in group}) == 1
        status = await ask("status")
        assert len(status["workers"]) == 3 and status["max_runs"] == 3 * 64
        while (await ask("status"))["active"] < 8:
            for run in runs + group:
                await ask("read", run)
        branch, _ = await ask("fork", runs[0], 0)
        assert cluster._routes[branch] is cluster._routes[runs[0]]
        mixed = await ask("read_group", [runs[0], runs[1], branch])
        assert [update.snapshot.config["task"] for update in mixed] == ["clusters"] * 3


@in_loop
async def test_an_actor_has_a_core_of_its_own_answers_many_calls_at_once_and_is_never_started_again_empty(folder):
    async with cluster_of(folder, {"a": 1}) as (ray, _, _):
        (asked,) = ray.asked
        assert asked["calls_at_once"] >= 100  # a call that waits for a long step must not hold the heartbeat up
        assert (asked["cpus"], asked["gpus"], asked["restarts"]) == (1, 0, (0, 0))


@in_loop
async def test_closing_keeps_the_last_steps_of_every_run(folder):
    async with cluster_of(folder, {"a": 1}, Limits(checkpoint_s=60)) as (_, cluster, ask):
        run = await ask("open", CONFIG)
        reached = (await ask.until(run, 20)).snapshot.step
        await ask("play", run, False)
    assert copied(cluster, run) >= reached


@in_loop
async def test_a_run_for_which_its_machine_had_no_room_any_more_comes_back_from_its_copy(folder):
    async with cluster_of(folder, {"a": 1}) as (_, cluster, ask):
        run = await ask("open", CONFIG)
        await ask.until(run, 5)
        while copied(cluster, run) < 5:
            await asyncio.sleep(0.02)
        await cluster._routes[run].call(0, Request("delete", (run,)))
        assert (await ask("read", run)).snapshot.step >= 5 and run in cluster._routes


@in_loop
async def test_nothing_is_kept_of_ids_that_were_asked_for(folder):
    async with cluster_of(folder, {"a": 1}) as (_, cluster, ask):
        for n in range(20):
            with pytest.raises(UnknownRun):
                await ask("read", f"{n:022d}")
        run = await ask("open", CONFIG)
        await ask.until(run, 2)
        assert list(cluster._routes) == [run]
        await ask("delete", run)
        with pytest.raises(UnknownRun):
            await ask("read", run)
        while cluster._turns or cluster._restoring:  # a refusal's traceback holds what was asked a little longer
            await asyncio.sleep(0.01)
            gc.collect()
        assert not cluster._routes and not cluster._orphaned
        assert not any(place._here for place in cluster.places.ready)


@in_loop
async def test_a_deleted_run_does_not_come_back_through_a_reader_that_waits(folder):
    async with cluster_of(folder, {"a": 1, "b": 1}) as (_, cluster, ask):
        for lost in (False, True):
            runs = [await ask("open", CONFIG) for _ in range(4)]
            for run in runs:
                await ask.until(run, 2)
            if lost:  # so that readers bring them from their copies
                for run in runs:
                    cluster._unroute(run)
            calls = [ask(call, run) for run in runs for call in ("read", "delete", "read", "keyframe_steps")]
            await asyncio.gather(*calls, return_exceptions=True)
            for run in runs:
                with pytest.raises(UnknownRun):
                    await ask("read", run)
                assert run not in cluster.store and run not in cluster._routes


@in_loop
async def test_a_run_that_the_store_has_removed_has_no_route(folder):
    async with cluster_of(folder, {"a": 1}) as (_, cluster, ask):
        runs = [await ask("open", CONFIG) for _ in range(2)]
        cluster.store.delete(runs[0])
        await cluster._forget_removed(held={runs[1][:6]})
        assert list(cluster._routes) == [runs[1]]


@in_loop
async def test_commands_arrive_in_order_and_errors_as_they_are(folder):
    async with cluster_of(folder, {"a": 1, "b": 1}) as (_, _, ask):
        run = await ask("open", CONFIG, playing=False)
        await asyncio.gather(*(ask("set", run, balance_coef=i / 100) for i in range(20)))
        assert (await ask("read", run)).snapshot.config["balance_coef"] == 0.19
        await asyncio.gather(*(ask("step_once", run) for _ in range(20)))
        assert (await ask("read", run)).snapshot.step == 20
        with pytest.raises(EngineError, match="lr = 7"):
            await ask("set", run, lr=7)
        for unknown in ("x" * 22, "../../../../etc/passwd"):
            with pytest.raises(UnknownRun):
                await ask("read", unknown)
        with pytest.raises(EngineError, match="not a call"):
            await ask("close")


@in_loop
async def test_runs_of_a_lost_machine_go_on_elsewhere(folder):
    """Those that are read, at once; also a request that was on its way is not lost, and the lock-step group stays together."""
    async with cluster_of(folder, {"a": 1, "b": 1}) as (ray, cluster, ask):
        runs = [await ask("open", CONFIG) for _ in range(4)]
        group = await ask("open_group", [CONFIG, CONFIG])
        await ask("rename", group[0], "mine")
        for run in runs + group:
            await ask.until(run, 30)
        while min(copied(cluster, run) for run in runs + group) < 30:
            await asyncio.sleep(0.02)  # the copies are at most a checkpoint and a heartbeat behind
        reached = {run: (await ask("read", run)).snapshot.step for run in runs + group}
        lost = nodes_of(cluster)[group[0]]
        gone = [run for run, node in nodes_of(cluster).items() if node == lost]
        assert 0 < len(gone) < 6
        asked = [asyncio.ensure_future(ask("set", run, balance_coef=0.5)) for run in gone]
        ray.lose(lost)
        await asyncio.gather(*asked)
        for run in gone:
            update = await ask("read", run)
            assert "goes on here from step" in update.notices[0] and update.playing
            assert reached[run] - 100 < update.snapshot.step and update.snapshot.config["balance_coef"] == 0.5
            await ask.until(run, reached[run] + 1)
        assert set(nodes_of(cluster).values()) == {"a", "b"} - {lost}
        assert len({update.snapshot.step for update in await ask("read_group", group)}) == 1
        assert [kept.name for kept in await ask("describe", group)] == ["mine", ""]
        ray.cores["c"] = {"CPU": 1.0}  # a machine that joins is used
        while len(cluster.places.ready) < 2:
            await asyncio.sleep(0.05)
        await ask("open", CONFIG)
        assert "c" in nodes_of(cluster).values()


@in_loop
async def test_without_any_machine_a_page_is_told_and_the_next_one_serves_it(folder):
    async with cluster_of(folder, {"a": 1}) as (ray, _, ask):
        run = await ask("open", CONFIG)
        await ask.until(run, 5)
        ray.lose("a")
        with pytest.raises(EngineError, match="goes on elsewhere"):
            while True:
                await ask("read", run)
        ray.cores["b"] = {"CPU": 1.0}
        for _ in range(5):
            try:
                update = await ask("read", run)
                break
            except EngineError:
                continue
        assert "goes on here" in update.notices[0]


@in_loop
async def test_restarted_server_finds_its_runs_again(folder):
    async with cluster_of(folder, {"a": 1}) as (_, _, ask):
        run = await ask("open", CONFIG)
        reached = (await ask.until(run, 10)).snapshot.step
    async with cluster_of(folder, {"a": 1}) as (_, cluster, ask):
        update = await ask("read", run)
        assert update.snapshot.step >= reached and "Brought back" in update.notices[0]
        await ask("delete", run)
        assert not cluster.store.root.joinpath(run).exists()
        with pytest.raises(UnknownRun):
            await ask("read", run)


@in_loop
async def test_silent_machine_is_given_up_and_ended(folder):
    async with cluster_of(folder, {"a": 1, "b": 1}) as (_, cluster, ask):
        run = await ask("open", CONFIG)
        await ask.until(run, 5)
        place = cluster._routes[run]
        place.heartbeat = lambda: asyncio.wait_for(asyncio.sleep(60), 0.01)
        while place in cluster.places.ready:
            await asyncio.sleep(0.02)
        assert place._handle.death.done()  # it must not train on where nobody listens
        await ask.until(run, 6)
        assert cluster._routes[run] is not place


@in_loop
async def test_copy_that_cannot_be_kept_is_told_and_sent_again(folder):
    async with cluster_of(folder, {"a": 1}) as (ray, cluster, ask):
        run = await ask("open", CONFIG)
        await ask.until(run, 2)
        keep, said = cluster.store.keep, []

        def full(delta, is_birth=False):
            raise OSError(28, "No space left on device")

        cluster.store.keep = full
        while not said:
            said += (await ask("read", run)).notices
            await asyncio.sleep(0.05)
        cluster.store.keep = keep
        while len(said) < 2:
            said += (await ask("read", run)).notices
            await asyncio.sleep(0.05)
        assert "disk is full" in said[0] and "saved on the server again" in said[1]
        reached = (await ask("read", run)).snapshot.step
        while copied(cluster, run) < reached:
            await asyncio.sleep(0.02)
        ray.cores["b"] = {"CPU": 1.0}
        ray.lose("a")
        for _ in range(5):
            try:
                assert (await ask("read", run)).snapshot.step >= reached
                break
            except EngineError:
                continue


@in_loop
async def test_full_places_keep_one_line(folder):
    async with cluster_of(folder, {"a": 1, "b": 1}, Limits(max_runs=1)) as (_, cluster, ask):
        for _ in range(2):
            await ask("open", CONFIG, owner="somebody")
        assert len({id(place) for place in cluster._routes.values()}) == 2
        for _ in range(3):
            with pytest.raises(EngineError, match="number 1 in line"):
                await ask("open", CONFIG, owner="the next one")

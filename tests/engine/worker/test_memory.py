"""Where memory ends, or the device: one request is refused or one run stops, with the knob that helps; nothing is lost, nobody else notices."""

from __future__ import annotations

import weakref

import pytest

from moe_viz.engine.device import DeviceLost, is_lost, is_out_of_memory
from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import EngineError, Full, OutOfMemory
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from tests.clock import Clock
from tests.engine.fake import FakeTrainer

NO_ROOM = "CUDA out of memory. Tried to allocate 2.00 GiB"


class Activations:
    """What a failed step had computed."""


class Tight(FakeTrainer):
    """Memory ends in whatever `ends_in` names, `times` times; the frames of the error hold activations. idle: it suffices once that is gone."""

    ends_in, times = "", 0
    held: list[weakref.ref] = []

    def _need(self, what):
        if what == type(self).ends_in and type(self).times > 0:
            type(self).times -= 1
            activations = Activations()
            type(self).held.append(weakref.ref(activations))
            raise RuntimeError(NO_ROOM)

    def __init__(self, config, clock=None):
        self._need("open")
        super().__init__(config, clock)

    def step(self):
        self._need("step")
        super().step()

    def snapshot(self, evaluate=True):
        self._need("snapshot")
        return super().snapshot(evaluate)

    def analyse(self):
        self._need("analyse")
        return "analysed"

    def set(self, **knobs):
        self._need("set")
        return super().set(**knobs)

    @classmethod
    def load(cls, path):
        if cls.ends_in == "load" and cls.times > 0:
            cls.times -= 1
            raise RuntimeError(NO_ROOM)
        return super().load(path)


@pytest.fixture
def host(tmp_path):
    Tight.ends_in, Tight.times, Tight.held = "", 0, []
    clock = Clock()
    made = Host(Tight, RunStore(tmp_path), Limits(max_runs=8), clock, clock)
    made.clock = clock
    return made


def config(**fields):
    return RunConfig(task="clusters", **fields)


def tight(where, times):
    Tight.ends_in, Tight.times = where, times


def steps(host, run):
    return host.read(run).snapshot.step


@pytest.mark.parametrize("where", ["step", "snapshot", "analyse", "set"])
def test_memory_that_ends_once_is_made_and_it_is_tried_once_more(host, where):
    run = host.open(config(), playing=False)
    tight(where, 1)
    host.step_once(run)
    assert host.analyse(run) == "analysed"
    host.set(run, lr=0.01)
    update = host.read(run)
    assert (update.snapshot.step, update.snapshot.state) == (1, "paused") and Tight.times == 0


@pytest.mark.parametrize("where", ["snapshot", "analyse", "set"])
def test_a_request_without_memory_is_refused_with_a_knob_and_the_run_goes_on(host, where):
    run, other = host.open(config()), host.open(config())
    host.read(run)
    host.step_once(run)
    tight(where, 2)
    ask = {"snapshot": host.read, "analyse": host.analyse, "set": lambda run: host.set(run, lr=0.01)}[where]
    with pytest.raises(OutOfMemory, match="Micro-batches set to 2"):
        ask(run)
    host.step_once(run)
    assert steps(host, run) == 2 and host.read(run).snapshot.state == "running" and steps(host, other) == 0


def test_a_step_without_memory_stops_its_run_with_a_knob_and_holds_nothing(host):
    run, other = host.open(config(), playing=False), host.open(config(), playing=False)
    host.read(run)
    tight("step", 2)
    with pytest.raises(EngineError, match=r"Out of memory: the run has stopped at step 0.*Micro-batches set to 2"):
        host.step_once(run)
    assert host.read(run).snapshot.state == "failed"
    assert [held() for held in Tight.held] == [None, None], "what the failed steps had computed"
    host.step_once(other)
    assert steps(host, other) == 1
    host.set(run, micro_batches=2)
    host.step_once(run)
    assert host.read(run).snapshot.state == "paused" and steps(host, run) == 1


def test_wide_buffers_are_the_knob_that_is_named(host):
    run = host.open(config(router={"name": "switch", "capacity_factor": 16.0}))
    tight("analyse", 2)
    with pytest.raises(OutOfMemory, match="Capacity factor set to 8"):
        host.analyse(run)


def test_idle_runs_are_put_away_where_memory_ends(host):
    idle, run = host.open(config(), playing=False), host.open(config(), playing=False)
    host.step_once(idle)
    host.clock.now += host.limits.lease_s + 1
    tight("step", 1)
    host.step_once(run)
    assert idle not in host._runs and run in host._runs
    assert steps(host, idle) == 1, "from its checkpoint"


def test_a_run_that_is_woken_without_memory_keeps_its_checkpoint(host):
    run = host.open(config(), playing=False)
    for _ in range(5):
        host.step_once(run)
    host.release(run)
    host.clock.now += host.limits.release_s + 1
    host.tick()
    assert run not in host._runs
    tight("load", 2)
    with pytest.raises(Full, match="no memory left"):
        host.read(run)
    assert steps(host, run) == 5
    assert "could not be read" not in " ".join(map(str, host.read(run).notices))


def test_a_new_run_without_memory_waits_for_it(host):
    tight("open", 2)
    with pytest.raises(Full, match="no memory left"):
        host.open(config())
    assert host.read(host.open(config())).snapshot.state == "running"


def test_an_error_of_the_device_ends_the_process_and_its_run_stays_stopped(host, tmp_path):
    guilty, other = host.open(config(seed=105), playing=False), host.open(config(), playing=False)
    for _ in range(3):
        host.step_once(guilty)
        host.step_once(other)
    for run in host._runs.values():
        host._roster.save(run)
    with pytest.raises(DeviceLost):
        host.step_once(guilty)
    again = Host(Tight, RunStore(tmp_path), Limits(max_runs=8), host.clock, host.clock)
    with pytest.raises(EngineError, match="after step 3"):
        again.read(guilty)  # no picture is computed either: that might end this process, too
    again.step_once(other)
    assert steps(again, other) == 4
    again.reset(guilty)
    assert again.read(guilty).snapshot.state == "paused"
    third = Host(Tight, RunStore(tmp_path), Limits(max_runs=8), host.clock, host.clock)
    assert third.read(guilty).snapshot.state == "paused", "it has been forgiven"


def test_errors_are_told_apart():
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(RuntimeError(NO_ROOM))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert is_lost(RuntimeError("CUDA error: device-side assert triggered")) and not is_lost(RuntimeError(NO_ROOM))
    assert not is_lost(RuntimeError("CUDA error: out of memory")) and not is_out_of_memory(ValueError("k = 3"))

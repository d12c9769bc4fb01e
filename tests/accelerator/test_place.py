"""Where a run computes: `auto` takes the accelerator only where it pays, a run of another machine opens with what there is."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.engine.worker.main import be_nice, host_of
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer, devices
from tests.accelerator.conftest import REAL
from tests.training.conftest import small

pytestmark = pytest.mark.skipif(REAL, reason="what pays is told to a pretended device; a real one is measured")
SMALL, WIDE = small(device="auto"), small(device="auto", batch_tokens=1024, d_model=64)


@pytest.fixture(autouse=True)
def as_new(monkeypatch):
    for name, value in (("_auto", "auto"), ("_confined", False), ("_pays_from", 0.0), ("_before", None)):
        monkeypatch.setattr(devices, name, value)


def weigh(cpu: float, cuda: float, config: RunConfig = SMALL) -> None:
    devices.weigh({"cpu": cpu, "cuda": cuda}.__getitem__, config)


def test_auto_takes_the_accelerator_only_where_it_pays():
    weigh(cpu=0.002, cuda=0.008)
    small_run, wide = Trainer(SMALL), Trainer(WIDE)
    assert (small_run.device.type, wide.device.type) == ("cpu", "cuda")
    assert [run.script.config.device for run in (small_run, wide)] == ["cpu", "cuda"]
    weigh(cpu=0.008, cuda=0.001)
    assert Trainer(SMALL).device.type == "cuda"
    assert Trainer(small(device="cpu")).device.type == "cpu"


def test_a_stored_run_stays_on_its_device_whatever_is_measured_at_the_next_start():
    weigh(cpu=0.002, cuda=0.008)
    kept = [Trainer(config).checkpoint() for config in (SMALL, WIDE)]
    weigh(cpu=0.002, cuda=0.0001)
    back = [Trainer.from_bytes(data) for data in kept]
    assert [run.device.type for run in back] == ["cpu", "cuda"] and not any(run.events for run in back)


def test_a_worker_measures_what_pays_at_its_start(tmp_path):
    host = host_of(WorkerSettings(store=str(tmp_path / "runs")))
    assert devices._pays_from > 0
    assert host._cpu.__name__ == "perf_counter", "a thread's own time does not see the device"


def test_a_run_of_a_machine_with_a_gpu_opens_without_one_and_says_so(tmp_path):
    store = RunStore(tmp_path)
    trainer = Trainer(small(device="cuda"))
    trainer.run(2)
    store.save("a" * 22, trainer, True)
    data = trainer.exported(10_000_000)
    devices.confine_to_cpu()
    host = Host(Trainer, RunStore(tmp_path))
    update = host.read("a" * 22)
    assert update.snapshot.step == 2 and update.snapshot.config["device"] == "auto"
    assert any("a device that is not here" in str(notice) for notice in update.notices)
    assert host.read(host.import_run(data)).snapshot.step == 2
    played = Trainer.replay(trainer.script)
    assert played.step_number == 2 and played.device.type == "cpu"


def test_an_actor_without_a_gpu_computes_on_the_cpu(tmp_path):
    host_of(WorkerSettings(store=str(tmp_path / "runs"), confined=True))
    assert devices.resolve_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="not available"):
        devices.resolve_device("cuda")


def test_all_threads_of_a_worker_are_nice():
    """In a process of its own: nobody may raise a priority again."""
    ready, seen = threading.Event(), SimpleNamespace(nice=[])
    pid = os.fork()
    if pid == 0:
        waiting = threading.Thread(target=ready.wait, daemon=True)
        waiting.start()
        before = os.getpriority(os.PRIO_PROCESS, 0)
        be_nice(1)
        seen.nice = [os.getpriority(os.PRIO_PROCESS, int(task)) for task in os.listdir("/proc/self/task")]
        os._exit(0 if len(seen.nice) == 2 and set(seen.nice) == {min(before + 1, 19)} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

"""`python -m moe_viz doctor`: is this machine ready to serve the lab? Each check says ok, warn or fail, and what to do.

It asks for what really happens: the device multiplies a matrix, a trainer trains a step, a worker is started and trains five.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from moe_viz import paths
from moe_viz.engine.health import accelerators, machine
from moe_viz.settings import BadSettings, Settings, load, unknown_variables

WORKER_BYTES, RUN_BYTES, WEB_BYTES = 400_000_000, 8_000_000, 250_000_000
"""Measured with `python -m benchmarks.memory`: a worker without runs, each default run more, and the web process of a small class."""
LEAST_DISK = 200_000_000
STEPS = 5
SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@dataclass(frozen=True)
class Finding:
    """One line of the report. state: "ok", "warn" or "fail"; todo: what to do about it, "" where nothing is wrong."""

    state: str
    name: str
    text: str
    todo: str = ""


def examine(port: int = 8501) -> Iterator[Finding]:
    """All findings, one by one as they are made. Checks that need settings are left out where these are refused."""
    yield from python()
    yield from packages()
    try:
        chosen = load()
    except BadSettings as error:
        yield Finding("fail", "settings", str(error), "Correct the variable or the file; see docs/deploy.md.")
        chosen = None
    else:
        yield from settings(chosen)
    checks: list[Callable[[Settings], Iterator[Finding]]] = [device, folder, memory, worker]
    if chosen is not None:
        for check in checks:
            try:
                yield from check(chosen)
            except Exception as error:
                yield Finding("fail", check.__name__, f"{type(error).__name__}: {error}", "This check itself failed.")
    yield from free_port(port)
    yield from browser()


def report(port: int = 8501, as_json: bool = False) -> int:
    """Print every finding; 1 if one is a failure, else 0."""
    findings = []
    for finding in examine(port):
        findings.append(finding)
        if not as_json:
            print(f"{SIGNS[finding.state]}  {finding.name:9} {finding.text}", flush=True)
            if finding.todo:
                print(f"      {'':9} -> {finding.todo}", flush=True)
    failed = any(finding.state == "fail" for finding in findings)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
    return int(failed)


def python() -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def packages(pins: Path = paths.ROOT / "requirements.txt") -> Iterator[Finding]:
    """Whether every direct dependency is installed as pinned. A build tag (+cpu) is no difference."""
    if not pins.is_file():
        yield Finding(
            "warn", "packages", f"{pins} is not there", "The versions cannot be compared with the tested ones."
        )
        return
    lines = pins.read_text(encoding="utf-8").splitlines()
    wanted = [line.strip().partition("==")[::2] for line in lines if "==" in line and not line.startswith("#")]
    missing, other = [], []
    for name, version in wanted:
        try:
            have = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{name} {version}")
            continue
        if have.partition("+")[0] != version:
            other.append(f"{name} {have} instead of {version}")
    todo = f"{sys.executable} -m pip install -r {pins}"
    if missing:
        yield Finding("fail", "packages", f"not installed: {', '.join(missing)}", todo)
    if other:
        yield Finding("warn", "packages", f"not as tested: {', '.join(other)}", todo)
    if not missing and not other:
        yield Finding("ok", "packages", f"{len(wanted)} as pinned")


def settings(chosen: Settings) -> Iterator[Finding]:
    changed = chosen.model_dump(mode="json", exclude_unset=True, exclude={"passphrase"})
    text = ", ".join(f"{name} = {value}" for name, value in changed.items()) or "all at their defaults"
    yield Finding("ok", "settings", text)
    for name in unknown_variables():
        yield Finding("warn", "settings", f"{name} is not a setting", "Is it misspelt? It has no effect.")
    if chosen.engine != "local" and importlib.util.find_spec("ray") is None:
        todo = f"{sys.executable} -m pip install -r requirements-cluster.txt"
        yield Finding("fail", "settings", f"MOE_VIZ_ENGINE = {chosen.engine} needs Ray, which is not installed", todo)
    if chosen.passphrase is None:
        yield Finding("ok", "settings", "no passphrase: everyone who reaches the address can open the lab")


def device(chosen: Settings) -> Iterator[Finding]:
    """A product and a step on the device that "auto" means."""
    import torch

    from moe_viz.engine.worker.main import step_seconds
    from moe_viz.spec import RunConfig
    from moe_viz.training import Trainer, resolve_device
    from moe_viz.training.devices import weigh, work_of

    try:
        where = resolve_device(chosen.device)
    except ValueError as error:
        yield Finding(
            "fail", "device", str(error), "Set MOE_VIZ_DEVICE=auto, or install the torch build of this device."
        )
        return
    torch.set_num_threads(chosen.threads)
    square = torch.eye(64, device=where) @ torch.ones(64, 64, device=where)
    trainer = Trainer(RunConfig.from_flat({"device": where.type}))
    trainer.run(2)
    started = time.perf_counter()
    trainer.step()
    loss = trainer.snapshot().metrics["loss"]  # waits for the device
    took = 1000 * (time.perf_counter() - started)
    named = ", ".join(accelerators()) if where.type != "cpu" else f"{chosen.threads} thread(s)"
    text = f"torch {torch.__version__} on {where.type} ({named}): one step and its picture take {took:.0f} ms"
    if where.type != "cpu" and chosen.device == "auto":
        times = weigh(lambda kind: step_seconds(Trainer, kind), RunConfig()) / work_of(RunConfig())
        text += f"; auto takes it for runs with at least {times:.2g} times the default's work, the CPU for smaller ones"
    if float(square.sum()) != 64 * 64 or loss is None or loss != loss:
        yield Finding(
            "fail", "device", f"torch {torch.__version__} on {where.type} computes wrongly", "Try another device."
        )
    else:
        yield Finding("ok", "device", text)


def folder(chosen: Settings) -> Iterator[Finding]:
    """Whether runs can be kept."""
    home = chosen.home
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"x")
    except OSError as error:
        todo = "Set MOE_VIZ_HOME to a folder that this user can write; otherwise runs are lost with the machine's next start."
        yield Finding("fail", "folder", f"{home} is not writable ({error.strerror})", todo)
        return
    free = shutil.disk_usage(home).free
    text = f"{home} is writable, {free / 1e9:.1f} GB free"
    if free < LEAST_DISK:
        yield Finding("fail", "folder", text, "Free some disk: checkpoints cannot be written.")
    elif free < chosen.store_bytes:
        yield Finding("warn", "folder", f"{text}, less than MOE_VIZ_STORE_BYTES = {chosen.store_bytes:,}",
                      "Lower MOE_VIZ_STORE_BYTES, so that old runs make room before the disk is full.")  # fmt: skip
    else:
        yield Finding("ok", "folder", text)


def memory(chosen: Settings) -> Iterator[Finding]:
    """Whether the processes fit when the server is full. The estimate is for default models; larger ones take more."""
    free = machine(paths.PACKAGE)["memory_free"]
    full = WEB_BYTES + WORKER_BYTES + chosen.max_runs * RUN_BYTES + chosen.history_bytes
    text = (
        f"{free / 1e9:.1f} GB free; web server, worker and {chosen.max_runs} runs need up to about {full / 1e9:.1f} GB"
    )
    if free < WEB_BYTES + WORKER_BYTES:
        yield Finding("fail", "memory", text, "The lab needs about 0.7 GB at least.")
    elif free < full:
        yield Finding(
            "warn",
            "memory",
            text,
            "Set MOE_VIZ_PROFILE=low_memory, or lower MOE_VIZ_MAX_RUNS and MOE_VIZ_HISTORY_BYTES.",
        )
    else:
        yield Finding("ok", "memory", text)


def worker(chosen: Settings) -> Iterator[Finding]:
    """Start a training process of this machine as the server does, with a store of its own, and let it train. A cluster is left alone."""
    from moe_viz.engine.client import LocalEngine
    from moe_viz.engine.limits import WorkerSettings
    from moe_viz.engine.protocol import EngineError
    from moe_viz.spec import RunConfig

    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        engine = LocalEngine(
            WorkerSettings.of(chosen.model_copy(update={"engine": "local", "log_to": "file"}), Path(place) / "runs")
        )
        try:
            run = engine.open(RunConfig())
            ready = time.perf_counter() - started
            done = engine.train_to(run, STEPS)
            while done < STEPS and time.perf_counter() < started + 60:
                time.sleep(0.05)
                done = engine.train_to(run, STEPS)
            text = f"started in {ready:.1f} s, trained {done} steps, uses {engine.status()['rss_mb']:.0f} MB"
            yield (
                Finding("ok", "worker", text)
                if done >= STEPS
                else Finding("fail", "worker", text, "It is much too slow.")
            )
        except EngineError as error:
            log = Path(place) / "worker.log"
            last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            yield Finding(
                "fail", "worker", str(error), f"Its last words: {' '.join(last)}" if last else "It said nothing."
            )
        finally:
            engine.close()


def free_port(port: int) -> Iterator[Finding]:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            todo = "Is the lab running already? Otherwise start it with --server.port ANOTHER."
            yield Finding("warn", "port", f"{port} cannot be opened ({error.strerror})", todo)
        else:
            yield Finding("ok", "port", f"{port} is free")


def browser() -> Iterator[Finding]:
    """Only the tests need one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    yield Finding("ok", "browser", path or "none; only `make test` needs one, and gets it by itself")

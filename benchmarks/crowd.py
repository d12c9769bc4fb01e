"""A class at the lab: the real server, and N readers over the websocket, every one with a run of its own that trains at full speed.

Run `python -m benchmarks.crowd --clients 30 [--open 100] [--seconds 60] [--soak MINUTES]`. Steps and updates are counted from what the
pages show; an update counts where its step number is new. The readers share the machine with the server, so their own cost is printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks.table import Row, show
from moe_viz.spec import RunConfig
from moe_viz.ui.session.permalink import encode
from tests.browser.lab import server
from tests.websocket import Reader, Update

MB = 2**20
CLASSROOM_TOKENS = 64
"""Batch of one training step in a class: small, so that thirty models train on two cores."""
PATIENCE_S = 300


@dataclass
class Watched:
    """One reader and what was counted of its page since `begin`."""

    reader: Reader
    step: int | None = None
    fresh: int = 0
    first: tuple[float, int] = (0.0, 0)
    """When `begin` was, and the step then."""
    latencies: list[float] = field(default_factory=list)
    bytes: int = 0

    def __post_init__(self) -> None:
        self.reader.on_update = self.note

    def note(self, update: Update) -> None:
        if not update.fragment:
            return
        step = live_step(self.reader)
        self.fresh += step is not None and step != self.step
        self.step = step
        self.latencies.append(update.done - update.asked)
        self.bytes += update.size

    def begin(self) -> None:
        self.fresh, self.bytes, self.first = 0, 0, (time.monotonic(), self.step or 0)
        self.latencies.clear()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.first[0]

    @property
    def steps(self) -> int:
        return (self.step or 0) - self.first[1]


def live_step(reader: Reader) -> int | None:
    """The step number that the page shows; None while no live run is shown."""
    found = re.search(r"\d+", reader.text("live_step") or "")
    return int(found.group()) if found else None


@dataclass
class Processes:
    """The server and its training processes: memory in MB, CPU seconds since `begin`."""

    web: psutil.Process

    def begin(self) -> None:
        self.workers = self.web.children(recursive=True)
        self.started = time.monotonic()
        self._before = self._cpu()

    def _cpu(self) -> list[float]:
        groups = ([self.web], self.workers, [psutil.Process()])
        return [sum(sum(p.cpu_times()[:2]) for p in group) for group in groups]

    def cores(self) -> list[float]:
        """Cores in use since `begin`: by the web process, the workers, this process."""
        passed = time.monotonic() - self.started
        return [(now - before) / passed for now, before in zip(self._cpu(), self._before)]

    def memory(self) -> tuple[float, float]:
        return self.web.memory_info().rss / MB, sum(p.memory_info().rss for p in self.workers) / MB


async def enter(address: str, arguments: argparse.Namespace) -> tuple[list[Watched], list[Reader]]:
    """Everybody opens the link; those beyond `--clients` press Pause and keep the page open."""

    def link(seed: int) -> str:
        return urlencode(encode(RunConfig(task=arguments.task, batch_tokens=arguments.batch_tokens, seed=seed), "en"))

    period = arguments.period or None
    active = [Watched(Reader(address, query=link(i), period=period)) for i in range(arguments.clients)]
    idle = [Reader(address, query=link(i)) for i in range(arguments.clients, arguments.open)]
    everybody = [w.reader for w in active] + idle
    await asyncio.gather(*(reader.open() for reader in everybody))
    await asyncio.gather(*(pause(reader) for reader in idle))
    for watched in active:
        await watched.reader.until(lambda r: (live_step(r) or 0) >= 1, PATIENCE_S)
    return active, idle


async def pause(reader: Reader) -> None:
    """Press Pause once the run is there; that may take a while, for a server that is full lets one in when another has paused."""
    await reader.until(live_step, PATIENCE_S)
    await reader.press("play")


async def measure(address: str, web: psutil.Process, arguments: argparse.Namespace) -> int:
    processes = Processes(web)
    opened = time.monotonic()
    active, idle = await enter(address, arguments)
    print(
        f"{len(active) + len(idle)} sessions open, {len(active)} training, after {time.monotonic() - opened:.0f} s",
        flush=True,
    )
    await asyncio.sleep(arguments.settle)
    processes.begin()
    report(await observe(active, processes, arguments.seconds), arguments)
    if arguments.soak:
        processes.begin()
        early = processes.memory()
        for minute in range(arguments.soak):
            await asyncio.sleep(60)
            print(
                f"  minute {minute + 1}: web {processes.memory()[0]:.0f} MB, worker {processes.memory()[1]:.0f} MB",
                flush=True,
            )
        rows = [
            Row(name, now, "MB", now / before)
            for name, now, before in zip(("web", "worker"), processes.memory(), early)
        ]
        show(f"Memory after {arguments.soak} minutes / before", rows)
        processes.begin()
        report(await observe(active, processes, arguments.seconds), arguments)
    slowest = min(active, key=lambda w: w.steps)
    print(f"\nthe slowest page says: {slowest.reader.texts()[:6]}")
    errors = [error for reader in [w.reader for w in active] + idle for error in reader.errors]
    lost = sum(not reader.connected for reader in [w.reader for w in active] + idle)
    print(f"\ntracebacks on pages: {len(errors)} {errors[:1]}; connections lost: {lost}")
    await asyncio.gather(*(reader.close() for reader in [w.reader for w in active] + idle))
    return int(bool(errors) or lost > 0)


async def observe(active: list[Watched], processes: Processes, seconds: float) -> dict[str, Any]:
    for watched in active:
        watched.begin()
    await asyncio.sleep(seconds)
    latencies = sorted(value for watched in active for value in watched.latencies)
    web, worker, readers = processes.cores()
    memory = processes.memory()
    updates = sum(len(w.latencies) for w in active)
    return {
        "updates": [w.fresh / w.seconds for w in active],
        "steps": [w.steps / w.seconds for w in active],
        "p50": latencies[len(latencies) // 2],
        "p95": latencies[int(0.95 * len(latencies))],
        "cores": {"web process": web, "training": worker, "these readers": readers},
        "memory": memory,
        "bytes": sum(w.bytes for w in active) / max(updates, 1),
        "ms": 1000 * web * seconds / max(updates, 1),
    }


def report(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Every row: at most 1.00 is good."""
    updates, steps = found["updates"], found["steps"]
    rows = [
        Row("updates of the slowest (at least 0.98)", min(updates), "/s", 0.98 / max(min(updates), 1e-9)),
        Row("updates, median", statistics.median(updates), "/s", 0.98 / max(statistics.median(updates), 1e-9)),
        Row("update, p50", 1000 * found["p50"], "ms", found["p50"] / 0.15),
        Row("update, p95 (at most 150)", 1000 * found["p95"], "ms", found["p95"] / 0.15),
        Row("steps of the slowest (at least 10)", min(steps), "/s", 10 / max(min(steps), 1e-9)),
        Row("steps, median", statistics.median(steps), "/s", 10 / max(statistics.median(steps), 1e-9)),
        Row("slowest / fastest (at least 0.7)", min(steps) / max(steps), "", 0.7 * max(steps) / max(min(steps), 1e-9)),
        Row("web memory (at most 300)", found["memory"][0], "MB", found["memory"][0] / 300),
        Row("training memory (at most 900)", found["memory"][1], "MB", found["memory"][1] / 900),
    ]
    show(
        f"{arguments.clients} sessions train {arguments.task}, {arguments.batch_tokens} tokens a step / the goal", rows
    )
    used = ", ".join(f"{name} {cores:.2f}" for name, cores in found["cores"].items())
    print(
        f"  cores in use: {used}; web CPU per update {found['ms']:.1f} ms, {found['bytes'] / 1000:.0f} kB; load {psutil.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=30, help="sessions that train")
    parser.add_argument("--open", type=int, default=0, help="sessions open in all; the others have paused their runs")
    parser.add_argument("--seconds", type=float, default=60, help="length of the measurement")
    parser.add_argument("--soak", type=int, default=0, help="minutes to go on for, to see whether memory grows")
    parser.add_argument("--settle", type=float, default=10, help="seconds before the measurement")
    parser.add_argument("--task", default="domains")
    parser.add_argument("--batch-tokens", type=int, default=CLASSROOM_TOKENS)
    parser.add_argument(
        "--period", type=float, default=1.0, help="seconds between two ticks; 0: what the page asks for"
    )
    arguments = parser.parse_args()
    home = tempfile.TemporaryDirectory()
    env = {"MOE_VIZ_HOME": home.name, "MOE_VIZ_PROFILE": "classroom"}
    with home, server(env=env) as (address, process):
        return asyncio.run(measure(address, psutil.Process(process.pid), arguments))


if __name__ == "__main__":
    raise SystemExit(main())

"""What hosting costs: steps of many runs in one host against one bare trainer, answers while training, start-up, memory, a soak.

Hosting is timed by the CPU clock of the training thread, as if it had a core to itself; answers and start-up by the wall clock,
which a busy machine stretches. `python -m benchmarks.engine`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

from benchmarks.table import Row, show
from moe_viz.engine.client import LocalEngine
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

MB = 2**20
TASK = "clusters"
"""The cheapest step of all tasks: whatever the host adds weighs most there."""
ROUNDS = 3


def hosted(folder: str, task: str, count: int) -> tuple[Host, list[str]]:
    host = Host(Trainer, RunStore(Path(folder) / "runs"), clock=time.thread_time)
    return host, [host.open(RunConfig(task=task, seed=i)) for i in range(count)]


def serve(host: Host, runs: list[str], seconds: float, reads_per_second: float) -> tuple[float, list[int]]:
    """CPU seconds spent and steps done per run while serving for `seconds`, every run being read at the given rate."""

    def steps() -> list[int]:
        return [host._runs[run].trainer.step_number for run in runs]

    before, start, turn = steps(), time.thread_time(), 0
    while (passed := time.thread_time() - start) < seconds:
        while turn < passed * reads_per_second * len(runs):
            host.read(runs[turn % len(runs)])
            turn += 1
        host.tick()
    return time.thread_time() - start, [after - b for after, b in zip(steps(), before)]


def throughput(seconds: float) -> None:
    """CPU time per step of a host with 1, 4, 12 runs, checkpoints included, without and with reading at 1 Hz each."""
    bare = Trainer(RunConfig(task=TASK))
    bare.run(200)
    rows, fairness = [], []
    for reads in (0.0, 1.0):
        for count in (1, 4, 12):
            with tempfile.TemporaryDirectory() as folder:
                host, runs = hosted(folder, TASK, count)
                serve(host, runs, 1, reads)
                ratios, costs, slowest = [], [], 1.0
                for _ in range(ROUNDS):
                    cpu, done = serve(host, runs, seconds, reads)
                    start = time.thread_time()
                    bare.run(300)
                    alone = (time.thread_time() - start) / 300
                    costs.append(1000 * cpu / sum(done))
                    ratios.append(cpu / sum(done) / alone)
                    slowest = min(slowest, min(done) / max(done))
            name = f"{count:2d} runs, each read at {reads:.0f} Hz"
            rows.append(Row(name, statistics.median(costs), "ms", statistics.median(ratios)))
            fairness.append(Row(name, slowest, "", slowest))
    show(f"CPU time per step in a host / of a bare trainer, {TASK}", rows)
    show("Steps of the slowest run / of the fastest (at least 0.7)", fairness)


def answers(seconds: float) -> None:
    """Wall time of `read` at 4 Hz per run while all train at full speed in the training process; its memory."""
    rows, memory = [], []
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        engine = LocalEngine(WorkerSettings(store=f"{folder}/runs"))
        try:
            while not engine.ready():
                time.sleep(0.02)
            ready = time.monotonic() - start
            worked = sum(psutil.Process(engine.pid).cpu_times()[:2])
            runs = [engine.open(RunConfig())]
            while engine.read(runs[0]).snapshot.step < 1:
                time.sleep(0.02)
            live = time.monotonic() - start
            for count in (1, 4, 12):
                runs += [engine.open(RunConfig(seed=len(runs) + i)) for i in range(count - len(runs))]
                took, end = [], time.monotonic() + seconds
                while (now := time.monotonic()) < end:
                    for run in runs:
                        asked = time.monotonic()
                        engine.read(run)
                        took.append(time.monotonic() - asked)
                    time.sleep(max(0.0, now + 0.25 - time.monotonic()))
                for share, name in ((0.5, "p50"), (0.95, "p95")):
                    value = sorted(took)[int(share * len(took))]
                    rows.append(
                        Row(f"read, {count:2d} runs, {name} (at most 0.15 s)", 1000 * value, "ms", value / 0.15)
                    )
                memory.append(Row(f"{count} runs", engine.status()["rss_mb"], "MB", engine.status()["rss_mb"] / 900))
        finally:
            engine.close()
    start_up = [("CPU time until ready", worked), ("ready", ready), ("first step shown", live)]
    show("Start of the training process / 6 s", [Row(name, value, "s", value / 6) for name, value in start_up])
    show("Answers while training text at full speed / the goal", rows)
    show("Memory of the training process / 900 MB", memory)


def soak(steps: int) -> None:
    """Growth of resident memory after the first tenth of a long run that is read like a page reads it."""
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        host, (run,) = hosted(folder, TASK, 1)
        trainer, since, early, read_at = host._runs[run].trainer, None, None, 0.0
        while trainer.step_number < steps:
            host.tick()
            if time.monotonic() - read_at > 0.25:
                update = host.read(run, since)
                since, read_at = (update.epoch, update.snapshot.step), time.monotonic()
            if early is None and trainer.step_number >= steps // 10:
                early = process.memory_info().rss / MB
        late = process.memory_info().rss / MB
    show(
        f"Resident memory after {steps} steps / after {steps // 10}",
        [Row("host and one run", late, "MB", late / early)],
    )


PARTS = {"throughput": throughput, "answers": answers, "soak": soak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS), help="only this table")
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU or wall seconds of one measurement")
    parser.add_argument("--steps", type=int, default=20_000, help="length of the soak")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.part is None:  # one process each: a soak must not inherit what the others left in memory
        again = [
            sys.executable,
            "-m",
            "benchmarks.engine",
            "--seconds",
            str(arguments.seconds),
            "--steps",
            str(arguments.steps),
        ]
        sys.exit(max(subprocess.run([*again, "--part", part]).returncode for part in PARTS))
    PARTS[arguments.part](arguments.steps if arguments.part == "soak" else arguments.seconds)


if __name__ == "__main__":
    main()

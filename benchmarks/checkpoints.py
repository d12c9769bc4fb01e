"""What keeping a run costs: CPU and wall time of one periodic checkpoint while a run grows, of one that writes Parquet, of export and import.

The goal is 5 ms of CPU per checkpoint of a default-size run: thirty runs, each saved every four seconds, then take 4 % of a core.
`python -m benchmarks.checkpoints`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from benchmarks.table import Row, show
from moe_viz.engine.limits import Limits
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

GOAL_S = 0.005
RUN = "benchmark-0123456789"


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.thread_time()
    action()
    return time.thread_time() - cpu, time.perf_counter() - wall


def periodic(task: str, rounds: int) -> list[Row]:
    """A run that is looked at ten times between two checkpoints, as on a page, saved as its host saves it."""
    trainer, taken, larger = Trainer(RunConfig(task=task)), [], []
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        for _ in range(rounds):
            for _ in range(10):
                trainer.run(4)
                trainer.snapshot()
            before = store._marks.get(RUN)
            cost = timed(lambda: store.save(RUN, trainer, playing=True))
            (taken if store._marks.get(RUN) == before else larger).append(cost)
        settled = timed(lambda: store.save(RUN, trainer, playing=True, for_long=True))
        loaded = timed(lambda: RunStore(folder).load(RUN, Trainer.load))
    every = [cpu for cpu, _ in taken + larger]
    data = trainer.exported(Limits().import_bytes)
    rows = [
        ("checkpoint, CPU, median", statistics.median(cpu for cpu, _ in taken)),
        ("checkpoint, wall (with the disk), median", statistics.median(wall for _, wall in taken)),
        ("mean of all checkpoints, CPU, those with Parquet included", statistics.mean(every)),
        ("checkpoint with all history as Parquet, CPU", settled[0]),
        ("brought back, CPU", loaded[0]),
        (f"exported ({len(data) / 1e6:.1f} MB), CPU", timed(lambda: trainer.exported(Limits().import_bytes))[0]),
        ("imported and checked, CPU", timed(lambda: Trainer.imported(data, lambda config: None))[0]),
    ]
    return [Row(name, 1000 * seconds, "ms", seconds / GOAL_S) for name, seconds in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="checkpoints of each run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for task in ("domains", "clusters"):
        show(f"Keeping a run, {task} / the goal of 5 ms", periodic(task, arguments.rounds))


if __name__ == "__main__":
    main()

"""Two machines in one: `make cluster-demo` starts a Ray cluster of two nodes on this computer, trains runs on both, and kills one node.

It prints where each run lives and how fast it goes, and after the kill from which step, on which node and after how many seconds each
lost run goes on. Everything listens on 127.0.0.1, with a token, and nothing is left behind.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.cluster.dev_nodes import Nodes, nodes
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import EngineError, WorkerLost
from moe_viz.spec import RunConfig

RUNS = 4
LONGEST_S = 60.0


def wait(condition: Callable[[], Any], what: str, seconds: float = LONGEST_S) -> Any:
    """The first true value of `condition`, asked ten times a second. TimeoutError where none comes."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
    return value


def where(engine: LocalEngine, runs: list[str]) -> dict[str, dict[str, Any]]:
    """What the status says of each of `runs` that is in memory somewhere."""
    runs_there = engine.status()["runs"]
    return {run: runs_there[run[:6]] for run in runs if run[:6] in runs_there}


def watch(engine: LocalEngine, runs: list[str], seconds: float) -> dict[str, int]:
    """Read runs as their pages would; the step each has reached."""
    end = time.monotonic() + seconds
    while True:
        steps = {run: engine.read(run).snapshot.step for run in runs}
        if time.monotonic() > end:
            return steps
        time.sleep(0.5)


def go_on(engine: LocalEngine, runs: list[str]) -> dict[str, tuple[float, int, str]]:
    """Read lost runs, as their pages would, until each trains again: after how many seconds, from which step, and what its page says."""
    start = time.monotonic()
    back: dict[str, tuple[int, str]] = {}
    done: dict[str, tuple[float, int, str]] = {}
    while len(done) < len(runs):
        if time.monotonic() - start > LONGEST_S:
            raise TimeoutError(f"{len(runs) - len(done)} runs do not go on after {LONGEST_S:.0f} s")
        for run in runs:
            try:
                update = engine.read(run)
            except WorkerLost:
                raise
            except EngineError as error:
                print(f"  the page of {run[:6]} says: {error}")
                continue
            if update.notices:
                back[run] = (update.snapshot.step, update.notices[0])
            if run in back and run not in done and update.snapshot.step > back[run][0]:
                done[run] = (time.monotonic() - start, *back[run])
        time.sleep(0.1)
    return done


def table(engine: LocalEngine, runs: list[str]) -> None:
    for run, about in where(engine, runs).items():
        rate = about["steps_per_second"]
        print(f"  run {run[:6]}  node {about['node']}  step {about['step']:6d}  {rate:6.1f} steps/s")


def show(engine: LocalEngine, two: Nodes) -> None:
    wait(engine.ready, "the first actor")
    wait(lambda: len(engine.status()["workers"]) == 2, "an actor on each node")
    runs = [engine.open(RunConfig(task="clusters", seed=seed)) for seed in range(RUNS)]
    print(f"{RUNS} runs, each opened on the node with the fewest:")
    reached = watch(engine, runs, 6)
    before = where(engine, runs)
    table(engine, runs)
    print("One node is killed …")
    start = time.monotonic()
    two.kill()
    wait(lambda: len(engine.status()["workers"]) == 1, "the loss to be noticed")
    print(f"  noticed {time.monotonic() - start:.1f} s after the kill")
    left = engine.status()["workers"][0]["node"]
    lost = [run for run in runs if before[run]["node"] != left]
    for run, (seconds, step, says) in go_on(engine, lost).items():
        print(
            f"  run {run[:6]} goes on {seconds:.1f} s later from step {step} (had reached {reached[run]}). Its page says:"
        )
        print(f"    {says}")
    watch(engine, runs, 6)
    print("All runs on the node that is left:")
    table(engine, runs)


def main() -> None:
    if importlib.util.find_spec("ray") is None:
        sys.exit("Ray is not installed: pip install -r requirements-cluster.txt")
    with tempfile.TemporaryDirectory() as folder, nodes([1, 1]) as two:
        print(f"Two nodes with one core each, joined with MOE_VIZ_ENGINE={two.engine}")
        engine = LocalEngine(WorkerSettings(store=f"{folder}/runs", engine=two.engine))
        try:
            show(engine, two)
        finally:
            engine.close()
    print("Everything has been stopped.")


if __name__ == "__main__":
    main()

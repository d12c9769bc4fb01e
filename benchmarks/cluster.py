"""What a cluster costs and saves: steps per second under Ray against the local engine on the same cores, and lost nodes.

Both engines are up at the same time and train in turn, so that a busy machine slows both; every run is read once a second, as a page
would. `python -m benchmarks.cluster`; without Ray it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.table import Row, show
from moe_viz.engine.client import LocalEngine
from moe_viz.engine.cluster.demo import go_on, wait, watch, where
from moe_viz.engine.cluster.dev_nodes import nodes
from moe_viz.engine.limits import WorkerSettings
from moe_viz.spec import RunConfig

CONFIG = RunConfig(task="clusters")
"""The cheapest step of all tasks: whatever the engine adds weighs most there."""
ROUNDS = 3
PACED = 20
"""Steps per second of the runs whose node is killed."""


def engine_of(folder: str, name: str, engine: str) -> LocalEngine:
    return LocalEngine(WorkerSettings(store=str(Path(folder) / name / "runs"), engine=engine))


def trained(engine: LocalEngine, runs: list[str], seconds: float) -> float:
    """Steps per second of all runs together; they are paused again afterwards."""
    before, start = {run: engine.read(run).snapshot.step for run in runs}, time.monotonic()
    for run in runs:
        engine.play(run, True)
    while time.monotonic() - start < seconds:
        time.sleep(1)
        for run in runs:
            engine.read(run)
    for run in runs:
        engine.play(run, False)
    after, took = {run: engine.read(run).snapshot.step for run in runs}, time.monotonic() - start
    return sum(after[run] - before[run] for run in runs) / took


def throughput(seconds: float) -> None:
    """Aggregate steps per second of 1, 4 and 12 runs, and what an answer takes while they train."""
    rates: list[Row] = []
    answers: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        engines = {"local": engine_of(folder, "local", "local"), "ray": engine_of(folder, "ray", "ray")}
        try:
            for engine in engines.values():
                wait(engine.ready, "both engines", 120)
            cores = engines["local"].status()["machine"]["cores"]
            wait(lambda: len(engines["ray"].status()["workers"]) == cores, "an actor per core", 120)
            runs: dict[str, list[str]] = {name: [] for name in engines}
            for count in (1, 4, 12):
                measured: dict[str, list[float]] = {name: [] for name in engines}
                for name, engine in engines.items():
                    runs[name] += [engine.open(CONFIG, playing=False) for _ in range(count - len(runs[name]))]
                for _ in range(ROUNDS):
                    for name, engine in engines.items():
                        measured[name].append(trained(engine, runs[name], seconds))
                ratio = statistics.median(ray / local for ray, local in zip(measured["ray"], measured["local"]))
                rates.append(Row(f"{count:2d} runs", statistics.median(measured["ray"]), "1/s", ratio))
            for name, engine in engines.items():
                asked = []
                for _ in range(40):
                    start = time.monotonic()
                    engine.read(runs[name][0])
                    asked.append(time.monotonic() - start)
                answers[name] = 1000 * statistics.median(asked)
        finally:
            for engine in engines.values():
                engine.close()
    show("Steps per second of all runs under Ray / under the local engine (at least 0.7)", rates)
    reads = [Row(f"read of a paused run, {name}", ms, "ms", ms / answers["local"]) for name, ms in answers.items()]
    show("Answers / of the local engine", reads)


def followed(engine: LocalEngine, runs: list[str], seconds: float) -> list[tuple[float, dict[str, int]]]:
    """When each run stood where, several times a second."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        seen.append((time.monotonic(), watch(engine, runs, 0)))
        time.sleep(0.2)
    return seen


def losses(kills: int) -> None:
    """From the kill of a node until it is noticed, from then until all of its runs train elsewhere, and how much training is lost."""
    noticed, back, lost = [], [], []
    with tempfile.TemporaryDirectory() as folder, nodes([1, 1]) as two:
        engine = engine_of(folder, "ray", two.engine)
        try:
            wait(engine.ready, "the first actor", 120)
            for _ in range(kills):
                wait(lambda: len(engine.status()["workers"]) == 2, "an actor on each node", 120)
                runs = [engine.open(CONFIG.model_copy(update={"speed": PACED})) for _ in range(6)]
                seen = followed(engine, runs, 8)
                before = where(engine, runs)
                start = time.monotonic()
                two.kill()
                wait(lambda: len(engine.status()["workers"]) == 1, "the loss to be noticed")
                noticed.append(time.monotonic() - start)
                left = engine.status()["workers"][0]["node"]
                gone = go_on(engine, [run for run in runs if before[run]["node"] != left])
                back.append(max(seconds for seconds, *_ in gone.values()))
                lost += [
                    start - max(at for at, steps in seen if steps[run] <= step) for run, (_, step, _) in gone.items()
                ]
                for run in runs:
                    engine.delete(run)
                two.add()
        finally:
            engine.close()
    rows = [
        Row("kill to noticed", max(noticed), "s", max(noticed) / 20),
        Row("noticed to all runs training", max(back), "s", max(back) / 20),
    ]
    show(f"A killed node, the worst of {kills} / 20 s", rows)
    show("Training lost with it, the worst run / 5 s", [Row(f"{len(lost)} runs", max(lost), "s", max(lost) / 5)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["throughput", "losses"], help="only this table")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument("--kills", type=int, default=3, help="how often a node is killed")
    arguments = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed (pip install -r requirements-cluster.txt): nothing to measure.")
        return
    if arguments.part != "losses":
        throughput(arguments.seconds)
    if arguments.part != "throughput":
        losses(arguments.kills)


if __name__ == "__main__":
    main()

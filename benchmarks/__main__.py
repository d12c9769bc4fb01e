"""Run every benchmark, one process each, so that none inherits another's memory or threads.

`python -m benchmarks --smoke` runs each at its smallest size: its figures mean little then, only that it still runs and still has some.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "__main__", "table"}
SMALLEST = {
    "checkpoints": "--rounds 1",
    "cluster": "--seconds 1 --kills 1",
    "course": "--seeds 0 --only 1.1 2.1 4.6",
    "crowd": "--clients 2 --seconds 3 --settle 1",
    "engine": "--seconds .2 --steps 300",
    "faults": "--times 1 --only disk",
    "first_minute": "--seeds 1 --times 1",
    "frames": "--seconds 1",
    "layer": "--rounds 1",
    "memory": "--sessions 1 --seconds 2",
    "mixtures": "--rounds 1 --iterations 1",
    "page": "--times 1 --seconds 6",
    "routers": "--rounds 1",
    "scenes": "--seeds 1",
    "slow_line": "--times 1 --seconds 1",
    "time_machine": "--times 6",
    "trainer": "--rounds 1",
}
"""Benchmark -> the arguments of a run that only shows that it still runs."""


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def command_of(name: str, arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments.split()]


def run(command: list[str], has_figures: bool) -> str:
    """Run one benchmark and pass on what it prints; what is wrong with it, "" where nothing is. has_figures: it must have printed some."""
    said = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            print(line, end="", flush=True)
    if process.returncode:
        return f"it ended with {process.returncode}"
    if wrong := re.search(r"(?<![\w-])[+-]?(nan|inf)(?![\w-])", said):
        return f"it printed {wrong.group()}"
    return "it printed no figure" if has_figures and not re.search(r"\d", said) else ""


def main() -> str | None:
    """What failed, if anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="each at its smallest size, only to see that it runs")
    smoke = parser.parse_args().smoke
    failed = []
    for name in names():
        start = time.monotonic()
        problem = run(command_of(name, SMALLEST[name] if smoke else ""), has_figures=smoke)
        failed += [f"{name} ({problem})"] if problem else []
        print(f"{name}: {f'FAILED, {problem}' if problem else 'ran'}, {time.monotonic() - start:.0f} s\n", flush=True)
    return f"benchmarks failed: {', '.join(failed)}" if failed else None


if __name__ == "__main__":
    sys.exit(main())

"""Run every benchmark, one process each, so that none inherits another's memory or threads.

`python -m benchmarks --smoke` runs each at its smallest size: its figures mean nothing then, only that it still runs.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "__main__", "table"}
SMALLEST = {
    "checkpoints": "--rounds 1",
    "cluster": "--part throughput --seconds 1",
    "crowd": "--clients 2 --seconds 3 --settle 1",
    "engine": "--seconds .2 --steps 300",
    "faults": "--times 1 --only disk",
    "first_minute": "--seeds 1 --times 1",
    "frames": "--seconds 1",
    "layer": "--rounds 1",
    "memory": "--sessions 1 --seconds 2",
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


def run(name: str, arguments: str) -> bool:
    """Whether one benchmark ran to its end."""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments.split()])
    print(f"{name}: {'ran' if done.returncode == 0 else 'FAILED'}, {time.monotonic() - start:.0f} s\n", flush=True)
    return done.returncode == 0


def main() -> str | None:
    """What failed, if anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="each at its smallest size, only to see that it runs")
    smoke = parser.parse_args().smoke
    failed = [name for name in names() if not run(name, SMALLEST[name] if smoke else "")]
    return f"benchmarks failed: {', '.join(failed)}" if failed else None


if __name__ == "__main__":
    sys.exit(main())

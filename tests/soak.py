"""How often the browser tests are green while both cores are busy: `python -m tests.soak [ROUNDS]`, which `make soak-tests` calls.

A test that passes on a quiet machine and fails on a busy one waits for a time instead of for what it wants to see, or the page
loses something; both are faults. Prints each round and exits with 1 unless every round was green.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

ROUNDS = 5
SUITE = ("-q", "-n", "2", "--dist", "worksteal", "-m", "browser")


@contextmanager
def busy_cores() -> Iterator[None]:
    """One process per core that does nothing but compute, until the block ends."""
    processes = [multiprocessing.Process(target=_compute, daemon=True) for _ in range(os.cpu_count() or 1)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _compute() -> None:
    while True:
        pass


def main(rounds: int) -> int:
    green = 0
    with busy_cores():
        for number in range(1, rounds + 1):
            start = time.monotonic()
            done = subprocess.run([sys.executable, "-m", "pytest", *SUITE], capture_output=True, text=True)
            green += done.returncode == 0
            print(
                f"round {number}: {done.stdout.strip().splitlines()[-1]}, {time.monotonic() - start:.0f} s", flush=True
            )
            if done.returncode:
                print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))))
    print(f"{green} of {rounds} rounds green")
    return 0 if green == rounds else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))

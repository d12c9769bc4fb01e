"""Every fault 20 times: killed processes, cut networks, full disks, damaged files, jumping clocks, runs that diverge or kill their process.

The scenes and what must hold in them are those of `tests/faults`, which CI repeats less often where a process must start anew each time.
Printed per fault: seconds until a reader is told (at most 3), until training again, age of the last checkpoint and training lost (at
most 5). `python -m benchmarks.faults --times 20`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="repetitions of each fault")
    parser.add_argument("--only", default="", help="the faults whose tests have this in their names")
    arguments = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "tests/faults",
        "--durations=10",
        "-p",
        "no:cacheprovider",
        "-k",
        arguments.only,
    ]
    env = os.environ | {"MOE_VIZ_FAULTS": str(arguments.times)}
    sys.exit(subprocess.run(command, cwd=ROOT, env=env).returncode)


if __name__ == "__main__":
    main()

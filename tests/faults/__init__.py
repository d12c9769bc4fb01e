"""What must not lose a run: killed processes, cut networks, full disks, damaged files, clocks that jump. Each at least TIMES times.

Every fault is the real one where a test can have it: SIGKILL to the real training process and the real server, a file size limit set on the
running worker, dropped connections. `python -m benchmarks.faults` runs the same with a table of what was measured.
"""

import os


def _times(fewer: int) -> int:
    return int(os.environ.get("MOE_VIZ_FAULTS", fewer))


TIMES = _times(20)
"""Repetitions of faults inside a process."""
KILLS = _times(8)
"""Of those that start the training process anew each time (`python -m benchmarks.faults` does all of them 20 times)."""
SERVER_TIMES = _times(3)
"""Of those that start the web server too."""
MESSAGE_S = 3.0
"""A reader is told within this time."""
CHECKPOINT_S = 5.0
"""No more than this much training is lost."""

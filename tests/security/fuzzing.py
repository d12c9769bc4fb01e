"""How many hostile inputs there are of each kind, and how each is counted and timed. Every test counts what it really tried."""

import time
from collections import Counter
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, settings

COUNTS = {
    "configs": 2200, "links": 2200, "events": 2000, "commands": 2000, "commands of a real run": 300, "imports": 500, "pictures": 300, "points": 300, "sentences": 300,
}  # fmt: skip
LONGEST_S = 5.0
"""CPU seconds for one input; usually it is a thousandth."""


DONE = Counter()


@contextmanager
def tried(kind):
    """Count one input and see that it does not hang."""
    start = time.process_time()
    yield
    assert time.process_time() - start < LONGEST_S, kind
    DONE[kind] += 1


def many(kind, each=10):
    """Settings for a test that tries `each` inputs an example. A failure is told as it was found: making it small would take minutes."""
    suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=-(-COUNTS[kind] // each), suppress_health_check=suppressed, database=None, phases=[Phase.generate]
    )


def enough(kind):
    assert DONE[kind] >= COUNTS[kind]

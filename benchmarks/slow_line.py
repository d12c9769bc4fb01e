"""A press over a slow line: how soon Pause shows at 50 kB/s after the lab has trained for 20 s, and what the line carried meanwhile.

Run `python -m benchmarks.slow_line`. The last column is the ratio to two seconds, so that 1.00 or less is good.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.table import Row, show
from tests.browser.lab import browser_page, server, wait_for_step
from tests.browser.line import Line

RATE = 50_000
"""Bytes a second towards the reader."""
SHOWN_S = 2.0


def measure(times: int, trains_s: float) -> list[Row]:
    """The longest of `times` presses, each after training for `trains_s` over the slow line."""
    waits, carried = [], 0
    with server() as (address, _process), Line(address) as line, browser_page() as page:
        page.goto(line.address)
        wait_for_step(page, 10)
        line.rate = RATE
        button = page.locator(".st-key-play button")
        for _ in range(times):
            before = line.passed
            page.wait_for_timeout(trains_s * 1000)
            carried += line.passed - before
            for shown in ("Play", "Pause"):
                start = time.monotonic()
                button.click()
                page.wait_for_function(
                    "shown => document.querySelector('.st-key-play button').innerText.includes(shown)",
                    arg=shown,
                    timeout=120_000,
                )
                waits.append(time.monotonic() - start)
    rate = carried / times / trains_s
    return [
        Row(f"press to shown at {RATE // 1000} kB/s, longest", max(waits), "s", max(waits) / SHOWN_S),
        Row("carried meanwhile", rate / 1000, "kB/s", rate / RATE),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2, help="presses to time")
    parser.add_argument("--seconds", type=float, default=20, help="of training before each press")
    asked = parser.parse_args()
    show("A slow line (target ratio: at most 1.00)", measure(asked.times, asked.seconds))

"""The first minute of a visitor: how soon a press shows something, and whether "Make it collapse" does, over seeds.

`python -m benchmarks.first_minute` (`--seeds 10 --times 5 --task clusters`). Seeds are trained on one thread, as fast as they go.
"""

from __future__ import annotations

import argparse
import statistics
import time
from tempfile import TemporaryDirectory

import torch
from playwright.sync_api import Page

from benchmarks.table import Row, show
from moe_viz.records.metrics import WINDOW, is_collapsed
from moe_viz.spec import TASK_OPTIONS, RunConfig, change
from moe_viz.training import Trainer
from moe_viz.ui.lab.first_presses import collapse_knobs
from tests.browser.lab import browser_page, server

MOST_S = 20.0


def seconds_to_collapse(config: RunConfig) -> float | None:
    """Seconds of training until half of some layer's experts are dead; None where they are not within `MOST_S`."""
    trainer, start = Trainer(change(config, **collapse_knobs(config), device="cpu")), time.monotonic()
    while time.monotonic() - start < MOST_S:
        trainer.run(WINDOW)
        dead = trainer.snapshot().metrics["dead_experts"]
        if any(is_collapsed(int(n), config.n_experts) for n in dead):
            return time.monotonic() - start
    return None


def press_to_change(page: Page, address: str, times: int) -> list[float]:
    """Seconds from a press on "Make it collapse" to the picture of the reader's own run in the recording's place, on a page just opened by a
    bare address."""
    waits = []
    for _ in range(times):
        page.context.clear_cookies()
        page.goto(address)
        page.locator(".st-key-routing .tok").first.wait_for()
        button = page.locator(".st-key-first_collapse button")
        button.wait_for()
        badge = page.locator(".st-key-routing .badge")
        badge.wait_for()
        start = time.monotonic()
        button.click()
        badge.wait_for(state="hidden")
        waits.append(time.monotonic() - start)
    return waits


def measure(task: str, seeds: int, times: int) -> list[Row]:
    torch.set_num_threads(1)
    took = [seconds_to_collapse(RunConfig(task=task, seed=seed)) for seed in range(seeds)]
    with (
        TemporaryDirectory() as home,
        server(env={"MOE_VIZ_HOME": home}) as (address, _process),
        browser_page() as page,
    ):
        waits = press_to_change(page, address, times)
    dead = [seconds for seconds in took if seconds is not None]
    slowest = max(dead, default=None)
    return [
        Row(
            f"{task}: seeds of {seeds} with half of a layer dead within 20 s",
            len(dead),
            "",
            seeds / len(dead) if dead else None,
        ),
        Row("the slowest of them", slowest, "s", slowest / MOST_S if slowest is not None else None),
        Row(
            "press to the picture of one's own run, p50", statistics.median(waits), "s", statistics.median(waits) / 0.5
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--task", choices=list(TASK_OPTIONS), default="domains")
    options = parser.parse_args()
    show("The first minute (target ratio: at most 1.00)", measure(options.task, options.seeds, options.times))


if __name__ == "__main__":
    main()

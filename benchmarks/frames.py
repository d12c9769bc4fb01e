"""The routing view in a real Chromium while a model trains: frames per second, and what each update and each frame costs the main thread.

Run `python -m benchmarks.frames`. Two pictures: the lab's photographs (576 patches, 16 experts) at a slow pace and at full speed, and 512 tokens of
text with 16 experts, redrawn four times a second beside a trainer at full speed. The main thread's milliseconds are CPU time and
tell of the page alone; frames per second, and how long a frame's drawing took, also of how busy the machine is. The last column is the ratio to 50 frames per second, or to the 20 ms that such a frame may take.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from benchmarks.table import Row, show
from tests.browser.lab import browser_page, server, wait_for_step

FRAMES = 50
COUNT = """() => {
  const own = window.requestAnimationFrame.bind(window);
  window.__frames = { drawn: 0, spent: 0, most: 0, callbacks: 0 };
  window.requestAnimationFrame = (call) => own((now) => {
    const start = performance.now();
    call(now);
    const took = performance.now() - start;
    Object.assign(window.__frames, { spent: window.__frames.spent + took, most: Math.max(window.__frames.most, took), callbacks: window.__frames.callbacks + 1 });
  });
  const count = () => { window.__frames.drawn += 1; own(count); };
  own(count);
}"""
STEPS = """seconds => new Promise((done) => {
  const root = [...document.querySelectorAll('*')].map((node) => node.shadowRoot?.querySelector('.mv[data-tab]')).find(Boolean);
  let updates = 0;
  const watch = new MutationObserver(() => { updates += 1; });
  watch.observe(root, { attributes: true, attributeFilter: ['data-step'] });
  setTimeout(() => { watch.disconnect(); done(updates); }, seconds * 1000);
})"""
TRAIN = """
import os, torch
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
torch.set_num_threads(1)
os.nice(10)
trainer = Trainer(RunConfig(n_experts=16))
while True:
    trainer.step()
"""


@contextmanager
def training() -> Iterator[None]:
    """A model that trains at full speed in a process of its own, as the lab's worker does."""
    with subprocess.Popen([sys.executable, "-c", TRAIN]) as process:
        try:
            yield
        finally:
            process.kill()


def watch(page: Page, seconds: float) -> dict[str, float]:
    """What happened on the page for some seconds: frames and updates, and the main thread's CPU time in ms."""
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> dict[str, float]:
        return {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}

    page.evaluate(COUNT)
    before = spent()
    updates = page.evaluate(STEPS, seconds)
    after, frames = spent(), page.evaluate("window.__frames")
    taken = {
        name: 1000 * (after[name] - before[name]) for name in ("TaskDuration", "LayoutDuration", "RecalcStyleDuration")
    }
    return {
        "frames": frames["drawn"] / seconds,
        "updates": updates / seconds,
        "callback": frames["spent"] / max(frames["callbacks"], 1),
        "longest": frames["most"],
        "busy": taken["TaskDuration"] / seconds / 10,
        "update": taken["TaskDuration"] / max(updates, 1),
        "layout": (taken["LayoutDuration"] + taken["RecalcStyleDuration"]) / max(updates, 1),
    }


def rows(name: str, found: dict[str, float]) -> list[Row]:
    return [
        Row(f"{name}: frames per second", found["frames"], "/s", FRAMES / max(found["frames"], 0.1)),
        Row(f"{name}: drawing, mean of a frame", found["callback"], "ms", found["callback"] * FRAMES / 1000),
        Row(f"{name}: drawing, longest frame", found["longest"], "ms", found["longest"] * FRAMES / 1000),
        Row(f"{name}: main thread per update, charts included", found["update"], "ms", found["update"] / 250),
        Row(f"{name}: of it style and layout", found["layout"], "ms", found["layout"] / 250),
        Row(f"{name}: main thread busy", found["busy"], "%", found["busy"] / 100),
        Row(f"{name}: updates per second", found["updates"], "/s", 3 / max(found["updates"], 0.1)),
    ]


def measure(seconds: float) -> list[Row]:
    found: list[Row] = []
    with server() as (address, _process):
        for speed in ("20", "full"):
            with browser_page() as page:
                page.goto(f"{address}/?task=photo&n_experts=16&speed={speed}")
                wait_for_step(page, 40, 120)
                found += rows(f"576 patches, speed {speed}", watch(page, seconds))
    with server("tests/browser/demo_components.py") as (address, _process), training(), browser_page() as page:
        page.goto(f"{address}/?tokens=512&experts=16&k=2&tick=0.25")
        page.locator(".tok").first.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        found += rows("512 tokens of text", watch(page, seconds))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long each picture is watched")
    show("Frames while a model trains (ratio at most 1.00 is good)", measure(parser.parse_args().seconds))

"""The lab in a real Chromium: how soon it shows something, how often it updates, how fast it answers a knob, what it costs.

Run `python -m benchmarks.page`. Times are wall times on whatever machine this is; the last column is the ratio to the figure
that a reader still feels as immediate, so that 1.00 or less is good.
"""

from __future__ import annotations

import argparse
import statistics
import time

import psutil
from playwright.sync_api import Page

from benchmarks.table import Row, show
from tests.browser.lab import browser_page, live_step, server, wait_for_step

ROUTERS = ("Switch", "Mixtral", "Top-k softmax")
COUNT_REMOUNTS = """() => {
  window.__removed = 0;
  const watch = new MutationObserver(list => list.forEach(m => m.removedNodes.forEach(n => {
    if (n.nodeType === 1 && (n.matches('canvas, svg, [data-testid="stVegaLiteChart"]') || n.querySelector('canvas'))) window.__removed += 1;
  })));
  watch.observe(document.querySelector('[data-testid="stMain"]'), {childList: true, subtree: true});
}"""


def first_paint(page: Page, address: str) -> float:
    """Seconds from opening the page to the first routing on it (recorded or live)."""
    start = time.monotonic()
    page.goto(address)
    page.locator(".tok, .mv canvas").first.wait_for(timeout=60_000)
    return time.monotonic() - start


def updates_per_second(page: Page, seconds: float = 10) -> float:
    """Changes of the live step number per second."""
    script = """seconds => new Promise(done => {
      let seen = new Set(); const end = performance.now() + seconds * 1000;
      const look = () => { const n = document.querySelector('.st-key-live_step'); if (n) seen.add(n.innerText);
        performance.now() < end ? requestAnimationFrame(look) : done((seen.size - 1) / seconds) }; look(); })"""
    return page.evaluate(script, seconds)


def knob_to_pixels(page: Page, times: int) -> list[float]:
    """Seconds from choosing another k on its slider to a picture drawn with it (the routing view names the gate and k)."""
    slider = page.locator(".st-key-k input[type=range]")
    waits = []
    for _ in range(times):
        now = int(slider.get_attribute("aria-valuenow") or slider.input_value())
        before = page.locator(".st-key-shown_k").inner_text()
        slider.focus()
        start = time.monotonic()
        page.keyboard.press("ArrowRight" if now < 2 else "ArrowLeft")
        page.wait_for_function(
            "before => document.querySelector('.st-key-shown_k')?.innerText !== before", arg=before, timeout=20_000
        )
        waits.append(time.monotonic() - start)
        page.wait_for_timeout(700)
    return waits


def measure(times: int) -> list[Row]:
    started = time.monotonic()
    with server() as (address, process), browser_page() as page:
        paint = first_paint(page, address)
        wait_for_step(page, 1)
        live = time.monotonic() - started
        wait_for_step(page, 50)
        page.evaluate(COUNT_REMOUNTS)
        rate = updates_per_second(page)
        remounts = page.evaluate("window.__removed")
        waits = knob_to_pixels(page, times)
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
        assert live_step(page)
    return [
        Row("first routing on the page (recorded)", paint, "s", paint / 2.5),
        Row("first live step after starting the server", live, "s", live / 6),
        Row("page updates at default settings", rate, "/s", 3 / rate),
        Row("charts remounted while ticking", remounts, "", float(remounts)),
        Row("knob to changed pixels, p50", statistics.median(waits), "s", statistics.median(waits) / 0.5),
        Row("memory of the web process", memory, "MiB", memory / 250),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=15, help="knob turns to time")
    show("The page (target ratio: at most 1.00)", measure(parser.parse_args().times))

"""The lab in a real Chromium: how soon it shows something, how often it updates, how fast it answers a knob, what it costs, how still it sits.

Run `python -m benchmarks.page`. It is started by the command behind `make run`. Times are wall times on whatever machine this is; the last
column is the ratio to the figure aimed at, so that 1.00 or less is good. Chromium works on the same cores, and is not counted but felt.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Page

from benchmarks.table import Row, show
from moe_viz import health
from tests.browser.lab import browser_page, live_step, server, wait_for_step
from tests.websocket import Reader

ROUTERS = ("Switch", "Mixtral", "Top-k softmax")
HEAD_SHIFT = """seconds => new Promise(done => {
  let least = Infinity, most = -Infinity; const end = performance.now() + seconds * 1000;
  const look = () => {
    const below = document.querySelector('.st-key-routing');
    if (below) {
      const top = below.getBoundingClientRect().top + document.querySelector('[data-testid="stMain"]').scrollTop;
      least = Math.min(least, top); most = Math.max(most, top);
    }
    performance.now() < end ? requestAnimationFrame(look) : done(most - least);
  };
  look(); })"""
"""Pixels by which what stands below the head moves up and down."""
COUNT_REMOUNTS = """() => {
  window.__removed = 0;
  const watch = new MutationObserver(list => list.forEach(m => m.removedNodes.forEach(n => {
    if (n.nodeType === 1 && (n.matches('canvas, svg, [data-testid="stVegaLiteChart"]') || n.querySelector('canvas'))) window.__removed += 1;
  })));
  watch.observe(document.querySelector('[data-testid="stMain"]'), {childList: true, subtree: true});
}"""


def first_paint(page: Page, address: str) -> float:
    """Seconds from opening the page to the first routing on it, recorded. By a link with a task: a bare address would stay with the recording."""
    start = time.monotonic()
    page.goto(f"{address}/?task=domains", wait_until="commit")
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


def cost(process: psutil.Process, address: str, seconds: float) -> tuple[float, float]:
    """Over some seconds: the web process's share of a core, and the training steps a second of all runs together."""
    before, start, rates = sum(process.cpu_times()[:2]), time.monotonic(), []
    while time.monotonic() - start < seconds:
        time.sleep(1)
        rates.append(health.ask(f"{address}/healthz")["worker"]["steps_per_second"])
    return (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - start), statistics.mean(rates)


async def unwatched(process: psutil.Process, address: str, query: str, seconds: float) -> float:
    """Training steps a second of the run behind a link that is read just often enough not to pause, by a reader without a browser."""
    reader = await Reader(address, query=query, period=10).open()
    await asyncio.sleep(5)  # the rate is that of the last seconds
    _share, rate = await asyncio.to_thread(cost, process, address, seconds)
    await reader.close()
    return rate


def measure(times: int, seconds: float) -> list[Row]:
    with browser_page() as page, TemporaryDirectory() as home:
        return _measured(page, times, seconds, home)


def _measured(page: Page, times: int, seconds: float, home: str) -> list[Row]:
    page.goto("about:blank")  # the browser has started before the clock does
    started = time.monotonic()
    with server(env={"MOE_VIZ_HOME": home}) as (address, process):
        paint = first_paint(page, address)
        wait_for_step(page, 1)
        live = time.monotonic() - started
        web = psutil.Process(process.pid)
        wait_for_step(page, 50)
        page.evaluate(COUNT_REMOUNTS)
        rate = updates_per_second(page)
        remounts = page.evaluate("window.__removed")
        waits = knob_to_pixels(page, times)
        memory = web.memory_info().rss / 2**20
        assert live_step(page)
        share, beside = cost(web, address, seconds)
        shift = page.evaluate(HEAD_SHIFT, 4 * seconds)
        query = urlsplit(page.url).query
        page.goto("about:blank")
        with ThreadPoolExecutor() as thread:  # this one is Playwright's
            alone = thread.submit(lambda: asyncio.run(unwatched(web, address, query, seconds))).result()
            kept = beside / alone if alone else None
    return [
        Row("first routing on the page (recorded)", paint, "s", paint / 1.2),
        Row("first live step after starting the server", live, "s", live / 4),
        Row("page updates at default settings", rate, "/s", 3 / rate),
        Row("charts remounted while ticking", remounts, "", float(remounts)),
        Row("knob to changed pixels, p50", statistics.median(waits), "s", statistics.median(waits) / 0.2),
        Row("web process with one reader", share, "core", share / 0.1),
        Row("training with a page open, of its rate without", kept, "", 0.95 / kept if kept else None),
        Row(f"what stands below the head moves in {4 * seconds:.0f} s", shift, "px", shift),
        Row("memory of the web process", memory, "MiB", memory / 250),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=15, help="knob turns to time")
    parser.add_argument(
        "--seconds",
        type=float,
        default=15,
        help="of each look at what a page costs; the head is watched for four times as long",
    )
    asked = parser.parse_args()
    show("The page (target ratio: at most 1.00)", measure(asked.times, asked.seconds))

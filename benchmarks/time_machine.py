"""The time machine: from a move on the track to the picture of that moment, and what a long run's history weighs.

Run `python -m benchmarks.time_machine`. Wall times on whatever machine this is; the last column is the ratio to the target (100 ms from
scrub to picture, 25 MB for the history of a 10,000-step run), so that 1.00 or less is good.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
from playwright.sync_api import Page

from benchmarks.table import Row, show
from moe_viz.records.history import History
from moe_viz.records.trace import RoutingTrace
from tests.browser.lab import browser_page, follow_menu, server, wait_for_step

STEPS = 10_000
LOOK_EVERY = 5
"""Steps between two keyframes of the weighed run: what a page at 4 looks a second sees of 20 steps a second."""

# The track asks for a moment; the picture has changed when some token shows another expert. Both clocks are the browser's.
SCRUB = """([times, pause]) => new Promise(async done => {
  const inside = (key, what) => { for (const n of document.querySelectorAll(`.st-key-${key} *`)) {
    const found = n.shadowRoot?.querySelector(what); if (found) return n.shadowRoot; } };
  const track = inside('track', 'input'), picture = inside('moment', '.tok'), slider = track.querySelector('input');
  const low = Number(slider.min), high = Number(slider.max), waits = [];
  for (let i = 0; i < times; i++) {
    const wait = new Promise(seen => {
      const watch = new MutationObserver(() => { watch.disconnect(); seen(performance.now()); });
      watch.observe(picture, {subtree: true, attributes: true, attributeFilter: ['data-x', 'data-state']});
      setTimeout(() => { watch.disconnect(); seen(NaN); }, 4000);
    });
    const start = performance.now();
    slider.value = low + (i % 2 ? 0.8 - 0.01 * i : 0.1 + 0.01 * i) * (high - low);
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    waits.push(await wait - start);
    await new Promise(rest => setTimeout(rest, pause));
  }
  done(waits);
})"""


def scrub_to_picture(page: Page, times: int) -> list[float]:
    """Milliseconds from moving the track to the first changed token of the picture; moves that changed no token are left out."""
    waits = page.evaluate(SCRUB, [times, 250])
    return [wait for wait in waits if wait is not None and np.isfinite(wait)]


def history_bytes(n_experts: int, n_layers: int, n_tokens: int = 512, k: int = 2) -> int:
    """What the history of a 10,000-step run holds, all metrics of every step and the keyframes of a reader who never looks away."""
    columns = ["loss", *(f"load.{layer}.{e}" for layer in range(n_layers) for e in range(n_experts))]
    history, rng = History(), np.random.default_rng(0)
    labels = {
        "tokens": np.array(["t"] * n_tokens, object),
        "group": np.array(["g"] * n_tokens, object),
        "sequence": np.zeros(n_tokens, np.int32),
        "position": np.arange(n_tokens, dtype=np.int32),
    }
    for start in range(0, STEPS, LOOK_EVERY):
        steps = np.arange(start + 1, start + 1 + LOOK_EVERY)
        history.append(columns, steps, rng.random((LOOK_EVERY, len(columns)), np.float32))
        traces = []
        for layer in range(n_layers):
            probs = rng.random((n_tokens, n_experts), np.float32)
            expert = np.argsort(-probs, 1)[:, :k].astype(np.int16)
            routed = {
                "weight": np.take_along_axis(probs, expert, 1),
                "kept": expert >= 0,
                "slot": expert.astype(np.int32),
            }
            traces.append(RoutingTrace(steps[-1], layer, "topk", None, **labels, expert=expert, probs=probs, **routed))
        history.add_keyframe(int(steps[-1]), traces)
    return history.nbytes


def measure(times: int) -> list[Row]:
    rows = []
    with server() as (address, _), browser_page() as page:
        page.goto(f"{address}/?task=domains")
        wait_for_step(page, 100, 300)
        follow_menu(page, "Time machine")
        page.locator(".st-key-moment .tok").first.wait_for(timeout=60_000)
        for name in ("while training", "paused"):
            if name == "paused":
                page.locator(".st-key-play button").click()
            page.wait_for_timeout(4000)
            waits = scrub_to_picture(page, times)
            middle, late = statistics.median(waits), float(np.quantile(waits, 0.95))
            rows += [
                Row(f"scrub to picture, {name}, p50", middle, "ms", middle / 100),
                Row(f"scrub to picture, {name}, p95", late, "ms", late / 100),
            ]
    for n_experts, n_layers in ((8, 2), (64, 8)):
        size = history_bytes(n_experts, n_layers) / 1e6
        rows.append(Row(f"history of {STEPS} steps, {n_experts} experts, {n_layers} layers", size, "MB", size / 25))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="moves on the track to time")
    show("The time machine (target ratio: at most 1.00)", measure(parser.parse_args().times))

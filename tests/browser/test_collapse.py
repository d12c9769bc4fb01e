"""The guided collapse and rescue in a real browser; what the page says is compared with the very same run made without a page."""

import re

import pytest
from playwright.sync_api import expect

from benchmarks.scenes import play
from moe_viz.lessons.scenes import POINTS
from moe_viz.training import Trainer
from tests.browser.lab import browser_page, live_step, wait_for_pictures, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000


@pytest.fixture
def page(address):
    with browser_page() as page:
        page.goto(f"{address}/collapse")
        wait_for_step(page, 3, 120)
        yield page


def wait_for_story(page, pattern):
    page.wait_for_function(
        "pattern => new RegExp(pattern).test(document.querySelector('.st-key-story')?.innerText ?? '')",
        arg=pattern,
        timeout=SLOW,
    )
    return page.locator(".st-key-story").inner_text()


def test_collapse_and_rescue_as_told_are_what_the_run_does(page):
    wait_for_story(page, r"Step \d+ of 60")
    page.locator(".st-key-play_collapse button").click()
    told = wait_for_story(page, r"Collapsed after \d+ steps")
    collapsing = Trainer(POINTS.start(POINTS.collapse, device="cpu"))
    watch = play(collapsing, POINTS.collapse, 30)
    assert int(re.search(r"after (\d+)", told)[1]) == watch.reached
    wait_for_step(page, 32)
    page.locator(".st-key-play_rescue button").click()
    told = wait_for_story(page, r"Rescued after \d+ steps")
    line = page.locator(".st-key-scene_log").inner_text().splitlines()[-1]
    start = int(re.search(r"step (\d+)", line)[1])
    assert start >= 32
    trainer = Trainer(POINTS.start(POINTS.collapse, device="cpu"))
    trainer.run(start)
    balance = POINTS.rescues[0]
    trainer.set(**balance.knobs)
    assert int(re.search(r"after (\d+)", told)[1]) == play(trainer, balance, 40).reached


def test_charts_and_tables_stand_on_the_page(page):
    wait_for_step(page, 12)
    for begins in (
        "For each expert its share",
        "One dot per expert",
        "Share of the routes asked",
        "Training loss",
    ):
        page.locator(f'[data-testid="stVegaLiteChart"][aria-label^="{begins}"]').first.wait_for(timeout=SLOW)
    expect(page.get_by_text("Dropless: no buffers"), "in place of an empty panel").to_be_visible(timeout=SLOW)
    assert page.locator('[aria-label^="Share of routes dropped"]').count() == 0
    page.get_by_text("The same as tables").click()
    page.wait_for_function(
        "() => document.querySelectorAll('.stMain [data-testid=stDataFrame]').length === 3", timeout=SLOW
    )


def test_the_ledger_shows_the_runs_own_gradients(page):
    wait_for_step(page, 12)
    page.get_by_role("button", name="Pause").first.click()
    expect(page.get_by_role("button", name="Play").first).to_be_visible(timeout=SLOW)
    wait_for_pictures(page, 2)
    step = live_step(page)
    bars = page.evaluate(
        """() => [...document.querySelectorAll('[aria-label^="For each expert its share"] path[aria-label^="expert"]')]
            .map(bar => bar.getAttribute('aria-label'))"""
    )
    trainer = Trainer(POINTS.start(POINTS.healthy, device="cpu"))
    trainer.run(step)
    measured = trainer.snapshot().metrics
    for of, name in (("routes", "load"), ("gradient", "grad_share"), ("router row’s gradient", "router_grad_share")):
        shown = [float(re.search(r"share: ([\d.]+)%", bar)[1]) / 100 for bar in bars if f"of: {of};" in bar + ";"]
        assert shown == pytest.approx(measured[name][0], abs=1e-4), of


def test_buffers_turn_a_collapse_into_drops(page):
    page.locator(".st-key-buffers label").first.click()
    page.locator(".st-key-play_collapse button").click()
    told = wait_for_story(page, r"Collapsed.*\d+\s%[^.]* dropped")
    assert int(re.search(r"(\d+)\s% of the routes are dropped", told)[1]) > 25
    page.locator('[data-testid="stVegaLiteChart"][aria-label^="Share of routes dropped"]').first.wait_for(timeout=SLOW)

"""Twins in a real browser: the sentence names the token that the pictures show, and equal values give equal runs."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.records import twins
from moe_viz.spec import RunConfig, change
from tests.browser.lab import browser_page, follow_menu, wait_for_step, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000
QUERY = "task=clusters&n_layers=1&batch_tokens=64&balance_coef=0.1"


def second(page):
    """The value of the second twin, as the address says it."""
    return parse_qs(urlsplit(page.url).query).get("second", [None])[0]


def open_twins(page, address):
    page.goto(f"{address}/?{QUERY}")
    wait_for_step(page, 1)
    follow_menu(page, "Twins")
    page.locator(".st-key-twin_one .tok").first.wait_for(timeout=SLOW)


def first_parting(config, other, tmp_path):
    """The same search, by the engine alone."""
    from moe_viz.training import Trainer

    host = Host(Trainer, RunStore(tmp_path / "runs"))
    runs = host.open_group([config, other], playing=False)
    since = None
    while True:
        one, two = (update.snapshot for update in host.read_group(runs))
        if found := twins.parting(one.traces, two.traces, since):
            return found
        since = one.step
        host.step_once(runs[0])


def test_the_first_token_that_parts_is_the_engines(address, tmp_path):
    config = change(RunConfig(task="clusters", n_layers=1, batch_tokens=64), balance_coef=0.1)
    expected = first_parting(config, change(config, balance_coef=0.0), tmp_path)
    with browser_page() as page:
        open_twins(page, address)
        story = page.locator(".st-key-story")
        expect(story).to_contain_text("The twins part at step", timeout=SLOW)
        step, token, layer, before, after, n = (
            int(found)
            for found in re.search(
                r"step (\d+): token (\d+) .* in layer (\d+) goes to expert (\d+) .* to (\d+) in .*: (\d+)",
                story.inner_text(),
            ).groups()
        )
        assert expected.exact and (step, token - 1, layer - 1, before - 1, after - 1, n) == (
            expected.step, expected.index, expected.layer, expected.before, expected.after, expected.tokens,
        )  # fmt: skip
        wait_for_step(page, step + 5)
        expect(page.get_by_text("second minus first, 3 pairs")).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("Student's t")).to_be_visible()
        expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(5, timeout=SLOW)
        marked = page.locator(".st-key-twin_one .tok.marked")
        assert marked.count() > 0


@pytest.mark.slow
def test_one_pair_has_no_interval_and_equal_twins_no_difference(address):
    with browser_page() as page:
        open_twins(page, address)
        page.locator(".st-key-n_pairs").get_by_text("1", exact=True).click()
        expect(page.get_by_text("One pair has no interval")).to_be_visible(timeout=SLOW)
        slider = page.locator(".st-key-twin_value input[type=range]")
        wait_until(page, lambda: second(page) is not None)
        while (before := second(page)) != "0.1":
            slider.press("ArrowRight")
            wait_until(page, lambda before=before: second(page) != before)
        expect(page.locator(".st-key-story")).to_contain_text("they are the same run", timeout=SLOW)
        assert page.locator(".st-key-twin_one .tok.marked").count() == 0

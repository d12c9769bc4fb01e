"""Local experts in a real browser: points are painted, moved and rubbed out, and the fit goes on with what is there."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import browser_page, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 60_000


def test_points_are_painted_moved_and_rubbed_out_and_the_data_comes_back(address):
    with browser_page() as page:
        page.goto(f"{address}/local_experts?speed=4")
        view = page.locator(".st-key-mixture")
        facts = view.get_by_text("points, 2 experts")
        expect(facts).to_have_text("271 points, 2 experts", timeout=SLOW)
        canvas = view.locator("canvas").first
        box = canvas.bounding_box()

        def at(right, down):
            return box["x"] + right * box["width"], box["y"] + down * box["height"]

        page.get_by_role("button", name="Paint points").click()
        page.mouse.click(*at(0.5, 0.3))
        page.mouse.click(*at(0.53, 0.36))
        expect(facts).to_have_text("273 points, 2 experts", timeout=SLOW)
        painted = points(page)

        page.get_by_role("button", name="Move points").click()
        page.mouse.move(*at(0.5, 0.3))
        page.mouse.down()
        page.mouse.move(*at(0.2, 0.6), steps=6)
        page.mouse.up()
        wait_until(page, lambda: points(page) != painted)
        expect(facts).to_have_text("273 points, 2 experts")
        bars = view.get_by_text("posterior: answers for it")
        expect(bars).to_be_visible(timeout=SLOW)  # the moved point is one of the fit's

        page.get_by_role("button", name="Erase").click()
        page.mouse.click(*at(0.2, 0.6))
        expect(facts).to_have_text("272 points, 2 experts", timeout=SLOW)
        page.get_by_role("button", name="Back to the data").click()
        expect(facts).to_have_text("271 points, 2 experts", timeout=SLOW)


def points(page):
    """What the address says of the reader's own points."""
    return page.evaluate("new URLSearchParams(location.search).get('points')")

"""What a finger and a keyboard need: the first controls above the picture on a phone, a visible focus, targets of 24 px, a head that stays."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import NARROW, browser_page, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 60_000


def test_on_a_phone_play_step_gate_and_k_are_in_reach_and_the_head_stays(address):
    with browser_page(NARROW) as page:
        page.goto(f"{address}/?task=clusters&router=topk&k=2&speed=full")
        page.locator(".st-key-reach_more button").click()
        for key in ("reach_play", "reach_step", "reach_router", "reach_k"):
            expect(page.locator(f".st-key-{key}")).to_be_visible(timeout=SLOW)
            box = page.locator(f".st-key-{key}").bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= NARROW["width"]
        page.keyboard.press("Escape")
        expect(page.locator(".st-key-reach_k")).to_be_hidden(timeout=SLOW)
        wait_for_step(page, 1)
        places = set()
        for at_least in (20, 60, 120, 200):
            wait_for_step(page, at_least)
            places.add(
                page.locator(".st-key-about").evaluate("e => Math.round(e.getBoundingClientRect().top + scrollY)")
            )
        assert len(places) == 1, f"the head has moved what stands below it: {places}"
        page.locator(".st-key-reach_play button").click()
        expect(page.locator(".st-key-reach_play")).to_contain_text("Play", timeout=SLOW)
        page.set_viewport_size({"width": 1280, "height": 800})
        expect(page.locator(".st-key-reach_play")).to_be_hidden(timeout=SLOW)


def test_focus_in_the_navigation_is_seen_and_crosses_can_be_hit(address):
    with browser_page() as page:
        page.goto(f"{address}/gates")
        cross = page.locator(".stMultiSelect button[aria-label^='Remove']").first
        cross.wait_for(timeout=SLOW)
        box = cross.bounding_box()
        assert box["width"] >= 24 and box["height"] >= 24
        page.keyboard.press("Tab")
        link = page.get_by_test_id("stTopNavSection").filter(has_text="Look inside")
        link.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        outline = link.evaluate(
            "e => { const s = getComputedStyle(e); return [s.outlineStyle, parseFloat(s.outlineWidth)] }"
        )
        assert outline[0] == "solid" and outline[1] >= 2, outline


@pytest.mark.parametrize("width", [1280, 700])
def test_a_notice_is_seen_whole_below_the_bar_and_moves_nothing(address, width):
    """A gate with another k of its own says that k has changed, too."""
    with browser_page({"width": width, "height": 800}) as page:
        page.goto(f"{address}/?task=clusters&router=topk&k=2&speed=by+step")
        head, notice = page.locator(".st-key-about"), page.locator(".st-key-notices p")
        wait_for_step(page, 0)
        before = head.bounding_box()["y"]
        prefix = "" if width > 768 else "reach_"
        if prefix:
            page.locator(".st-key-reach_more button").click()
        page.locator(f".st-key-{prefix}router input").first.click()
        page.get_by_role("option", name="Switch", exact=True).click()
        page.keyboard.press("Escape")
        expect(notice).to_contain_text("Switch", timeout=SLOW)
        box = notice.bounding_box()
        assert box["y"] >= page.get_by_test_id("stHeader").bounding_box()["height"]
        assert box["y"] + box["height"] <= page.locator(".st-key-story p").first.bounding_box()["y"] + 2
        assert head.bounding_box()["y"] == before

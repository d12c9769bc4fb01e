"""The first minute: what is seen is said, a first visit opens calm, and one press makes a network collapse and come back."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import browser_page, live_step, wait_for_step
from tests.browser.test_lab import SLOW, wait_for_text

pytestmark = pytest.mark.browser


def test_a_first_visit_opens_with_what_was_learned_and_one_press_makes_a_collapse_and_another_a_rescue(address):
    with browser_page() as page:
        page.goto(address)
        page.locator(".st-key-routing .tok").first.wait_for(timeout=SLOW)
        said = page.locator(".st-key-what_is_seen")
        expect(said).to_have_text(re.compile("Each letter is sent to 2 of 8 small networks, the experts"), timeout=SLOW)
        assert live_step(page) == 300, "all of the page speaks of the recording"
        expect(page.locator(".st-key-routing .badge")).to_have_text("recorded")
        top = page.locator(".st-key-routing .tok").first.bounding_box()["y"]
        wait_for_text(page, "story", r"Yours is at step [1-9]")
        assert page.locator(".st-key-routing .tok").first.bounding_box()["y"] == top, (
            "the longer sentence moves nothing"
        )

        page.locator(".st-key-first_collapse button").click()
        expect(said).to_contain_text("Watch the rows of squares", timeout=SLOW)
        wait_for_text(page, "story", "collapsed")
        expect(page.locator(".st-key-routing .badge")).to_be_hidden()
        assert "k=1" in page.url
        page.locator(".st-key-rescue_it button").click()
        wait_for_text(page, "story", "recovered|all 8 experts are at work|all 8 are at work")

        page.locator(".st-key-as_it_was button").click()
        wait_for_text(page, "shown_k", "k = 2")
        expect(page.locator(".st-key-as_it_was")).to_have_count(0, timeout=SLOW)  # what is drawn anew moves once more
        page.locator(".st-key-first_own button").click()
        field = page.locator(".st-key-own_text textarea")
        expect(field).to_be_focused(timeout=SLOW)
        expect(field).to_be_in_viewport()

        page.locator(".st-key-k input[type=range]").press("ArrowLeft")
        expect(page.locator(".st-key-first_presses")).to_have_count(0, timeout=SLOW)
        expect(said).to_have_text(re.compile("Each letter is sent to one of 8"), timeout=SLOW)


@pytest.mark.nightly
def test_ones_own_run_takes_over_when_it_has_come_as_far(address):
    with browser_page() as page:
        page.goto(address)
        page.locator(".st-key-routing .tok").first.wait_for(timeout=SLOW)
        expect(page.locator(".st-key-story")).to_contain_text("A recorded run that has learned for 300 steps")
        assert wait_for_step(page, 301, 180) >= 301
        expect(page.locator(".st-key-routing .badge")).to_be_hidden()
        expect(page.locator(".st-key-what_is_seen")).to_have_text(re.compile("Each letter is sent to 2 of 8"))


TEXT = """() => {
  const walk = document.createTreeWalker(document.querySelector('.stMain'), NodeFilter.SHOW_TEXT), small = [];
  while (walk.nextNode()) {
    const node = walk.currentNode, of = node.parentElement, box = of.getBoundingClientRect();
    if (!node.textContent.trim() || !box.width || of.closest('script, style')) continue;
    if (parseFloat(getComputedStyle(of).fontSize) < 20) small.push(node.textContent.trim());
  }
  return small;
}"""


@pytest.mark.parametrize("path", ["", "collapse", "time_machine"])
def test_on_a_big_screen_no_text_is_small_and_nothing_else_is_there(address, path):
    with browser_page({"width": 1920, "height": 1080}) as page:
        page.goto(f"{address}/{path}?task=domains&present=1")
        page.locator(".st-key-present_bar").wait_for(timeout=SLOW)
        if path != "time_machine":
            wait_for_step(page, 12)
        page.locator(".st-key-strips svg.marks, .st-key-strips canvas.marks").first.wait_for(timeout=SLOW)
        assert page.evaluate(TEXT) == []
        for part in (".stSidebar", ".stAppHeader", ".st-key-view", ".st-key-take_lab", ".st-key-seen"):
            assert not page.locator(part).first.is_visible(), part


def test_a_presented_lab_is_played_from_the_keyboard(address):
    with browser_page({"width": 1920, "height": 1080}) as page:
        page.goto(f"{address}/?task=clusters&router=switch&speed=10")
        wait_for_step(page, 3)
        page.keyboard.press("f")
        bar = page.locator(".st-key-present_bar")
        bar.wait_for(timeout=SLOW)
        page.wait_for_url(re.compile("present=1"))
        page.keyboard.press("g")
        wait_for_text(page, "shown_k", "Mixtral · k = 2")
        page.keyboard.press("k")
        wait_for_text(page, "shown_k", "k = 3")
        page.keyboard.press("j")
        wait_for_text(page, "shown_k", "k = 2")
        page.keyboard.press("Space")
        expect(page.locator(".st-key-present_play button")).to_contain_text("Play", timeout=SLOW)
        wait_for_text(page, "pace", "paused")
        step = live_step(page)
        page.keyboard.press("ArrowRight")
        wait_for_text(page, "live_step", f"step {step + 1}$")
        page.reload()
        bar.wait_for(timeout=SLOW)
        wait_for_step(page, step + 1)
        page.keyboard.press("f")
        bar.wait_for(state="detached", timeout=SLOW)
        page.locator(".stSidebar .st-key-play").wait_for(timeout=SLOW)
        assert "present" not in page.url

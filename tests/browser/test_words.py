"""A word's definition opens on hover, on focus and on a tap, stays while the page ticks, and moves nothing."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import NARROW, browser_page, wait_for_frames, wait_for_pictures, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 60_000
OPEN = ".moe-viz-words [popover]:popover-open"
PLACES = """() => [...document.querySelectorAll('.st-key-head, .st-key-about, .st-key-routing, .st-key-words_routing, .st-key-strips')]
    .map((e) => { const b = e.getBoundingClientRect(); return [b.x, b.top + scrollY, b.width].map(Math.round).join(); })"""


def word(page, name, place="words_routing"):
    """The link of a word, once the page has made a button of it and stands as it will: picture and strips drawn, the recorded one gone."""
    page.locator(".st-key-routing .row").first.wait_for(timeout=SLOW)
    page.locator(".st-key-strips svg.marks, .st-key-strips canvas.marks").first.wait_for(timeout=SLOW)
    expect(page.locator("#first_picture")).to_have_count(0, timeout=SLOW)
    link = page.locator(f".st-key-{place} a[href='#word-{name}']").first
    expect(link).to_have_attribute("aria-describedby", f"word-{name}", timeout=SLOW)
    return link


def test_on_hover_it_opens_at_once_stays_while_the_page_ticks_and_moves_nothing(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=clusters&speed=20")
        wait_for_step(page, 3)
        link = word(page, "gate")
        before = page.evaluate(PLACES)
        link.hover()
        box = page.locator(OPEN)
        expect(box).to_contain_text("how much of an expert's answer", ignore_case=True)
        page.evaluate(
            """() => { globalThis.toggled = 0; for (const box of document.querySelectorAll('.moe-viz-words [popover]'))
                box.addEventListener('toggle', () => { globalThis.toggled += 1; }); }"""
        )
        wait_for_frames(page, 2)
        page.evaluate("globalThis.toggled = 0")
        at, step = box.bounding_box(), page.locator(".st-key-live_step").inner_text()
        wait_for_pictures(page, 6)
        assert page.evaluate("globalThis.toggled") == 0, "neither closed nor opened again by a tick"
        assert box.bounding_box() == at and page.locator(".st-key-live_step").inner_text() != step
        assert page.evaluate(PLACES) == before
        box.hover()
        wait_for_frames(page, 30)
        expect(box).to_be_visible()
        page.locator(".st-key-live_step").hover()
        expect(box).to_have_count(0)
        assert "#" not in page.url


def test_by_keyboard_it_opens_on_focus_closes_by_escape_and_is_told_to_screen_readers(address):
    with browser_page(reduced_motion="reduce") as page:
        page.goto(f"{address}/?task=clusters&speed=5&lang=ru")
        wait_for_step(page, 2)  # until then what stands below the picture may move away under a finger
        link = word(page, "router")
        link.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        box = page.locator(OPEN)
        expect(box).to_contain_text("маршрутизатор")
        assert link.get_attribute("role") == "button" and link.get_attribute("aria-expanded") == "true"
        assert box.evaluate("e => e.getAnimations().length") == 0, "nothing moves for a reader who asked for that"
        before = page.url
        page.keyboard.press("Escape")
        expect(box).to_have_count(0)
        assert link.evaluate("e => e === document.activeElement") and link.get_attribute("aria-expanded") == "false"
        for key in ("Enter", " "):
            page.keyboard.press(key)
            expect(box).to_have_count(1)
            page.keyboard.press(key)
            expect(box).to_have_count(0)
        assert page.url == before


def test_on_a_phone_a_tap_opens_and_closes_it_inside_the_window(address):
    with browser_page() as wide:
        context = wide.context.browser.new_context(viewport=NARROW, has_touch=True, is_mobile=True)
        page = context.new_page()
        page.goto(f"{address}/?task=clusters&speed=5&lang=ru")
        wait_for_step(page, 2)  # until then what stands below the picture may move away under a finger
        link = word(page, "probe_batch")
        link.tap()
        box = page.locator(OPEN)
        expect(box).to_contain_text("Одни и те же токены")
        found = box.bounding_box()
        assert found["x"] >= 0 and found["x"] + found["width"] <= NARROW["width"]
        wait_for_pictures(page, 3)
        expect(box).to_be_visible()
        link.tap()
        expect(box).to_have_count(0)
        link.tap()
        expect(box).to_have_count(1)
        page.locator(".st-key-live_step").tap()
        expect(box).to_have_count(0)
        context.close()


def test_a_definition_follows_its_word_when_the_page_draws_it_anew(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=clusters&speed=5")
        wait_for_step(page, 2)
        link = word(page, "load")
        link.hover()
        box = page.locator(OPEN)
        expect(box).to_have_count(1)
        link.evaluate("""(e) => { const p = e.parentElement, copy = e.cloneNode(true); copy.removeAttribute('aria-describedby');
            p.insertBefore(copy, e); e.style.display = 'none'; e.remove(); }""")
        wait_for_frames(page, 30)
        expect(box).to_be_visible()
        page.evaluate("document.querySelector(\".st-key-words_routing a[href='#word-load']\").removeAttribute('href')")
        expect(box).to_have_count(0)

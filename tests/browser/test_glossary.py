"""The glossary in a real browser: a word is chosen on the map, by search and by keyboard; its meaning, address and neighbours follow."""

import pytest
from playwright.sync_api import expect

from moe_viz.lessons.glossary import glossary
from moe_viz.lessons.word_map import word_map
from tests.browser.lab import NARROW, accessibility_faults, browser_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 60_000
SCROLL = "document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"


def test_a_word_chosen_on_the_map_by_pointer_or_keyboard_is_explained_and_stands_in_the_address(address):
    with browser_page(scheme="dark") as page:
        page.goto(f"{address}/glossary?lang=ru&word=collapse")
        card, words = page.locator(".st-key-word_card"), glossary("ru")
        expect(card).to_contain_text(words["collapse"].text, timeout=SLOW)
        page.locator("[data-word=gate]").click()
        expect(card).to_contain_text(words["gate"].simple, timeout=SLOW)
        expect(page.locator("[data-word=gate]")).to_have_attribute("aria-current", "true")
        near = page.locator(".st-key-word_map button.near")
        expect(near).to_have_count(len(word_map()["gate"].near))
        page.wait_for_function("location.search.includes('word=gate')", timeout=SLOW)
        page.locator("[data-word=router]").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(card).to_contain_text(words["score"].text, timeout=SLOW)
        page.get_by_role("combobox", name="Найти слово").click()
        page.keyboard.type("capac")
        expect(page.get_by_role("option")).to_have_count(1, timeout=SLOW)
        page.keyboard.press("Enter")
        expect(card).to_contain_text(words["capacity"].text, timeout=SLOW)
        assert "&capacity_factor=1&" in page.locator(".st-key-see_live a").get_attribute("href")
        assert accessibility_faults(page) == []


def test_on_a_phone_the_meaning_comes_into_view_and_every_formula_fits(address):
    with browser_page(NARROW, reduced_motion="reduce") as page:
        page.goto(f"{address}/glossary")
        card = page.locator(".st-key-word_card")
        widest = max(word_map().items(), key=lambda item: len(item[1].formula))[0]
        for word in ("loss", widest):
            page.locator(f"[data-word={word}]").click(timeout=SLOW)
            expect(card).to_contain_text(glossary("en")[word].text, timeout=SLOW)
            expect(card).to_be_in_viewport()
            page.wait_for_function(SCROLL, timeout=SLOW)
            box, formula = card.bounding_box(), card.locator(".katex-display .katex-html").bounding_box()
            assert formula["x"] >= 0 and formula["x"] + formula["width"] <= box["x"] + box["width"] + 1

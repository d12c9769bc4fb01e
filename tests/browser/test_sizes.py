"""Sizes in a real browser: the live model of the very session stands there, and what is typed is still there after a look at the lab."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import NARROW, follow_menu, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000


def test_the_live_model_stands_there_and_typed_fields_stay(address, page):
    page.goto(f"{address}/?task=clusters&speed=5")
    wait_for_step(page, 1)
    follow_menu(page, "Sizes")
    expect(page.get_by_text("the rule gives the same")).to_be_visible(timeout=SLOW)
    page.get_by_text("Your own", exact=True).click()
    field = page.locator(".st-key-own_k input")
    field.fill("many")
    field.press("Enter")
    expect(page.locator(".st-key-own_box_k")).to_contain_text("k = 'many' is not possible", timeout=SLOW)
    follow_menu(page, "Lab")
    wait_for_step(page, 1)
    follow_menu(page, "Sizes")
    expect(page.locator(".st-key-own_k input")).to_have_value("many", timeout=SLOW)
    page.locator(".st-key-own_k input").fill("4")
    page.locator(".st-key-own_k input").press("Enter")
    expect(page.locator(".st-key-own_box_k")).not_to_contain_text("not possible", timeout=SLOW)
    page.reload()  # the address has it
    expect(page.locator(".st-key-own_k input")).to_have_value("4", timeout=SLOW)
    page.set_viewport_size(NARROW)
    page.wait_for_function(
        "width => document.querySelector('[data-testid=stMain]').scrollWidth <= width",
        arg=NARROW["width"],
        timeout=SLOW,
    )

"""Be the router in a real browser: tokens are dragged and sent by keyboard, and the score is that of the losses that were measured."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from moe_viz.records.assignment import NONE
from moe_viz.training import Trainer
from moe_viz.ui.be_the_router.page import STEPS, config
from tests.browser.lab import NARROW, accessibility_faults, browser_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 120_000


def centre(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_tokens_are_dragged_and_sent_by_keyboard_and_the_score_is_that_of_the_measured_losses(address):
    trainer = Trainer(config(1))
    trainer.run(STEPS)
    game = trainer.assignment_losses(2)
    with browser_page(scheme="dark") as page:
        page.goto(f"{address}/be_the_router?seed=1&deal=2")
        view = page.locator(".st-key-be_router")
        token = view.locator(".pool [data-token='0']")
        token.wait_for(timeout=SLOW)
        page.mouse.move(*centre(token))
        page.mouse.down()
        page.mouse.move(*centre(view.locator("[data-expert='2'] [data-slot='1']")), steps=4)
        page.mouse.up()
        expect(view.locator("[data-expert='2'] [data-slot='1'] [data-token='0']")).to_be_visible()
        for number, key in ((1, "1"), (2, "1"), (3, "1"), (4, "4")):
            view.locator(f"[data-token='{number}']").focus()
            page.keyboard.press(key)
            expect(view.locator(f"[data-expert='{int(key) - 1}'] [data-token='{number}']")).to_be_focused()
        view.locator("[data-token='5']").focus()
        page.keyboard.press("1")
        expect(view.locator(".said")).to_contain_text("Expert 1 is full")
        view.locator("[data-token='4']").focus()
        page.keyboard.press("0")
        expect(view.locator(".pool [data-token='4']")).to_be_focused()
        view.locator("[data-do=judge]").click()
        experts = np.array([2, 0, 0, 0] + [NONE] * 8)
        shown = re.findall(r"[−\d.]+", view.locator(".line").inner_text())
        expected = f"{game.loss(experts):.3f}", f"{100 * game.score(experts):.1f}".replace("-", "−")
        assert tuple(shown[:2]) == expected
        expect(view.locator(".scores li")).to_have_count(6)
        view.locator("[data-do=reveal]").click()
        expect(view.locator("td.mine")).to_have_count(12)
        assert accessibility_faults(page) == []


def test_on_a_phone_a_tap_on_a_token_and_one_on_a_slot_are_enough(address):
    with browser_page(NARROW, reduced_motion="reduce") as page:
        page.goto(f"{address}/be_the_router?lang=ru")
        view = page.locator(".st-key-be_router")
        view.locator("[data-token='3']").click(timeout=SLOW)
        view.locator("[data-expert='1'] [data-slot='2']").click()
        expect(view.locator("[data-expert='1'] [data-slot='2'] [data-token='3']")).to_be_visible()
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")

"""One step in slow motion in a real browser: its numbers are those of the same run's step made without a page."""

import re

import pytest
from playwright.sync_api import expect

from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.browser.lab import browser_page

pytestmark = [pytest.mark.browser, pytest.mark.heavy, pytest.mark.timeout(240)]
SLOW = 60_000
LINK = "one_step?task=clusters&router=switch&k=1&capacity_factor=1&balance_coef=0.1&speed=0"


@pytest.fixture
def page(address):
    with browser_page() as page:
        page.goto(f"{address}/{LINK}")
        page.locator(".st-key-panel_row").wait_for(timeout=120_000)
        yield page


@pytest.fixture
def trainer():
    task = {"name": "clusters"}
    return Trainer(RunConfig(task=task, router={"name": "switch", "capacity_factor": 1.0}, balance_coef=0.1, device="cpu"))  # fmt: skip


def panel(page, name):
    return page.locator(f".st-key-panel_{name}").inner_text(timeout=SLOW).replace("−", "-")


def test_the_panels_show_the_step_that_the_run_then_makes(page, trainer):
    story = trainer.dissect(0, 0)
    (route,), row = story.routes, story.router_row
    assert f"= {route.gate:.4g}" in panel(page, "scores")
    assert f"→ {story.capacity}" in panel(page, "slot")
    assert f"number {route.place + 1} of {route.asked_of}" in panel(page, "slot")
    assert f"{story.batch_before:.5g}" in panel(page, "loss")
    assert f"= {row.after:.6g}" in panel(page, "row")
    page.get_by_role("button", name="Make this step").first.click()
    page.get_by_text("Step 2").first.wait_for(timeout=SLOW)
    trainer.step()
    expect(page.locator(".st-key-panel_loss")).to_contain_text(
        f"{trainer.dissect(0, 0).batch_before:.5g}", timeout=SLOW
    )
    expect(page.locator(".st-key-live_step")).to_contain_text("step 1", timeout=SLOW)


def test_a_dropped_token_says_so(page, trainer):
    story = trainer.dissect(0, 0)
    page.locator(".st-key-pick_dropped button").click()
    expect(page.locator(".st-key-panel_slot")).to_contain_text("Overflow: dropped", timeout=SLOW)
    number = int(re.search(r"Token (\d+) of 256", panel(page, "token"))[1])
    assert story.dropped[number - 1] and not story.dropped[: number - 1].any()
    assert "reached no expert" in panel(page, "sum")


def test_it_checks_what_the_learner_worked_out(page, trainer):
    gate = trainer.dissect(0, 0).routes[0].gate
    page.get_by_text("Hide the results").click()
    expect(page.locator(".st-key-panel_scores")).to_contain_text("= ?", timeout=SLOW)
    assert f"{gate:.4g}" not in panel(page, "scores")
    answer = page.locator(".st-key-panel_check input[type=text]").last
    for typed, said in (("0.9", "Look again at panel 2"), ("two", "not a number"), (f"{gate:.3f}", "Right")):
        answer.fill(typed)
        answer.press("Enter")
        expect(page.locator(".st-key-panel_check")).to_contain_text(said, timeout=SLOW)

"""One step in slow motion in a real browser: its numbers are those of the same run's step made without a page."""

import re

import pytest
from playwright.sync_api import expect

from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from tests.browser.lab import NARROW, WIDE, browser_page, follow_menu, wait_for_step, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
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


def lit(page):
    """The stations that say of themselves that they are being read."""
    return page.locator(".st-key-step_strip [aria-current=step]").evaluate_all("all => all.map((n) => n.parentElement.dataset.station)")  # fmt: skip


def wait_lit(page, *stations):
    wait_until(page, lambda: lit(page) == list(stations))


SEEN = """name => {
    const card = document.querySelector(`.st-key-panel_${name}`).getBoundingClientRect();
    const strip = document.querySelector('.st-key-step_strip').getBoundingClientRect();
    return strip.bottom <= card.top + 1 && card.top < innerHeight && strip.top >= 0;
}"""


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_strip_stays_in_sight_says_what_is_read_and_leads_to_each_card(address, viewport):
    with browser_page(viewport, reduced_motion="reduce") as page:
        page.goto(f"{address}/{LINK}")
        stations = page.locator(".st-key-step_strip li button")
        expect(stations).to_have_count(7, timeout=SLOW)
        page.locator(".st-key-panel_row").wait_for(timeout=SLOW)
        wait_lit(page, "token")
        assert page.get_by_role("navigation", name="Stations of this step").count() == 1
        for name, press in (("sum", "Enter"), ("gradient", "Enter"), ("scores", " ")):
            page.locator(f"[data-station={name}] button").press(press)
            wait_lit(page, name)
            page.wait_for_function(SEEN, arg=name, timeout=SLOW)
            assert page.evaluate("document.activeElement.className").find(f"st-key-panel_{name}") >= 0
        page.mouse.move(viewport["width"] - 60, viewport["height"] - 60)
        for way, read in ((10**6, ()), (-(10**6), ("token",))):
            page.mouse.wheel(0, way)
            wait_lit(page, *read)
        page.locator(".st-key-panel_check input").last.focus()
        wait_lit(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_coming_back_to_the_page_pauses_the_run_on_the_step_that_it_shows(address):
    with browser_page() as page:
        page.goto(f"{address}/{LINK.replace('speed=0', 'speed=20')}")
        page.locator(".st-key-panel_row").wait_for(timeout=2 * SLOW)
        waits = page.get_by_text("the run itself waits")
        before = int(re.search(r"Step (\d+)", waits.inner_text(timeout=SLOW))[1])
        follow_menu(page, "Lab")
        page.locator(".st-key-routing").wait_for(timeout=SLOW)
        page.locator(".st-key-play button").first.click()
        wait_for_step(page, before + 3)
        follow_menu(page, "One step")
        page.locator(".st-key-panel_row").wait_for(timeout=SLOW)
        step = int(re.search(r"Step (\d+)", waits.inner_text(timeout=SLOW))[1])
        assert step > before + 3
        expect(page.locator(".st-key-live_step")).to_contain_text(f"step {step - 1}", timeout=SLOW)
        expect(page.get_by_role("button", name="Make this step").first).to_be_enabled()

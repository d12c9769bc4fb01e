"""The Gates page in a real browser: the table's numbers are those of runs trained apart, and cards lead to the lab."""

import pytest
import torch
from playwright.sync_api import expect

from moe_viz.records.differences import ROWS, values, written
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.gates.comparison import FIRST, config_of
from tests.browser.lab import browser_page, live_step, wait_for_step, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

BASE = RunConfig(task="domains", router={"name": "topk", "k": 2})
PATIENCE = 60_000


@pytest.fixture
def page(address):
    with browser_page() as page:
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}/gates")
        page.locator(".st-key-part").wait_for()
        yield page
        assert page.locator('[data-testid="stException"]').count() == 0


def table(page):
    """Row title -> cells, as the reader sees them."""
    rows = page.locator(".st-key-differences tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('th, td')].map(cell => cell.innerText))"
    )
    return {row[0]: row[1:] for row in rows}


def test_the_table_holds_what_each_router_does_when_trained_apart(page):
    wait_for_step(page, 1)
    page.locator(".st-key-play button").click()
    page.locator(".st-key-reset button").first.click()
    wait_until(page, lambda: live_step(page) == 0)
    for step in range(1, 4):
        page.locator(".st-key-step_once button").first.click()
        wait_until(page, lambda step=step: live_step(page) == step)
    wait_until(page, lambda: table(page).get("Step") == ["3"] * 4)  # it may be drawn anew just now
    shown = table(page)

    torch.set_num_threads(1)
    found = []
    for router in FIRST:
        trainer = Trainer(config_of(router, BASE))
        trainer.run(3)
        found.append(values(trainer.snapshot(), 0))
    for row in ROWS:
        if row.name != "tokens_per_second":
            title = "Loss on held-out text" if row.name == "task_metric" else row.title
            expected = [written(row, own[row.name], found[0][row.name] if n else None) for n, own in enumerate(found)]
            assert shown[title] == expected, row.name
    assert shown["Looks at future tokens"] == ["no", "no", "yes", "no"]
    assert "looks at future tokens" in page.locator(".st-key-panel_expert_choice").inner_text()
    assert "looks at future tokens" not in page.locator(".st-key-panel_topk").inner_text()
    charts = page.locator('[data-testid="stVegaLiteChart"] svg.marks')
    expect(charts, "two pictures per router and five of all").to_have_count(2 * len(FIRST) + 5, timeout=PATIENCE)
    expect(page.get_by_text("None of these gates drops a route."), "in place of the sixth").to_be_visible()


def test_a_card_leads_into_the_comparison_and_into_the_lab(page):
    page.get_by_text("All gates").click()
    page.locator(".st-key-card_soft summary").click()
    page.locator(".st-key-card_soft .katex").first.wait_for()
    with page.context.expect_page() as opened:
        page.locator(".st-key-open_soft a").click()
    lab = opened.value
    lab.set_default_timeout(PATIENCE)
    wait_for_step(lab, 1)
    expect(lab.locator(".st-key-shown_k")).to_contain_text("Soft MoE", timeout=PATIENCE)
    lab.close()
    page.locator(".st-key-compare_soft button").click()
    page.locator(".st-key-panel_soft").wait_for()
    wait_for_step(page, 1)
    expect(page.locator(".st-key-panel_soft, .st-key-panel_deepseek_v3")).to_have_count(2, timeout=PATIENCE)
    expect(page.locator(".st-key-panel_topk"), "the one chosen first makes room").to_have_count(0, timeout=PATIENCE)
    for name in ("Dispatch", "Combine"):
        page.locator(f'[aria-label^="Show data: {name}"]').first.wait_for(state="attached")

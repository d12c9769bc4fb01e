"""The gate map in a real browser: what it says under the cursor is what the same run says when trained anew; painted points become its data."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from moe_viz.records.gate_map import regions
from moe_viz.spec import RunConfig
from moe_viz.spec.points import decode_points
from moe_viz.training import Trainer
from tests.browser.lab import live_step, wait_for_pictures, wait_for_step
from tests.records.gate_map_field import field_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000
MAP = ".st-key-gate_map"
CANVAS = f"{MAP} .stage canvas"
FLAT = {"task": "plane", "shape": "rings", "n_experts": 5, "seed": 3, "device": "cpu"}
LINK = "&".join(f"{word}={value}" for word, value in FLAT.items())


def pause(page):
    """Stop the run; the step that it then stays at, once the map shows it."""
    button = page.locator(".st-key-play button")
    button.click()
    expect(button).to_contain_text("Play", timeout=SLOW)
    wait_for_pictures(page, 2)
    step = live_step(page)
    expect(page.locator(f"{MAP} .mv")).to_have_attribute("data-step", str(step), timeout=SLOW)
    return step


def under_cursor(page, x, y):
    """Owner and probabilities that the page shows at a place of the plane."""
    box = page.locator(CANVAS).bounding_box()
    page.mouse.move(box["x"] + (x + 1) / 2 * box["width"], box["y"] + (1 - y) / 2 * box["height"])
    panel = page.locator(f"{MAP} .panel")
    panel.locator(".owner").wait_for(timeout=SLOW)
    numbers = [float(text.split()[0]) / 100 for text in panel.locator(".value").all_inner_texts()]
    return int(panel.locator(".owner").get_attribute("data-owner")), numbers


def test_the_cursor_reads_the_gate_of_the_very_run(address, page):
    page.goto(f"{address}/gate_map?{LINK}&speed=50")
    wait_for_step(page, 60, 150)
    step = pause(page)
    trainer = Trainer(RunConfig.from_flat(FLAT))
    trainer.run(step)
    found = trainer.gate_map(0)
    sure = 0
    for row, column in ((32, 32), (51, 9), (48, 49), (8, 54), (19, 16), (59, 35)):
        x, y = ((n + 0.5) / 32 - 1 for n in (column, row))
        assert field_of(x, y, found.resolution) == (row, column)
        owner, shown = under_cursor(page, x, y)
        probs = found.probs[row, column].astype(float)
        assert shown == pytest.approx(probs.tolist(), abs=0.006), (x, y)
        if sorted(probs)[-1] - sorted(probs)[-2] > 0.01:
            sure += 1
            assert owner == found.owner[row, column] + 1
    assert sure >= 4
    summary = page.locator(CANVAS).get_attribute("aria-label")
    told = {int(n): float(share) for n, share in re.findall(r"expert (\d+) ([\d.]+)\s%", summary)}
    assert f"step {step}" in summary
    for row in regions(found).itertuples():
        assert told.get(row.expert + 1, 0) == pytest.approx(100 * row.share, abs=1.5)
    page.locator(f"{MAP} .stage").focus()
    before = page.locator(f"{MAP} .place").inner_text()
    page.keyboard.press("Shift+ArrowLeft")
    assert page.locator(f"{MAP} .place").inner_text() != before
    assert "Expert" in page.locator(f"{MAP} .live").text_content()


def test_painted_points_become_the_runs_data(address, page):
    page.goto(f"{address}/gate_map?{LINK}&speed=20")
    wait_for_step(page, 20, 150)
    pause(page)
    page.locator(f"{MAP} .paint").click()
    page.locator(f"{MAP} .wipe").click()
    expect(page.locator(f"{MAP} .count")).to_contain_text("0 of 400")
    box = page.locator(CANVAS).bounding_box()
    for tool, height in (("1", 0.25), ("2", 0.75)):
        page.locator(f'{MAP} [data-tool="{tool}"]').click()
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + height * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + height * box["height"], steps=24)
        page.mouse.up()
    n_points = int(re.search(r"\d+", page.locator(f"{MAP} .count").inner_text()).group())
    assert n_points >= 20
    expect(page.locator(".st-key-painted")).to_contain_text(f"{n_points} painted points", timeout=SLOW)
    expect(page.locator(".st-key-live_step")).to_contain_text("step 0", timeout=SLOW)
    page.wait_for_function("new URL(location).searchParams.get('points')", timeout=SLOW)
    painted = decode_points(parse_qs(urlsplit(page.url).query)["points"][0])
    assert len(painted) == n_points
    for label, height in ((1, 0.75), (2, 0.25)):
        own = [(x, y) for x, y, c in painted if c == label]
        assert own[0][0] == pytest.approx(51, abs=3) and {round(y / 255, 1) for _, y in own} <= {
            round(height, 1),
            0.7,
            0.8,
            0.2,
            0.3,
        }
    page.locator(".st-key-unpaint button").click()
    expect(page.locator(".st-key-painted")).to_have_count(0, timeout=SLOW)


def test_the_lab_trains_the_plane_too(address, page):
    page.goto(f"{address}/?{LINK}")
    wait_for_step(page, 5, 150)
    expect(page.locator(".st-key-routing .tok")).to_have_count(256, timeout=SLOW)

"""A session of many turns in a real browser: taken along as a script it is verified, with one value changed it is refuted, opened it plays."""

import json

import pytest
from playwright.sync_api import expect

from moe_viz.cli import main
from moe_viz.records.script_file import read_script
from tests.browser.lab import wait_for_step
from tests.browser.test_lab import SLOW, pick, wait_for_text

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def press(page, key):
    page.locator(f".st-key-{key} button").first.click(timeout=SLOW)


def turn(page, key, arrow):
    """One stop of a slider, and wait until the address says so."""
    value = "key => new URLSearchParams(location.search).get(key)"
    page.wait_for_function(f"key => ({value})(key) !== null", arg=key, timeout=SLOW)
    before = page.evaluate(value, key)
    page.locator(f".st-key-{key} input[type=range]").press(arrow)
    page.wait_for_function(f"([key, before]) => ({value})(key) !== before", arg=[key, before], timeout=SLOW)


@pytest.mark.slow
def test_a_session_of_ten_turns_is_verified_refuted_and_played(address, page, tmp_path, capsys):
    page.goto(f"{address}/?task=clusters&router=topk&k=2&speed=20")
    wait_for_step(page, 8)
    turn(page, "k", "ArrowLeft")
    turn(page, "balance_coef", "ArrowRight")
    turn(page, "balance_coef", "ArrowRight")
    pick(page, "router", "DeepSeek-V3")
    wait_for_text(page, "shown_k", "DeepSeek-V3")
    turn(page, "speed", "ArrowRight")
    turn(page, "k", "ArrowRight")
    turn(page, "balance_coef", "ArrowLeft")
    press(page, "play")
    expect(page.locator(".st-key-play button")).to_contain_text("Play", timeout=SLOW)
    for _ in range(3):
        step = wait_for_step(page, 0)
        press(page, "step_once")
        wait_for_step(page, step + 1)
    press(page, "reset")
    wait_for_text(page, "live_step", r"\b0$")
    turn(page, "n_experts", "ArrowLeft")
    press(page, "play")
    wait_for_step(page, 12)
    page.locator(".st-key-take_lab button").first.click()
    for _ in range(10):  # while it trains the page makes its buttons anew several times a second
        with page.expect_download(timeout=SLOW):
            page.locator(".st-key-take_lab_script button").first.press("Enter")
    page.keyboard.press("Escape")
    turn(page, "balance_coef", "ArrowLeft")
    press(page, "play")
    expect(page.locator(".st-key-play button")).to_contain_text("Play", timeout=SLOW)

    page.locator(".st-key-take_lab button").first.click()
    with page.expect_download(timeout=SLOW) as download:
        page.locator(".st-key-take_lab_script button").first.click(timeout=SLOW)
    assert download.value.suggested_filename.endswith(".script.json")
    file = tmp_path / "session.script.json"
    download.value.save_as(file)
    script = read_script(file.read_bytes())
    assert len(script.events) >= 12, script.events
    assert main(["verify", str(file), "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("identical: ")

    found = json.loads(file.read_text(encoding="utf-8"))
    event = next(event for event in found["events"] if "balance_coef" in event["what"])
    after = next(row[1] for row in found["figures"]["rows"] if row[0] == event["epoch"] and row[1] > event["step"])
    event["what"]["balance_coef"] = 5.0
    changed = tmp_path / "changed.script.json"
    changed.write_text(json.dumps(found), encoding="utf-8")
    assert main(["verify", str(changed), "--quiet"]) == 1
    said = capsys.readouterr().out
    step = int(said.split("step ")[1].split(":")[0].split()[0])
    assert said.startswith("refuted: step ") and event["step"] < step <= after + 2, (said, event)

    page.goto(f"{address}/runs")
    page.locator(".st-key-import_run_0 input[type=file]").set_input_files(file)
    page.get_by_text("the same run, bit for bit").wait_for(timeout=2 * SLOW)
    press(page, "go_on_live")
    wait_for_step(page, script.end.step)
    press(page, "step_once")
    wait_for_step(page, script.end.step + 1)

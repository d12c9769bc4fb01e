"""The time machine in a real browser: scrubbing shows what the engine kept, pins compare, a branch starts where it says."""

import re

import pytest
from playwright.sync_api import expect

from moe_viz.records import recording, specialisation
from moe_viz.records.moved_tokens import who_moved
from tests.browser.lab import NARROW, browser_page, follow_menu, wait_for_step, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 40_000
TRACK = ".st-key-track input[type=range]"


def at(page):
    """The step on the track, once its script has written one."""
    said = page.locator(".st-key-track output")
    expect(said).to_have_text(re.compile(r"\d"), timeout=SLOW)
    return int(re.search(r"\d+", said.inner_text()).group())


def owners(page):
    """The expert number that each token of the picture shows."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.st-key-moment *')].map(n => n.shadowRoot).find(r => r && r.querySelector('.tok'))
        .querySelectorAll('.tok').values().map(n => n.dataset.x).toArray()"""
    )


def lines(page):
    """The steps at which the line stands on the charts below."""
    return page.evaluate(
        "() => [...document.querySelectorAll('.st-key-strips .moment-line')].map(line => line.dataset.step)"
    )


def wait_for_owners(page, expected):
    wait_until(page, lambda: owners(page) == expected)


def shown_experts(trace):
    return [str(expert + 1) if expert >= 0 else "–" for expert in specialisation.first_kept(trace)]


def test_the_recording_is_scrubbed_compared_and_not_forked(address, page):
    page.goto(f"{address}/time_machine")
    history = recording.load("assets/traces/lab").history
    steps = [step for _, step in history.keyframes.steps()]
    assert len(steps) >= 5
    page.locator(".st-key-moment .tok").first.wait_for(timeout=SLOW)
    expect(page.locator(".st-key-story")).to_contain_text("recorded")
    assert at(page) == steps[-1]
    page.locator(".st-key-strips .moment-line").nth(1).wait_for(timeout=SLOW)
    expect(page.get_by_text("Dropless: no buffers"), "in place of an empty strip").to_be_visible(timeout=SLOW)
    page.locator(TRACK).focus()
    for step in reversed(steps[:-1]):
        page.keyboard.press("ArrowLeft")
        assert at(page) == step
        assert lines(page) == [str(step)] * 2, "the line on the charts moves with the track"
        wait_for_owners(page, shown_experts(history.nearest_keyframe(step).traces[0]))
    page.locator(".st-key-pin_both button").click()
    then, now = (history.nearest_keyframe(step).traces[0] for step in (steps[0], steps[-1]))
    moved = who_moved(then, now)["index"].tolist()
    expect(page.get_by_text(f"{len(moved)} / {now.n_tokens}")).to_be_visible(timeout=SLOW)
    same = specialisation.saturation(then, now)
    expect(page.get_by_text(f"{100 * same:.1f} %").first).to_be_visible()
    expect(page.locator(".st-key-moment .tok.marked")).to_have_count(len(moved), timeout=SLOW)
    expect(page.get_by_text("A recorded run has no checkpoints")).to_be_visible()


def test_it_plays_forwards_and_back(address, page):
    page.goto(f"{address}/time_machine")
    page.locator(".st-key-moment .tok").first.wait_for(timeout=SLOW)
    last = at(page)
    page.get_by_role("button", name="Play backwards").click()
    expect(page.locator(".st-key-track output")).to_have_text(re.compile(r"\b0$"), timeout=SLOW)
    page.get_by_role("button", name="Play forwards").click()
    expect(page.locator(".st-key-track output")).to_have_text(re.compile(rf"\b{last}$"), timeout=SLOW)


def test_a_branch_of_the_lab_run_starts_at_a_checkpoint_and_stands_beside_it(address, page):
    page.goto(f"{address}/?task=clusters&speed=50")
    wait_for_step(page, 90, 90)
    follow_menu(page, "Time machine")
    page.locator(TRACK).wait_for(timeout=SLOW)
    page.locator(".st-key-play button").click()
    expect(page.locator(".st-key-play button")).to_contain_text("Train on", timeout=SLOW)
    page.locator(TRACK).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".st-key-track .checkpoint").first).to_be_attached()
    step = at(page)
    expect(page.locator(".st-key-moment .facts")).to_contain_text(f"step {step},", timeout=SLOW)
    page.locator(".st-key-fork_value input[type=range]").press("ArrowRight")
    page.locator(".st-key-fork button").click()
    said = page.locator(".st-key-branch")
    expect(said).to_contain_text("asked for: step", timeout=SLOW)
    start, asked = (int(n) for n in re.search(r"at step (\d+) \(asked for: step (\d+)\)", said.inner_text()).groups())
    assert asked == step and start <= step and start % 25 == 0
    assert "Balance =" in said.inner_text()
    expect(page.locator(".st-key-strips [data-testid=stVegaLiteChart]")).to_have_count(4, timeout=SLOW)
    expect(page.get_by_text("Load per expert, branch")).to_be_attached()
    expect(page.locator(".st-key-strips .moment-line")).to_have_count(4, timeout=SLOW)
    lines = page.locator(".st-key-strips .moment-line").evaluate_all(
        "lines => lines.map(line => Math.round(line.getBoundingClientRect().x))"
    )
    assert len(lines) == 4 and max(lines) - min(lines) <= 1, (
        "all strips have one time axis: the playhead stands at one x"
    )
    page.locator(".st-key-moment_run").get_by_text("Branch").click()
    expect(page.locator(".st-key-track .checkpoint")).to_have_count(0, timeout=SLOW)
    assert at(page) >= start, "the track now holds the branch's own moments"
    page.locator(".st-key-remove_branch button").click()
    said.wait_for(state="detached", timeout=SLOW)


def test_narrow_screens_fit(address):
    with browser_page(NARROW, scheme="dark") as page:
        page.goto(f"{address}/time_machine")
        page.locator(".st-key-moment .tok").first.wait_for(timeout=SLOW)
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth + 1")

"""The lab as its reader meets it: a real browser, a real server, a model that really trains."""

import os
import re
import signal

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.lab import NARROW, browser_page, live_step, open_list, server, wait_for_pictures, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 30_000


def pick(page, key, text):
    """Choose an entry of a select box by its text."""
    open_list(page, key)
    page.get_by_role("option", name=text, exact=True).click()


def shown(page):
    return page.locator(".st-key-shown_k").inner_text()


def wait_for_text(page, key, pattern):
    page.wait_for_function(
        "([key, pattern]) => new RegExp(pattern).test(document.querySelector('.st-key-' + key)?.innerText ?? '')",
        arg=[key, pattern],
        timeout=SLOW,
    )


def loss(page):
    expect(page.locator(".st-key-loss_now")).to_contain_text(re.compile(r"\d"), timeout=SLOW)  # it comes after the step
    return float(page.locator(".st-key-loss_now").inner_text(timeout=SLOW).split()[-1].replace(",", "."))


def test_never_empty_then_alive_and_learning(address, page):
    page.goto(f"{address}/?task=domains")
    page.locator(".tok").first.wait_for(timeout=SLOW)
    first = wait_for_step(page, 5)
    early = loss(page)
    assert wait_for_step(page, first + 120, 120) > first
    assert loss(page) < early - 0.3, "the loss on real text falls"


def test_k_and_gate_type_change_live_without_a_reset(address, page):
    page.goto(f"{address}/?task=domains&router=topk&k=2")
    before = wait_for_step(page, 20)
    page.locator(".st-key-k input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    wait_for_text(page, "shown_k", "k = 1")
    assert live_step(page) >= before, "k changed in the running model"
    pick(page, "router", "Switch")
    wait_for_text(page, "shown_k", "^Switch")
    step = live_step(page)
    assert step >= before
    assert wait_for_step(page, step + 5) > step
    assert "router=switch" in page.url and "k=1" in page.url


def test_a_change_that_cannot_be_live_restarts_and_says_so(address, page):
    page.goto(f"{address}/?task=clusters")
    wait_for_step(page, 100)
    page.locator(".st-key-n_experts input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    wait_for_text(page, "shown_k", "4 experts")
    page.get_by_text(re.compile("start", re.I)).first.wait_for(timeout=SLOW)
    page.get_by_text("More knobs").click()
    page.locator(".st-key-coarser button").first.wait_for(timeout=SLOW)
    assert page.locator(".st-key-coarser button").first.is_disabled(), "one expert per token cannot be halved"


def test_finer_experts_stay_finer_while_the_page_ticks(address, page):
    page.goto(f"{address}/?task=clusters&router=topk&k=2&speed=20")
    wait_for_step(page, 10)
    page.get_by_text("More knobs").click()
    page.locator(".st-key-finer button").first.click()
    wait_for_text(page, "shown_k", "k = 4 · 16 experts")
    wait_for_step(page, 20)
    assert "k = 4 · 16 experts" in shown(page), "not turned back by a tick that did not know of it yet"
    assert "k=4" in page.url and "n_experts=16" in page.url


def test_pause_step_and_reset(address, page):
    page.goto(f"{address}/?task=clusters&speed=20")
    wait_for_step(page, 10)
    page.locator(".st-key-play button").click()
    expect(page.locator(".st-key-play button")).to_contain_text("Play", timeout=SLOW)
    wait_for_pictures(page, 2)
    held = live_step(page)
    wait_for_pictures(page, 3)
    assert live_step(page) == held
    page.locator(".st-key-step_once button").first.click()
    wait_for_step(page, held + 1)
    assert live_step(page) == held + 1
    page.locator(".st-key-reset button").first.click()
    page.wait_for_function(
        "() => /\\b0$/.test(document.querySelector('.st-key-live_step').innerText.trim())", timeout=SLOW
    )


def test_a_permalink_opens_the_same_state(address, page):
    page.goto(
        f"{address}/?v=1&task=clusters&router=switch&k=1&n_experts=16&balance_coef=0.3&lr=0.0025&seed=11&speed=5&shared_vector=8"
    )
    wait_for_step(page, 2)
    assert "16 experts" in shown(page) and shown(page).startswith("Switch")
    link = page.url
    for part in (
        "n_experts=16",
        "balance_coef=0.3",
        "lr=0.0025",
        "seed=11",
        "speed=5",
        "shared_vector=8",
        "d_model=16",
    ):
        assert part in link
    other = page.context.browser.new_context().new_page()
    other.goto(link)
    wait_for_step(other, 2)
    expect(other.locator(".st-key-shown_k")).to_have_text(shown(page), timeout=SLOW)
    assert other.url == link
    expect(other.locator(".st-key-shared_run")).to_be_visible(timeout=SLOW)
    page.wait_for_function("document.cookie.includes('moe_viz_runs')", timeout=SLOW)
    before = live_step(page)
    page.reload()
    assert wait_for_step(page, before) >= before, "a reload finds the very run again"
    assert page.url == link and not page.locator(".st-key-shared_run").count(), "which is this browser's own"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("router=switch&k=7&n_experts=1000&lr=-1", ["k = 7", "1 to 1", "n_experts = 1000", "1 to 64", "lr = -1"]),
        (
            "v=99&task=nonsense&router=<script>alert(1)</script>",
            ["v = 99", "task = nonsense", "domains", "router = <script>"],
        ),
    ],
)
def test_a_broken_permalink_opens_and_explains_itself(address, page, query, says):
    page.goto(f"{address}/?{query}")
    box = page.locator(".st-key-link_problems")
    box.wait_for(timeout=SLOW)
    for text in says:
        assert text in box.inner_text()
    wait_for_step(page, 1)
    assert "Traceback" not in page.content()


def test_own_sentence_is_routed_and_continued(address, page):
    page.goto(f"{address}/?task=domains")
    wait_for_step(page, 30)
    page.locator(".st-key-view").get_by_text("Yours").click()
    field = page.locator(".st-key-own_text input, .st-key-own_text textarea").first
    field.fill("Hello <b>world</b>, привет 42")
    field.press("Control+Enter")
    tokens = page.locator(".st-key-own_routing .tok")
    expect(tokens.first).to_have_text("H", timeout=SLOW)
    before = tokens.count()
    assert before >= 30
    page.locator(".st-key-continue_text button").click()
    expect(tokens.nth(before + 20)).to_be_attached(timeout=SLOW)


def test_digits_show_images_with_their_patches(address, page):
    page.goto(f"{address}/?task=digits")
    wait_for_step(page, 3)
    expect(page.locator(".st-key-routing .list[data-kind=image] .tok").first).to_be_visible(timeout=SLOW)


@pytest.mark.slow
def test_worker_killed_is_said_and_resumed(page, tmp_path):
    with server(env={"MOE_VIZ_HOME": str(tmp_path)}) as (address, process):
        page.goto(f"{address}/?task=clusters&speed=20")
        wait_for_step(page, 130)
        workers = [
            p for p in psutil.Process(process.pid).children(recursive=True) if "moe_viz.engine" in " ".join(p.cmdline())
        ]
        assert len(workers) == 1
        os.kill(workers[0].pid, signal.SIGKILL)
        page.locator(".st-key-worker_lost").wait_for(timeout=5_000)
        page.locator(".st-key-resume button").click()
        page.locator(".st-key-worker_lost").wait_for(state="detached", timeout=SLOW)
        step = live_step(page)
        assert step >= 20, "it goes on from its checkpoint, not from the start"
        assert wait_for_step(page, step + 10) > step


def test_narrow_screen_shows_the_picture_without_sideways_scrolling(address):
    with browser_page(NARROW) as page:
        page.goto(f"{address}/?task=domains")
        wait_for_step(page, 3)
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth + 1")
        expect(page.locator(".tok").first).to_be_visible(timeout=SLOW)

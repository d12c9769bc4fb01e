"""The routing view in a real browser: what it shows equals the trace it was given, and hover, tap and keys work together."""

import re

import pytest
from playwright.sync_api import expect

from moe_viz.components import routing_table
from moe_viz.components.bundle import bundle
from tests.browser.lab import NARROW, WIDE, accessibility_faults, browser_page, wait_until
from tests.components.traces import make_trace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 30_000
SCRIPT = bundle("routing").partition("\n")[0].encode()
"""The first line of the view's script, as it stands in a message that carries it."""


def show(page, demo, query=""):
    page.goto(f"{demo}/?{query}")
    page.locator(".mv .tok").first.wait_for(timeout=SLOW)


def percents(text):
    return [float(p) for p in re.findall(r"([\d.]+) %", text)]


def test_tokens_and_rows_equal_the_trace(demo, page):
    trace = make_trace(capacity_factor=0.5, moment=3)
    show(page, demo, "capacity=0.5")
    assert trace.kept.any(axis=1).min() == 0, "the case must drop tokens"
    shown = page.locator(".tok").evaluate_all("all => all.map((n) => [n.textContent, n.dataset.x, n.dataset.state])")
    assert [text for text, _, _ in shown] == [{" ": "␣", "\n": "⏎"}.get(token, token) for token in trace.tokens]
    kept = trace.kept.sum(axis=1)
    assert [state for _, _, state in shown] == ["dropped" if n == 0 else "partial" if n == 1 else "kept" for n in kept]
    first_kept = [e[k.argmax()] + 1 for e, k in zip(trace.expert, trace.kept)]
    assert [int(x) for _, x, _ in shown] == first_kept
    table = routing_table(trace)
    rows = page.locator(".row").evaluate_all("all => all.map((n) => n.getAttribute('aria-label'))")
    for number, label in enumerate(rows, 1):
        mine = table[table["expert"] == number]
        assert f"Expert {number}; {len(mine)} of {len(table)} routes" in label
        assert f"{mine['kept'].sum()} of {trace.capacity} slots filled" in label
        lost = int((~mine["kept"]).sum())
        assert (f"{lost} dropped" in label) == (lost > 0)


def test_card_tells_a_tokens_gates_slots_and_drops(demo, page):
    trace = make_trace(capacity_factor=0.5, moment=3)
    show(page, demo, "capacity=0.5")
    for t in (int(trace.kept.all(axis=1).argmax()), int((~trace.kept).all(axis=1).argmax())):
        page.locator(".tok").nth(t).hover()
        card = page.locator(".card")
        expect(card).to_contain_text(f"position {trace.position[t] + 1}")
        text = card.inner_text()
        assert percents(text) == pytest.approx(sorted((100 * trace.probs[t]).tolist(), reverse=True), abs=0.051)
        weights = [float(w) for w in re.findall(r"weight ([\d.]+)", text)]
        assert weights == pytest.approx(trace.weight[t].tolist(), abs=0.0051)
        for expert, kept, slot in zip(trace.expert[t] + 1, trace.kept[t], trace.slot[t] + 1):
            want = f"Expert {expert}: slot {slot} of {trace.capacity}" if kept else f"Expert {expert} is full: dropped"
            assert want in text
        assert ("residual path" in text) == (not trace.kept[t].any())


def test_click_pins_tells_python_and_escape_lets_go(demo, page):
    show(page, demo)
    page.locator(".tok").nth(17).click()
    told = page.locator("[data-testid=stJson]")
    expect(told).to_contain_text("17", timeout=SLOW)
    expect(page.locator(".tok").nth(17)).to_have_attribute("aria-selected", "true")
    page.mouse.move(5, 5)
    expect(page.locator(".card")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_be_hidden()
    expect(told).to_have_count(0, timeout=SLOW)
    page.locator(".row").nth(2).click(position={"x": 8, "y": 8})
    expect(told).to_contain_text("expert", timeout=SLOW)
    expect(page.locator(".card")).to_contain_text("Expert 3")


def test_keys_move_pin_and_are_spoken(demo, page):
    trace = make_trace(moment=3)
    show(page, demo)
    assert page.locator(".tok[tabindex='0']").count() == 1
    page.locator(".tok").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".tok").nth(3)).to_be_focused()
    expect(page.locator(".live")).to_contain_text(f"Expert {trace.expert[3, 0] + 1}")
    page.keyboard.press("ArrowDown")
    below = int(
        page.evaluate(
            "document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.activeElement.dataset.t"
        )
    )
    assert below > 10
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=stJson]")).to_contain_text(str(below), timeout=SLOW)
    assert page.locator(".tok[tabindex='0']").count() == 1


def test_probabilities_are_linked_with_the_text(demo, page):
    show(page, demo)
    page.locator(".tab[data-tab=grid]").click()
    page.locator(".grid canvas").click(position={"x": 36, "y": 60})
    expect(page.locator("[data-testid=stJson]")).to_contain_text("index", timeout=SLOW)
    page.locator(".tab[data-tab=batch]").click()
    expect(page.locator(".tok").first).to_have_attribute("aria-selected", "true")


def test_ticking_keeps_the_page_and_sends_the_script_once(demo, page):
    scripts, updates = [], []

    def received(frame):
        payload = frame if isinstance(frame, bytes) else frame.encode()
        if b'"probs"' in payload:
            updates.append(len(payload))
            scripts.append(SCRIPT in payload)

    page.on("websocket", lambda socket: socket.on("framereceived", received))
    show(page, demo, "tick=0.1")
    page.evaluate(
        "window.kept = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.tok')"
    )
    shares = page.locator(".share").all_inner_texts()
    wait_until(page, lambda: False in scripts and len(scripts) >= scripts.index(False) + 8)
    assert page.evaluate("window.kept.isConnected")
    assert page.locator(".share").all_inner_texts() != shares, "the picture moves"
    sent = scripts.index(False)  # until the page's answer has been heard
    assert sent >= 1 and not any(scripts[sent:])
    assert max(updates[sent:]) < 35_000


def test_markup_in_tokens_stays_text(demo, page):
    show(page, demo, "kind=markup&tokens=32")
    expect(page.locator(".tok").first).to_have_text("<img src=x onerror=document.title='owned'>")
    page.locator(".tok").nth(2).hover()
    expect(page.locator(".card")).to_contain_text("<script>")
    assert page.title() != "owned"
    assert page.locator(".mv img, .mv script").count() == 0


@pytest.mark.parametrize(
    "query",
    ["experts=1&k=1&capacity=0.01", "experts=64&k=4&capacity=1", "tokens=1", "kind=point&k=1", "kind=image&capacity=1"],
)
def test_extremes_fit_a_phone_and_a_desk(demo, query):
    with browser_page(NARROW) as page:
        show(page, demo, query)
        for viewport in (NARROW, WIDE):
            page.set_viewport_size(viewport)
            page.locator(".tok").last.click()
            expect(page.locator(".card")).to_be_visible()
            assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth + 1")
            page.keyboard.press("Escape")
            expect(page.locator(".card")).to_be_hidden()


def test_filling_replays_and_ends_where_it_began(demo, page):
    show(page, demo, "capacity=0.75&filling=1&tokens=64")
    page.locator(".replay").click()
    expect(page.locator(".mv[data-replaying]")).to_be_visible()
    expect(page.locator(".mv[data-replaying]")).to_have_count(0, timeout=10_000)


def test_no_motion_when_the_reader_prefers_none(demo):
    with browser_page(reduced_motion="reduce") as page:
        show(page, demo, "capacity=0.75&filling=1")
        expect(page.locator(".replay")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(demo, scheme):
    with browser_page(scheme=scheme) as page:
        show(page, demo, "capacity=0.5&recorded=1")
        page.locator(".tok").nth(30).click()
        expect(page.locator(".card")).to_be_visible()
        assert accessibility_faults(page, context=".stBidiComponent") == []

"""The lab over a line that is slow, dead or cut, and under a browser's translator: what is shown belongs together, and no press goes missing unsaid."""

import re

import pytest
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from moe_viz.ui.server.streamlit_patches.requests import is_answer, painted, picture
from tests.browser.lab import live_step, wait_for_pictures, wait_for_step
from tests.browser.line import Line

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
SLOW = 30_000
TRANSLATE = """() => {
  const texts = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) texts.push(walk.currentNode);
  for (const text of texts) {
    const parent = text.parentElement;
    if (!text.data.trim() || !parent || parent.closest('[translate="no"], .notranslate, script, style')) continue;
    const outer = document.createElement("font"), inner = document.createElement("font");
    inner.textContent = text.data.toUpperCase();
    outer.append(inner);
    text.replaceWith(outer);
  }
}"""
"""As Chrome's: each text is replaced by an element with another text. The page keeps and rewrites the old node, which nobody sees any more."""


@pytest.fixture
def line(address):
    with Line(address) as line:
        yield line


def note(page):
    return page.locator(".st-key-connection .line")


def button(page):
    return page.locator(".st-key-play button")


@pytest.mark.slow
def test_over_a_slow_line_pictures_come_one_by_one_and_a_press_before_the_next(line, page):
    seen = []

    def received(payload):
        if isinstance(payload, bytes) and (number := picture(ForwardMsg.FromString(payload))) is not None:
            seen.append(("picture", number))

    def sent(payload):
        if isinstance(payload, bytes):
            widgets = BackMsg.FromString(payload).rerun_script.widget_states.widgets
            seen.extend(("painted", number) for w in widgets if is_answer(w) and (number := painted(w)) is not None)

    page.on("websocket", lambda socket: (socket.on("framereceived", received), socket.on("framesent", sent)))
    page.goto(f"{line.address}/?task=clusters")
    wait_for_step(page, 20)
    line.rate = 50_000
    wait_for_pictures(page, 8)  # an unbounded queue grows meanwhile
    wait_for_step(page, live_step(page) + 30)
    before = [number for kind, number in seen if kind == "picture"]
    button(page).click()
    expect(button(page)).to_contain_text("Play", timeout=SLOW)
    pictures = [number for kind, number in seen if kind == "picture"]
    assert len(pictures) - len(before) <= 2, "the one on its way, and the one that the press has drawn"
    assert pictures == sorted(set(pictures))
    answered = [("painted", 0)]
    for kind, number in seen[seen.index(("painted", pictures[-min(4, len(pictures))])) :]:
        if kind == "picture":
            assert answered[-1][0] == "painted", "the next is sent when the last has arrived"
        if (kind, number) != answered[-1]:
            answered.append((kind, number))
    expect(note(page)).not_to_have_class(re.compile(r"\bon\b"))


def test_a_page_that_hears_nothing_says_how_old_it_is_and_what_was_pressed_is_done_later(line, page):
    page.clock.install()
    page.goto(f"{line.address}/?task=clusters&speed=20")
    wait_for_step(page, 10)
    note(page).wait_for(state="attached", timeout=SLOW)  # drawn last; nothing knows of the line before
    line.freeze()
    page.clock.fast_forward(5000)
    expect(note(page)).to_contain_text(re.compile(r"No news for \d+ s.*still shows: step \d+"), timeout=15_000)
    step = live_step(page)
    assert f"step {step}." in note(page).inner_text().replace(",", "")
    assert note(page).locator("[role=status]").count() == 1
    button(page).click()
    expect(note(page)).to_contain_text("Not heard by the server yet: “Pause”", timeout=5000)
    line.thaw()
    expect(button(page)).to_contain_text("Play", timeout=SLOW)
    expect(note(page)).not_to_have_class(re.compile(r"\bon\b"), timeout=SLOW)
    assert not note(page).inner_text().strip()


def test_a_press_that_got_lost_is_said_to_be_lost(line, page):
    page.goto(f"{line.address}/?task=clusters&speed=20")
    wait_for_step(page, 10)
    note(page).wait_for(state="attached", timeout=SLOW)  # drawn last; nothing knows of the line before
    line.freeze()
    button(page).click()
    line.cut()
    expect(note(page)).to_contain_text("lost: “Pause”. Please press again.", timeout=SLOW)
    expect(button(page)).to_contain_text("Pause")
    wait_for_step(page, live_step(page) + 5)
    button(page).click()
    expect(button(page)).to_contain_text("Play", timeout=SLOW)
    expect(note(page)).not_to_have_class(re.compile(r"\bon\b"), timeout=SLOW)


def test_under_a_translator_every_sentence_is_that_of_its_step(address, page):
    page.goto(f"{address}/?task=clusters&speed=20")
    step = wait_for_step(page, 10)
    note(page).wait_for(state="attached", timeout=SLOW)  # drawn last; it marks what must stay as it is
    page.evaluate(TRANSLATE)
    assert page.locator("header font").count(), "the translator has been at work"
    assert not page.locator(".st-key-live_part font, [data-testid=stSidebar] font, .st-key-within_reach font").count()
    loss = page.locator(".st-key-loss_now").inner_text()
    assert wait_for_step(page, step + 10) > step
    expect(page.locator(".st-key-loss_now")).not_to_have_text(loss, timeout=30_000)  # two steps may have the same
    button(page).click()
    expect(button(page)).to_have_text(re.compile("Play$"), timeout=SLOW)

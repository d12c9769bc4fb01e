"""The recorded picture that the lab's HTML brings with it: there before the frontend's code, replaced in place by the page's own."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import browser_page

pytestmark = pytest.mark.browser

NARROW = {"width": 390, "height": 844}
BOXES = """(names) => names.map((name) => { const r = moeVizFound(name).getBoundingClientRect(); return [r.left, r.top, r.width].map(Math.round); })"""
WORDS = """(names) => names.map((name) => moeVizFound(name).textContent.replaceAll(/\\s+/g, ""))"""
FIND = """window.moeVizFound = (name) => name.startsWith("first ")
  ? document.getElementById("first_picture").shadowRoot.querySelector(name.slice(6)) : document.querySelector(name);"""

OWN_RUN = re.compile(
    r"Yours(hasbegun|isatstep\d+)|Ваш(начался|сейчаснашаге\d+)"
)  # which the page knows more of by then


@pytest.mark.parametrize(
    "size, scheme, query",
    [(None, "light", ""), (NARROW, "dark", "?lang=ru"), ({"width": 1000, "height": 800}, "light", "?task=domains")],
)
def test_it_is_there_before_the_frontend_and_stands_where_the_page_draws_it(address, size, scheme, query):
    with browser_page(viewport=size, scheme=scheme) as page:
        page.add_init_script(FIND)
        held = []
        page.route("**/static/js/index.*.js", lambda route: held.append(route))
        page.goto(f"{address}/{query}", wait_until="commit")
        first = page.locator("#first_picture")
        expect(first.locator(".tok")).to_have_count(256)
        expect(first.locator(".badge")).to_have_text("запись" if "ru" in query else "recorded")
        assert page.locator('[data-testid="stApp"]').count() == 0, "nothing of the frontend has run"
        before = page.evaluate(BOXES, ["first .seen", "first .head", "first .about", "first .mv"])
        words = page.evaluate(WORDS, ["first .seen", "first .head"])

        for route in held:
            route.continue_()
        expect(first).to_have_count(0, timeout=60_000)
        expect(page.locator(".st-key-routing .tok").first).to_be_visible()
        now = [".st-key-seen", ".st-key-head", ".st-key-about", ".st-key-routing"]
        assert page.evaluate(BOXES, now) == before
        if "task" not in query:  # a visit without settings goes on to speak of the recording
            said = page.evaluate(WORDS, [".st-key-what_is_seen", ".st-key-head"])
            assert [OWN_RUN.sub("", text) for text in said] == [OWN_RUN.sub("", text) for text in words]


def test_other_pages_do_not_have_it(address):
    with browser_page() as page:
        page.goto(f"{address}/gates", wait_until="commit")
        page.locator('[data-testid="stApp"]').wait_for(timeout=60_000)
        assert page.locator("#first_picture").count() == 0


def test_it_comes_and_goes_where_the_browser_blocks_storage(address):
    """As Chromium does it with cookies blocked: already to name the storage is an error."""
    blocked = """Object.defineProperty(window, "localStorage", { get() {
      if (new Error().stack.includes("/static/js/")) return { getItem: () => null, setItem() {}, removeItem() {} };
      throw new DOMException("blocked", "SecurityError");
    } });"""
    with browser_page() as page:
        page.add_init_script(blocked)
        page.goto(address, wait_until="commit")
        expect(page.locator("#first_picture .tok")).to_have_count(256)
        expect(page.locator("#first_picture")).to_have_count(0, timeout=60_000)

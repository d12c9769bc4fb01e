"""What each page asks for: everything from the lab's own server, and everything it asks for is there."""

import re

import pytest

from tests.browser.lab import browser_page
from tests.test_house import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
PAGES = re.findall(r'st\.Page\("pages/(\w+)\.py"', (ROOT / "app.py").read_text(encoding="utf-8"))
SHOWN = "() => (document.querySelector('.stMain')?.innerText ?? '').trim().length > 20"
"""The page has words of its own that can be seen."""
LINKS = "() => [...document.querySelectorAll('link[href], script[src], img[src]')].map(one => one.href || one.src)"
"""The icon of a browser's tab is not among the requests that a driven browser tells of, so what the page names is looked at, too."""


def test_nothing_leaves_the_machine_and_nothing_is_missing(address):
    assert len(PAGES) >= 10
    with browser_page() as page:
        asked, bad = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("response", lambda answer: answer.status >= 400 and bad.append((answer.status, answer.url)))
        page.on("requestfailed", lambda request: bad.append((request.failure, request.url)))
        for name in PAGES:
            page.goto(f"{address}/{'' if name == 'lab' else name}?speed=5")
            page.wait_for_function(SHOWN, timeout=60_000)
            page.wait_for_function(
                "() => !document.querySelector(\"link[rel='shortcut icon']\").href.endsWith('favicon.png')",
                timeout=60_000,
            )
            named = page.evaluate(LINKS)
            assert named and all(link.startswith((address, "data:", "blob:")) for link in named), (name, named)
        assert len(asked) > len(PAGES) and any("/_stcore/" in url for url in asked)
        strays = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
        assert not strays, strays
        assert not [fault for fault in bad if fault[0] != "net::ERR_ABORTED"], (
            bad
        )  # what a page that is left had still asked for

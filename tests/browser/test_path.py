"""The lab below a path prefix, as docs/deploy.md sets it up: every link that a page gives away opens the lab there."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.lab import browser_page, server, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000


def knobs(link: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(link).query)


@pytest.mark.slow
def test_links_of_all_pages_open_the_lab_below_its_path(tmp_path):
    with server(env={"MOE_VIZ_HOME": str(tmp_path)}, path="moe") as (address, _process), browser_page() as page:
        missing = []
        page.on("response", lambda answer: answer.status >= 400 and missing.append(answer.url))
        page.goto(f"{address}/?task=clusters&router=switch&seed=5&speed=5")
        wait_for_step(page, 1)
        page.locator(".st-key-take_lab button").click()
        settings = page.locator("[data-testid=stPopoverBody] [data-testid=stCode]").inner_text(timeout=SLOW).strip()
        page.goto(f"{address}/runs")
        page.locator("[class*=st-key-menu_] button").first.click(timeout=SLOW)
        own = page.locator("[data-testid=stPopoverBody] [data-testid=stCode]").inner_text(timeout=SLOW).strip()
        for link in (settings, own):
            assert link.startswith(f"{address}/?v=1&"), link
        for link in (settings, own):
            page.goto(link)
            wait_for_step(page, 1)
            assert (knobs(page.url)["seed"], knobs(page.url)["router"]) == (["5"], ["switch"])
        assert knobs(page.url)["run"] == knobs(own)["run"]
        assert not missing, missing

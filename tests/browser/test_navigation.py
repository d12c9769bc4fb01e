"""Ways from page to page: none may lead back by itself, and each may be the first one opened."""

import re

import pytest
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.browser.lab import HEADINGS, browser_page, follow_menu, server, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def late_tick(page):
    """Send the last tick of a page once more, right after the click that leaves it. Returns the list of what was sent so."""
    tick, late = {}, []

    def connect(socket):
        up = socket.connect_to_server()

        def pass_on(message):
            request = BackMsg.FromString(message).rerun_script
            up.send(message)
            if request.is_auto_rerun:
                tick.update(page=request.page_script_hash, message=message)
            elif tick and request.page_script_hash != tick["page"]:
                up.send(tick["message"])
                late.append(tick["page"])

        socket.on_message(pass_on)

    page.route_web_socket(re.compile("_stcore/stream"), connect)
    return late


def test_a_tick_of_the_page_just_left_does_not_bring_it_back(address):
    with browser_page() as page:
        late = late_tick(page)
        page.goto(f"{address}/?task=domains")
        wait_for_step(page, 2)
        follow_menu(page, "Gates")
        page.locator(".st-key-part").wait_for(timeout=60_000)
        step = wait_for_step(page, 1)
        wait_for_step(page, step + 1)
        assert late
        assert page.locator(".st-key-part").count() == 1


def test_a_deep_link_to_a_fresh_server_opens_the_whole_app(tmp_path):
    with server(env={"MOE_VIZ_HOME": str(tmp_path)}) as (address, _process), browser_page() as page:
        page.goto(f"{address}/time_machine")
        page.locator(".st-key-track").wait_for(timeout=60_000)
        headings = page.get_by_test_id("stTopNavSection")
        expect(headings).to_have_count(len(set(HEADINGS.values())))
        seen = [heading.evaluate("e => getComputedStyle(e).fontWeight") for heading in headings.all()]
        assert seen.index("600") == 0 and seen.count("600") == 1, "the heading of the page that is open is marked"

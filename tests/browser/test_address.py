"""The browser's address on every page: a reload brings the same run and settings back, Back undoes the last change or leaves the page."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.lab import follow_menu, live_step, wait_for_step, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SLOW = 30_000
TASKS = {"gate_map": "plane", "experts": "domains", "one_step": "clusters"}
THERE = {
    "gate_map": ".st-key-gate_map .stage canvas",
    "experts": ".st-key-domain_numbers",
    "one_step": ".st-key-panel_row",
}
"""What stands on a page as soon as it has its run."""


def words(page):
    return {word: values[0] for word, values in parse_qs(urlsplit(page.url).query).items()}


def wait_for(page, **wanted):
    """Wait until the address says so; all its words then. A word that is to be None is to be absent."""
    for word, value in wanted.items():
        page.wait_for_function(
            "([word, value]) => { const now = new URLSearchParams(location.search).get(word);"
            " return value === true ? now !== null : now === value; }",
            arg=[word, value],
            timeout=SLOW,
        )
    return words(page)


def entries(page):
    return page.evaluate("history.length")


def choose(page, key, value):
    page.locator(f".st-key-{key} [role=combobox], .st-key-{key} input").first.click()
    page.get_by_role("option", name=value, exact=True).click()


def test_back_undoes_one_knob_at_a_time_and_then_leaves_the_page(address, page):
    page.goto(f"{address}/?task=clusters&router=topk&k=2&n_experts=4&seed=4&speed=5")
    first = wait_for(page, run=True)
    wait_for_step(page, 1)
    assert entries(page) == 2, "about:blank and the lab: nothing that the page writes by itself is an entry"
    choose(page, "router", "Switch")
    wait_for(page, router="switch")
    assert entries(page) == 3
    page.go_back()
    back = wait_for(page, router=first["router"], run=first["run"])
    assert back == first
    expect(page.locator(".st-key-shown_k")).not_to_contain_text("Switch", timeout=SLOW)
    page.go_forward()
    wait_for(page, router="switch", run=first["run"])
    expect(page.locator(".st-key-shown_k")).to_contain_text("Switch", timeout=SLOW)
    follow_menu(page, "Gates")
    page.locator(".st-key-part").wait_for(timeout=SLOW)
    wait_for(page, routers=True, run=True)
    page.go_back()
    expect(page.locator(".st-key-shown_k")).to_contain_text("Switch", timeout=SLOW)
    assert wait_for(page, run=first["run"])["router"] == "switch"


def test_a_dragged_slider_is_one_entry_of_the_history(address, page):
    page.goto(f"{address}/?task=clusters&router=topk&k=2&n_experts=6&seed=4&speed=5")
    wait_for(page, run=True)
    wait_for_step(page, 2)
    slider = page.locator(".st-key-k input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    wait_for(page, k="3")
    slider.press("ArrowRight")
    wait_for(page, k="4")
    assert entries(page) == 3
    page.locator(".st-key-speed input[type=range]").focus()
    slider.focus()
    slider.press("ArrowRight")
    wait_for(page, k="5")
    assert entries(page) == 4, "taken up again after something else, it is another change"
    page.go_back()
    wait_for(page, k="4")
    page.go_back()
    wait_for(page, k="2")
    expect(page.locator(".st-key-shown_k")).to_contain_text("k = 2", timeout=SLOW)


def until_it_knows_its_pages(page):
    """Load the page anew, and let the server tell it everything but which pages there are. The next time that it is loaded it hears all."""
    held = []

    def connect(socket):
        server = socket.connect_to_server()

        def pass_on(message):
            if first and (held or ForwardMsg.FromString(message).WhichOneof("type") == "navigation"):
                held.append(message)
            else:
                socket.send(message)

        first = not held
        server.on_message(pass_on)

    page.route_web_socket(re.compile("_stcore/stream"), connect)
    page.reload()
    wait_until(page, lambda: held)


def test_back_pressed_while_a_page_is_still_being_loaded_shows_what_was_before_on_that_page(address, page):
    page.goto(f"{address}/gates?v=1&task=clusters&n_experts=4&routers=topk.switch&speed=5")
    first = wait_for(page, run=True, part="compare")
    page.locator(".st-key-part").get_by_text("All gates").click()
    wait_for(page, part="gallery")
    until_it_knows_its_pages(page)
    page.go_back()
    wait_for_step(page, 1)
    assert urlsplit(page.url).path == "/gates"
    assert wait_for(page, part="compare", run=first["run"]) == first


@pytest.mark.parametrize("name", ["gate_map", "experts", "one_step"])
def test_a_page_of_one_run_comes_back_after_a_reload_and_back_undoes_its_last_change(address, page, name):
    page.goto(f"{address}/{name}?v=1&task={TASKS[name]}&router=topk&k=2&n_experts=4&seed=5&speed=5")
    first = wait_for(page, run=True, router="topk", n_experts="4", made=True)
    gate = page.locator(".st-key-router [role=combobox]")
    choose(page, "router", "Switch")
    second = wait_for(page, router="switch", run=first["run"])
    page.reload()
    expect(gate).to_have_value("Switch", timeout=SLOW)
    page.locator(THERE[name]).first.wait_for(timeout=SLOW)
    assert words(page) == second
    page.go_back()
    assert wait_for(page, router="topk", run=first["run"]) == first
    expect(gate).to_have_value("Top-k softmax", timeout=SLOW)
    assert urlsplit(page.url).path == f"/{name}"


def test_gates_come_back_after_a_reload_and_after_back(address, page):
    page.goto(f"{address}/gates?v=1&task=clusters&n_experts=4&routers=topk.switch&speed=5")
    first = wait_for(page, run=True, n_experts="4", routers="topk.switch")
    wait_for_step(page, 2)
    before = live_step(page)
    page.reload()
    assert wait_for_step(page, before) >= before, "the very runs"
    assert words(page) == first
    page.locator(".st-key-part").get_by_text("All gates").click()
    wait_for(page, part="gallery")
    page.reload()
    expect(page.locator(".st-key-live_step")).to_have_count(0, timeout=SLOW)
    wait_for(page, part="gallery", run=first["run"])
    page.go_back()
    wait_for(page, part="compare", run=first["run"])
    wait_for_step(page, before)


def test_twins_come_back_after_a_reload(address, page):
    page.goto(f"{address}/twins?v=1&task=clusters&n_experts=4&differs=balance_coef&second=0.5&pairs=1&speed=5")
    first = wait_for(page, run=True, differs="balance_coef", second="0.5", pairs="1")
    expect(page.locator(".st-key-story")).to_contain_text(re.compile("part at|differ from"), timeout=SLOW)
    said = page.locator(".st-key-story").inner_text()
    before = wait_for_step(page, 3)
    page.reload()
    assert wait_for_step(page, before) >= before
    assert page.locator(".st-key-story").inner_text() == said, "where they parted is found again"
    assert words(page) == first


def test_a_story_of_collapse_comes_back_with_its_acts_after_a_reload_and_back_plays_the_one_before(address, page):
    page.goto(f"{address}/collapse")
    first = wait_for(page, run=True, acts="healthy-0-0")
    page.locator(".st-key-play_collapse button").click()
    page.wait_for_function("new URLSearchParams(location.search).get('acts').startsWith('collapse')", timeout=SLOW)
    second = words(page)
    before = wait_for_step(page, 4)
    page.reload()
    assert wait_for_step(page, before) >= before
    assert words(page) == second and page.locator(".st-key-scene_log").inner_text().count(" · step ") == 1
    page.go_back()
    page.wait_for_function("new URLSearchParams(location.search).get('acts').startsWith('healthy')", timeout=SLOW)
    assert words(page) | {"acts": ""} == first | {"acts": ""}


def test_the_time_machine_stands_at_the_same_moment_after_a_reload_and_back_undoes_the_last_move(address, page):
    page.goto(f"{address}/?task=clusters&seed=6&speed=5")
    run = wait_for(page, run=True)["run"]
    wait_for_step(page, 3)
    follow_menu(page, "Time machine")
    page.locator(".st-key-track").wait_for(timeout=SLOW)
    wait_for(page, run=run, seed="6")
    track, before = page.locator(".st-key-track input[type=range]"), entries(page)
    track.focus()
    track.press("Home")
    first = wait_for(page, at=True)["at"]
    page.locator(".st-key-pin_a button").click()
    wait_for(page, pin_a=first)
    assert entries(page) == before + 2, "the move and the pin"
    page.reload()
    expect(page.locator(".st-key-story")).to_contain_text("Your lab run", timeout=SLOW)
    expect(page.locator(".st-key-unpin")).to_be_visible(timeout=SLOW)
    assert wait_for(page, run=run, at=first, pin_a=first)
    expect(track).to_have_attribute("aria-valuetext", re.compile(rf"\b{first}\b"), timeout=SLOW)
    page.go_back()
    wait_for(page, at=first, pin_a=None)
    expect(page.locator(".st-key-unpin")).to_have_count(0, timeout=SLOW)


def test_experts_show_the_same_view_after_a_reload_and_after_back(address, page):
    page.goto(f"{address}/?task=clusters&seed=6&speed=5")
    run = wait_for(page, run=True)["run"]
    wait_for_step(page, 3)
    follow_menu(page, "Experts")
    wait_for(page, run=run, view="domains")
    view = page.locator(".st-key-experts_view")
    view.get_by_text("Layers").click(timeout=SLOW)
    wait_for(page, run=run, view="layers")
    page.locator(".st-key-shuffled_labels label").click()
    wait_for(page, view="layers", shuffled="1")
    page.reload()
    chosen = view.locator("[aria-checked=true], [aria-pressed=true]")
    expect(chosen).to_have_text("Layers", timeout=SLOW)
    wait_for(page, run=run, view="layers", shuffled="1")
    expect(page.locator(".st-key-shuffled_labels input")).to_be_checked(timeout=SLOW)
    page.go_back()
    wait_for(page, view="layers", shuffled="0")
    expect(page.locator(".st-key-shuffled_labels input")).not_to_be_checked(timeout=SLOW)
    page.go_back()
    expect(chosen).to_have_text("Domains", timeout=SLOW)

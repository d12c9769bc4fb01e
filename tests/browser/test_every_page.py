"""Every page once: axe finds no serious fault in it, nothing scrolls sideways, and a picture of it can be taken along as SVG and PNG."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from playwright.sync_api import expect

from moe_viz import __version__
from moe_viz.spec import RunConfig
from tests.browser.lab import NARROW, accessibility_faults, browser_page, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000
SVG = "{http://www.w3.org/2000/svg}"
# page -> a choice of colours, a part of the page that must be there first, and what a vector picture of it must hold
PAGES = {
    "": ("dark", ".st-key-routing .tok", "rect"),
    "gates": ("dark", "svg.marks", "path"),
    "gate_map": ("dark", ".st-key-gate_map .stage canvas", "image"),
    "time_machine": ("light", ".st-key-moment .tok", "rect"),
    "experts": ("dark", ".js-plotly-plot .gtitle", "path"),
    "collapse": ("light", "svg.marks", "path"),
    "twins": ("dark", ".st-key-twin_two .tok", "rect"),
    "one_step": ("light", ".st-key-panel_row", None),
}


def faults(page, **options):
    """Serious ones that stay: a part that is just being drawn anew is pale for a moment."""
    for _ in range(3):
        serious = accessibility_faults(page, **options)
        if not serious:
            break
    return serious


def taken(page, form):
    """The first picture of the page as a file."""
    with page.expect_download(timeout=SLOW) as download:
        page.locator(f".pictures [data-form={form}]").first.dispatch_event("click")
    return download.value.path().read_bytes()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_accessible_and_can_be_taken_along(address, name):
    scheme, there, inside = PAGES[name]
    with browser_page(scheme=scheme) as page:
        page.goto(f"{address}/{name}?speed=5")
        page.locator(there).first.wait_for(timeout=2 * SLOW)
        if name == "":
            wait_for_step(page, 3)
        assert faults(page) == []
        page.locator(f'.st-key-take_{name or "lab"} button, [data-testid="stPopover"] button').last.click()
        if inside is None:
            expect(page.locator(".pictures")).to_contain_text("no picture", timeout=SLOW)
        else:
            page.locator(".pictures [data-form=svg]").first.wait_for(timeout=SLOW)
            root = ElementTree.fromstring(taken(page, "svg"))
            said = json.loads(root.find(f"{SVG}metadata").text)
            assert said["version"] == __version__ and said["seed"] == said["config"]["seed"]
            assert RunConfig.from_flat(said["config"]).flat() == said["config"]
            assert f"seed {said['seed']}" in root.find(f"{SVG}desc").text
            drawn = root.find(f"{SVG}g")
            assert drawn.iter(f"{SVG}{inside}").__next__() is not None and len(list(drawn.iter())) > 40
            assert root.find(f"{SVG}title").text == said["picture"]
            png = taken(page, "png")
            assert png.startswith(b"\x89PNG") and json.dumps(said["config"]["router"]).encode() in png
        fits_a_phone(page)


def fits_a_phone(page):
    page.set_viewport_size(NARROW)
    fits = "width => innerWidth === width && document.querySelector('[data-testid=stMain]').scrollWidth <= width"
    page.wait_for_function(fits, arg=NARROW["width"], timeout=SLOW)
    # the one rule that a narrow page can break and a wide one cannot; all of them take long
    assert faults(page, runOnly=["scrollable-region-focusable"]) == []


@pytest.mark.parametrize(
    ("name", "scheme", "there"),
    [
        ("runs", "dark", "Open"),
        ("status", "light", "Training process"),
        ("sizes", "dark", "What does not add up in print"),
        ("local_experts", "dark", "prior: asked before y is seen"),
    ],
)
def test_the_other_pages_are_accessible(address, name, scheme, there):
    with browser_page(scheme=scheme) as page:
        page.goto(f"{address}/?task=clusters&speed=5")
        wait_for_step(page, 1)
        page.wait_for_function("document.cookie.includes('moe_viz_runs')", timeout=SLOW)
        page.goto(f"{address}/{name}")
        page.get_by_text(there, exact=True).first.wait_for(timeout=SLOW)
        assert faults(page) == []
        fits_a_phone(page)

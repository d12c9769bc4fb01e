"""README's pictures, taken of the lab as users start it while a real run trains: `make pictures`.

Each waits for a state that is worth showing, by what the page itself says, never for a time; then the run is paused, so that every part of
the picture is of one step.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from tests.browser.lab import WIDE, browser_page, live_step, server, wait_for_step

FOLDER = Path(__file__).parents[2] / "assets" / "screenshots"
SECONDS = 300
SLOW = 60_000
DRAWN = "svg.marks, canvas.marks"
"""A chart that Vega has drawn."""


def lab(page: Page, address: str) -> None:
    """Four kinds of text, each token tinted by its expert."""
    page.goto(f"{address}/?{urlencode({'task': 'domains', 'speed': 10, 'lang': 'en'})}")
    wait_for_step(page, 100, SECONDS)


def digits(page: Page, address: str) -> None:
    """Patches of digits, each outlined by its expert."""
    page.goto(f"{address}/?{urlencode({'task': 'digits', 'speed': 10, 'lang': 'en'})}")
    wait_for_step(page, 100, SECONDS)


def collapse(page: Page, address: str) -> None:
    """A collapse, and its cure by the balancing loss."""
    page.goto(f"{address}/collapse?lang=en")
    wait_for_step(page, 5, SECONDS)
    page.locator(".st-key-play_collapse button").click()
    expect(page.locator(".st-key-story")).to_contain_text("Collapsed after", timeout=SECONDS * 1000)
    page.locator(".st-key-play_rescue button").click()
    expect(page.locator(".st-key-story")).to_contain_text(re.compile("Rescued after"), timeout=SECONDS * 1000)
    wait_for_step(page, (live_step(page) or 0) + 20, SECONDS)


PICTURES: dict[str, tuple[str, Callable[[Page, str], None]]] = {
    "lab-light": ("light", lab),
    "digits-dark": ("dark", digits),
    "collapse-light": ("light", collapse),
}
"""File name -> colours of the page, and what leads to the state that is shown."""


def take(name: str, address: str) -> Path:
    """Take one picture; the file."""
    scheme, lead = PICTURES[name]
    with browser_page(WIDE, scheme, reduced_motion="reduce") as page:  # a paused page replays its buffers otherwise
        lead(page, address)
        page.locator(".st-key-play button").click()
        expect(page.locator(".st-key-play")).to_contain_text("Play", timeout=SLOW)
        page.locator(DRAWN).first.wait_for(timeout=SLOW)
        page.mouse.move(WIDE["width"] - 2, WIDE["height"] - 2)  # no tooltip in the picture
        step = None
        while step != (step := live_step(page)):  # the last step may be on its way
            page.wait_for_timeout(2500)  # one look of a paused page
        page.mouse.wheel(0, -10_000)
        file = FOLDER / f"{name}.png"
        page.screenshot(path=file)
    return file


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory(prefix="moe_viz_pictures_") as home, server(env={"MOE_VIZ_HOME": home}) as running:
        for name in PICTURES:
            print(take(name, running[0]).relative_to(FOLDER.parents[1]), flush=True)


if __name__ == "__main__":
    main()

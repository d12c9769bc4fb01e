"""Photographs and the reader's own picture in a real browser: every patch is drawn on its picture, and the numbers agree with the engine."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.lab import browser_page, wait_for_step

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000


def upload(page, name, data):
    page.locator(".st-key-own_image input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": data}
    )


def png(width, height):
    pixels = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def grid(page, key):
    """Columns and rows of the patches as they lie on the screen, of the first picture."""
    boxes = (
        page.locator(f".st-key-{key} .sequence")
        .first.locator(".tok")
        .evaluate_all(
            "all => all.map(one => { const r = one.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })"
        )
    )
    columns, rows = ({round(box[axis]) for box in boxes} for axis in (0, 1))
    assert all(abs(box[2] - box[3]) < 1 for box in boxes), "patches are square"
    return len(columns), len(rows)


@pytest.mark.slow
def test_photographs_show_their_patches_and_an_own_picture_is_routed(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=photo&seed=5")
        wait_for_step(page, 5)
        tokens = page.locator(".st-key-routing .list[data-kind=image] .tok")
        expect(tokens).to_have_count(6 * 96, timeout=SLOW)
        assert grid(page, "routing") == (12, 8)

        page.locator(".st-key-view").get_by_text("Yours").click()
        upload(page, "wide.png", png(300, 150))
        own = page.locator(".st-key-own_image_routing .tok")
        expect(own.first).to_be_visible(timeout=SLOW)
        said = page.locator(".st-key-own_image_seen").inner_text(timeout=SLOW)
        step, patches = (int(number) for number in re.match(r"Step (\d+): (\d+) patches", said).groups())
        columns, rows = grid(page, "own_image_routing")
        assert patches == own.count() == columns * rows and (columns, rows) == (12, 6)
        assert f"{columns * 8} × {rows * 8} pixels" in said
        assert set(own.evaluate_all("all => all.map(one => one.dataset.x)")) <= {*"12345678"}
        expect(page.locator(".st-key-own_image_seen")).not_to_contain_text(f"Step {step}:", timeout=SLOW)

        upload(page, "broken.png", png(300, 150)[:80])
        expect(page.get_by_text("cannot be read as a picture")).to_be_visible(timeout=SLOW)
        expect(page.locator(".st-key-own_image_routing")).to_have_count(0, timeout=SLOW)
        step = wait_for_step(page, 0)
        assert wait_for_step(page, step + 3) > step, "the run goes on"
        assert "Traceback" not in page.content()


def test_digits_read_an_own_picture_as_sixteen_patches(address):
    with browser_page() as page:
        page.goto(f"{address}/?task=digits&seed=5")
        wait_for_step(page, 3)
        page.locator(".st-key-view").get_by_text("Yours").click()
        upload(page, "drawn.png", png(90, 90))
        expect(page.locator(".st-key-own_image_routing .tok")).to_have_count(16, timeout=SLOW)
        expect(page.locator(".st-key-own_image_seen")).to_contain_text("16 patches")
        assert grid(page, "own_image_routing") == (4, 4)

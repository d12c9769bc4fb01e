"""What a part of a page that draws itself tells the browser of its widgets, and that its buttons reach the whole page."""

import asyncio

import pytest

from tests.browser.lab import server
from tests.websocket import Reader

pytestmark = pytest.mark.heavy


def told(page):
    """The newest message about the toggle: whether it is to be set, and to what."""
    (toggle,) = page.elements("checkbox")
    return toggle.set_value, toggle.value


async def a_few_ticks(reader):
    ticks = reader.finished
    await reader.until(lambda page: page.finished > ticks + 3)


def opened(story):
    async def tell():
        with server("tests/ui/held_app.py") as (address, _process):
            reader = await Reader(address).open()
            await reader.until(lambda page: page.text("counts") == "True 0")
            await story(reader)
            assert reader.errors == []
            await reader.close()

    asyncio.run(tell())


def test_a_tick_sets_what_is_new_and_nothing_else():
    async def story(reader):
        await a_few_ticks(reader)
        assert not told(reader)[0], "it would undo a click that is on its way"
        await reader.press("turn_off")
        await reader.until(lambda page: page.text("counts") == "False 0" and told(page) == (True, False))
        await a_few_ticks(reader)
        assert not told(reader)[0]
        await reader.press("turn_on")  # its run draws the part alone
        await reader.until(lambda page: told(page) == (True, True))
        await a_few_ticks(reader)
        assert not told(reader)[0]
        await reader.set("on", False)
        await a_few_ticks(reader)
        await reader.rerun()
        await reader.until(lambda page: page.text("counts") == "False 0" and told(page) == (True, False))

    opened(story)


def test_a_press_in_a_part_is_done_once_and_the_whole_page_drawn_anew():
    async def story(reader):
        for count in (1, 2, 3):
            await reader.press("press")
            await reader.until(lambda page, said=f"True {count}": page.text("counts") == said)
        await a_few_ticks(reader)
        assert reader.text("counts") == "True 3"

    opened(story)

"""What a part of a page that draws itself tells the browser of its widgets, and that its buttons reach the whole page."""

import asyncio

import pytest

from tests.browser.lab import server
from tests.websocket import Reader

pytestmark = pytest.mark.heavy


async def a_few_ticks(reader):
    ticks = reader.finished
    await reader.until(lambda page: page.finished > ticks + 3)


def opened(story):
    """Play a story on the page; `told`: of each finished run in turn, whether the toggle is to be set, and to what."""
    told = []

    async def tell():
        with server("tests/ui/held_app.py") as (address, _process):
            reader = Reader(address)
            reader.on_update = lambda _: told.extend((box.set_value, box.value) for box in reader.elements("checkbox"))
            await reader.open()
            await reader.until(lambda page: page.text("counts") == "True 0")
            await story(reader, told)
            assert reader.errors == []
            await reader.close()

    asyncio.run(tell())


def test_a_tick_sets_what_is_new_and_nothing_else():
    async def story(reader, told):
        await a_few_ticks(reader)
        assert not told[-1][0], "it would undo a click that is on its way"
        told.clear()
        await reader.press("turn_off")
        await reader.until(lambda page: page.text("counts") == "False 0" and (True, False) in told)
        await a_few_ticks(reader)
        assert not told[-1][0]
        told.clear()
        await reader.press("turn_on")  # its run draws the part alone
        await reader.until(lambda page: (True, True) in told)
        await a_few_ticks(reader)
        assert not told[-1][0] and sum(is_set for is_set, _ in told) == 1
        told.clear()
        await reader.set("on", False)
        await a_few_ticks(reader)
        assert not any(is_set for is_set, _ in told), "the reader's own choice"
        await reader.rerun()
        await reader.until(lambda page: page.text("counts") == "False 0" and (True, False) in told)

    opened(story)


def test_a_press_in_a_part_is_done_once_and_the_whole_page_drawn_anew():
    async def story(reader, _told):
        for count in (1, 2, 3):
            await reader.press("press")
            await reader.until(lambda page, said=f"True {count}": page.text("counts") == said)
        await a_few_ticks(reader)
        assert reader.text("counts") == "True 3"

    opened(story)

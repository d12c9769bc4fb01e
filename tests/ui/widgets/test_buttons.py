"""A button in a part of a page that draws itself reaches the whole page, once per press."""

import asyncio

from tests.browser.lab import server
from tests.websocket import Reader


def test_a_press_in_a_part_is_done_once_and_the_whole_page_drawn_anew():
    async def pressed():
        with server("tests/ui/widgets/buttons_app.py") as (address, _process):
            reader = await Reader(address).open()
            await reader.until(lambda page: page.text("counts") == "0 presses")
            for count in (1, 2, 3):
                await reader.press("press")
                await reader.until(lambda page, said=f"{count} presses": page.text("counts") == said)
            ticks = reader.finished
            await reader.until(lambda page: page.finished > ticks + 3)
            assert reader.text("counts") == "3 presses" and reader.errors == []
            await reader.close()

    asyncio.run(pressed())

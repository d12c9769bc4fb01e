"""Memory of the whole lab, web server and training process together, while no, one and several sessions train.

Run `python -m benchmarks.memory [--profile low_memory] [--sessions 3] [--seconds 40]`. Resident memory as the system counts it, the most that was seen;
pages that both processes share count twice, so the true sum is a little lower. Ratio: against the 1 GB of a small free host.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time

import psutil

from benchmarks.table import Row, show
from tests.browser.lab import server
from tests.websocket import Reader

VISITS = (
    ("", ""),
    ("", "v=1&task=digits"),
    ("", "v=1&task=photo"),
    ("experts", ""),
    ("twins", ""),
    ("gates", ""),
    ("gate_map", ""),
    ("collapse", ""),
)
"""Page and link of each session, again from the start where there are more: the lab with text, digits and photographs first."""


async def main(profile: str, sessions: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as home:
        env = {"MOE_VIZ_HOME": home, "MOE_VIZ_PROFILE": profile}
        with server(env=env) as (address, process):
            await _until_started(process.pid)
            rows, readers = _rows("no session", await _most(process.pid, 5)), []
            for number in range(sessions):
                page, link = VISITS[number % len(VISITS)]
                readers.append(await Reader(address, page, link).open())
                await readers[-1].until(lambda reader: reader.finished > 3, 120)
                if len(readers) in (1, sessions):
                    rows += _rows(
                        f"{len(readers)} session" + "s" * (len(readers) > 1), await _most(process.pid, seconds)
                    )
            for reader in readers:
                await reader.close()
    show(f"memory with the profile {profile} (ratio: against 1 GB)", rows)


async def _until_started(pid: int) -> None:
    """Wait until the training process is there and has loaded what it needs."""
    end, before = time.monotonic() + 120, 0
    while time.monotonic() < end:
        await asyncio.sleep(3)
        now = sum(_resident(pid))
        if now - before < 2**20 and len(psutil.Process(pid).children(recursive=True)):
            return
        before = now
    raise TimeoutError("the training process has not started")


async def _most(pid: int, seconds: float) -> tuple[int, int]:
    """The largest resident bytes seen of (web server, training processes) in so many seconds."""
    most, end = (0, 0), time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, _resident(pid), key=sum)
        await asyncio.sleep(0.5)
    return most


def _resident(pid: int) -> tuple[int, int]:
    web = psutil.Process(pid)
    return web.memory_info().rss, sum(child.memory_info().rss for child in web.children(recursive=True))


def _rows(name: str, found: tuple[int, int]) -> list[Row]:
    parts = zip(("web server", "training process", "together"), (*found, sum(found)), strict=True)
    return [Row(f"{name}: {part}", size / 2**20, "MiB", size / 1e9) for part, size in parts]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="low_memory")
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=40, help="how long each number of sessions is watched")
    asked = parser.parse_args()
    asyncio.run(main(asked.profile, asked.sessions, asked.seconds))

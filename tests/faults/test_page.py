"""What a reader's page sees: the server is killed or stopped, the network is cut, the browser closes, the training process dies under it.

Pages are real Streamlit sessions over the websocket, the server is the real one with the real training process.
"""

import asyncio
import random
import re
import signal
import time

import psutil
import pytest

from tests.browser.lab import server
from tests.faults import CHECKPOINT_S, MESSAGE_S, SERVER_TIMES, TIMES
from tests.faults.harness import PACE, Worked, newest_write, stored, wait
from tests.websocket import Reader

pytestmark = pytest.mark.timeout(600)
LINK = f"task=clusters&speed={PACE}"
SLOW_S = 120


def step(reader):
    """The step that the page shows as live; None while it shows none."""
    found = re.search(r"\d+", (reader.text("live_step") or "").replace(",", "").replace("\u202f", ""))
    return int(found.group()) if found else None


def run_of(reader):
    found = re.search(r"(?:^|&)run=([\w-]+)", reader.query)
    return found.group(1) if found else None


async def alive(reader, at_least=1):
    """Wait until the page shows a live run that has got so far; its id."""
    await reader.until(lambda page: (step(page) or -1) >= at_least and run_of(page), SLOW_S)
    assert not reader.errors
    return run_of(reader)


def of_home(home):
    """Living processes that were started for this home: the server and its training process."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MOE_VIZ_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def worker_of(process):
    return next(p for p in psutil.Process(process.pid).children() if "moe_viz.engine" in " ".join(p.cmdline()))


# ---- the server goes ----


async def until_cut(reader):
    """Seconds until the page knows: its connection has ended, and the frontend says so."""
    start = time.monotonic()
    while reader.connected:
        assert time.monotonic() < start + SLOW_S
        await asyncio.sleep(0.01)
    return time.monotonic() - start


async def survive(home, how, reader, at_least, draw):
    """One life of a server: the page comes (back) by its link, trains, and the server goes. The least step that must be kept, and times."""
    with server(env={"MOE_VIZ_HOME": str(home)}) as (address, process):
        reader.address = address
        reader.forget()
        start = time.monotonic()
        await reader.open()
        run = await alive(reader, at_least)
        back = time.monotonic() - start
        worker = worker_of(process)
        worked = Worked(lambda: worker.pid)
        await asyncio.sleep(draw.uniform(0.2, 1.0))
        seen, killed = step(reader), time.time()
        worked.look()
        if how == "both":
            worker.kill()
        process.send_signal(signal.SIGTERM if how == "stopped" else signal.SIGKILL)
        told = await until_cut(reader)
        wait(lambda: [p.pid for p in of_home(home)] == [], seconds=SLOW_S)
        worked.close()
        kept = stored(home / "runs", run).trainer.step_number
        if how == "both":
            assert worked.since(max(newest_write(home / "runs" / run), killed - back)) <= CHECKPOINT_S
        else:
            assert kept >= seen, "the training process writes what it has before it follows its server"
    return run, kept, told, back


@pytest.mark.slow
def test_server_killed_or_stopped(tmp_path):
    """The link finds the run again, whichever of the two processes was killed, or was asked to stop."""
    home, draw, reader, told, back = tmp_path / "home", random.Random(0), Reader("", query=LINK), [], []

    async def scene():
        runs, kept = set(), 1
        for i in range(SERVER_TIMES):
            run, kept, t, b = await survive(home, ("killed", "stopped", "both")[i % 3], reader, kept, draw)
            runs.add(run)
            told.append(t)
            back.append(b)
        assert len(runs) == 1, "always the same run"

    asyncio.run(scene())
    print(
        f"\nserver gone {len(told)} times: told {max(told):.2f} s, back {max(back):.1f} s after the page was opened again"
    )
    assert max(told) <= MESSAGE_S
    runs = [path for path in (home / "runs").iterdir() if path.is_dir()]
    assert len(runs) == 1, "no run was opened besides"


# ---- the page goes, or its network, or the training process under it ----


async def cut_off(address):
    """Connections that drop without a farewell, and come back to their session: same run, further on."""
    reader = await Reader(address, query=LINK).open()
    run, back = await alive(reader, 5), []
    for i in range(TIMES):
        before = step(reader)
        reader.cut()
        await asyncio.sleep(0.05 * (i % 4))
        start = time.monotonic()
        await reader.open()
        assert await alive(reader, before + 1) == run
        back.append(time.monotonic() - start)
    await reader.close()
    print(f"\nnetwork cut {len(back)} times: back {max(back):.2f} s")


async def closed(address, home):
    """Browsers that are closed, with and without a farewell; others open the same link. What nobody reads is kept, and goes on when read."""
    reader = await Reader(address, query=LINK).open()
    run, before = await alive(reader, 5), 0
    for i in range(TIMES):
        before = step(reader) or before
        await reader.close() if i % 2 else reader.cut()
        reader = Reader(address, query=reader.query)
        await reader.open()
        assert await alive(reader, before) == run
    await reader.close()
    kept = stored(home / "runs", run).trainer.step_number
    assert kept > 0


async def worker_dies(address, process):
    """Two pages: both are told; one resumes, and both go on."""
    readers = [await Reader(address, query=LINK + f"&seed={seed}").open() for seed in (1, 2)]
    told, back = [], []
    for _ in range(max(TIMES // 7, 1)):
        before = [(await alive(reader, 5), step(reader)) for reader in readers]
        start = time.monotonic()
        worker_of(process).kill()
        for reader in readers:
            await reader.until(lambda page: page.text("worker_lost"), SLOW_S)
            told.append(time.monotonic() - start)
        start = time.monotonic()
        await readers[0].press("resume")
        for reader, (run, at) in zip(readers, before, strict=True):
            await reader.until(lambda page: not page.text("worker_lost"), SLOW_S)
            assert await alive(reader, at + 1) == run
        back.append(time.monotonic() - start)
    for reader in readers:
        await reader.close()
    print(
        f"\nworker killed under {len(told)} pages: told {max(told):.2f} s, beyond where they were {max(back):.1f} s after Resume"
    )
    assert max(told) <= MESSAGE_S


@pytest.mark.slow
def test_page_or_network_or_training_process_goes(tmp_path):
    home = tmp_path / "home"
    with server(env={"MOE_VIZ_HOME": str(home)}) as (address, process):
        asyncio.run(cut_off(address))
        asyncio.run(closed(address, home))
        assert len(of_home(home)) == 2, "one server, one training process"
        asyncio.run(worker_dies(address, process))
        files = psutil.Process(process.pid).num_fds()
        asyncio.run(cut_off(address))
        assert psutil.Process(process.pid).num_fds() <= files + 4 + TIMES // 4, (
            "connections that were cut leave files open"
        )
        assert len(list((home / "runs").glob("*/"))) == 5, "no run is opened twice"
        process.terminate()
        wait(lambda: not of_home(home), seconds=SLOW_S)

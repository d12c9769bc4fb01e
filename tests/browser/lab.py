"""Start the app as a user would, and drive it in a real Chromium. Used by browser tests and by the page benchmark."""

from __future__ import annotations

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, sync_playwright

from moe_viz.launch import flags
from tests.browser import chromium

ROOT = Path(__file__).parents[2]
HERE = ("127.0.0.1", "localhost", None)  # None: data and blob addresses
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(
    script: str = "app.py", env: dict[str, str] | None = None, log: Path | None = None, path: str = ""
) -> Iterator[tuple[str, subprocess.Popen]]:
    """A running app: its address and its process; what it says goes to the file `log`. Everything it started is gone afterwards.

    path: the prefix below which it is served.
    """
    port = free_port()
    started = ["moe_viz", "serve"] if script == "app.py" else ["streamlit", "run", script, *flags()]
    command = [
        sys.executable,
        "-m",
        *started,
        f"--server.port={port}",
        "--server.address=127.0.0.1",
        f"--server.baseUrlPath={path}",
    ]
    address = f"http://127.0.0.1:{port}/{path}".rstrip("/")
    # no pipe: one that nobody reads stops the server when it is full
    with open(log, "w+b") if log else tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | (env or {}),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_healthy(address, process, said)
            yield address, process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_until_healthy(address: str, process: subprocess.Popen, said: IO[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            said.seek(0)
            raise RuntimeError(f"the app exited with {process.returncode}:\n{said.read().decode()[-3000:]}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the app did not answer")


@contextmanager
def browser_page(
    viewport: dict[str, int] | None = None,
    scheme: str = "light",
    reduced_motion: str = "no-preference",
    forced_colors: str = "none",
) -> Iterator[Page]:
    """A fresh browser page with nothing remembered from another one. JavaScript errors on it, and requests that leave this machine, fail
    whoever uses it. forced_colors: "active" for a contrast theme."""
    context = _context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: urlsplit(request.url).hostname in HERE or errors.append(f"asks {request.url}"))
    try:
        page.set_viewport_size(viewport or WIDE)
        page.emulate_media(color_scheme=scheme, reduced_motion=reduced_motion, forced_colors=forced_colors)
        yield page
    finally:
        page.close()
        context.clear_cookies()
    assert not errors, errors


@cache
def _context() -> BrowserContext:
    """The one Chromium of this process, with one cache: the app's scripts are read once, not once per test."""
    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.ARGUMENTS))
    return browser.new_context()


HEADINGS = {
    title: heading
    for heading, titles in {
        "Lab": ["Lab", "One step", "Time machine"],
        "Learn": ["Course", "Be the router", "Glossary"],
        "Compare": ["Gates", "Twins", "Collapse and rescue"],
        "Look inside": ["Experts", "Gate map"],
        "Origins": ["Local experts"],
        "Systems": ["Sizes"],
        "My runs": ["My runs"],
    }.items()
    for title in titles
}


def follow_menu(page: Page, title: str) -> None:
    """Open a page as a reader does: its heading in the menu, then its link."""
    page.get_by_test_id("stTopNavSection").filter(has_text=HEADINGS[title]).click()
    page.get_by_role("menuitem", name=title, exact=True).click()


def live_step(page: Page) -> int | None:
    """The step number on the page, or None while no live run is shown."""
    text = page.locator(".st-key-live_step").inner_text(timeout=20_000)
    found = re.search(r"\d+", text.replace(",", ""))
    return int(found.group()) if found else None


def wait_for_step(page: Page, at_least: int, seconds: float = 60) -> int:
    """Wait until the live step number reaches `at_least`; the number then shown."""
    shown = """least => {
        const digits = document.querySelector('.st-key-live_step')?.textContent.replaceAll(',', '').match(/\\d+/);
        return digits && Number(digits[0]) >= least ? digits[0] : null;
    }"""
    return int(page.wait_for_function(shown, arg=at_least, timeout=1000 * seconds).json_value())


def wait_until(page: Page, happened: Callable[[], object], seconds: float = 60) -> object:
    """Wait for what only the test can see: `happened` is asked once in every frame that the page draws. Its first true answer."""
    end = time.monotonic() + seconds
    while not (found := happened()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        wait_for_frames(page)
    return found


def wait_for_frames(page: Page, n: int = 1) -> None:
    """Until the browser has drawn `n` more frames."""
    page.evaluate("async n => { for (; n; n--) await new Promise(requestAnimationFrame); }", n)


def wait_for_pictures(page: Page, n: int) -> None:
    """Until `n` more updates of a ticking page have come."""
    number = "() => globalThis.moeVizConnection?.data?.picture"
    page.wait_for_function(f"() => ({number})() !== undefined")
    page.wait_for_function(f"past => ({number})() >= past", arg=page.evaluate(number) + n, timeout=60_000)


def accessibility_faults(page: Page, context: str | None = None, **options: Any) -> list[tuple[str, list[Any]]]:
    """What axe finds serious or critical on the page, or in one part of it (`context`, a selector) once that is at rest: rule, and where.

    Axe describes violations alone: also to describe every node that passes takes it most of its time.
    """
    wait_until_at_rest(page)
    found = Axe().run(page, context=context, options={"resultTypes": ["violations"], **options}).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], [(node["target"], node["html"]) for node in fault["nodes"]]) for fault in serious]


def wait_until_at_rest(page: Page) -> None:
    """Until nothing on the page is pale because it is about to be replaced, or moves, shadow roots included."""
    page.wait_for_function(
        """() => {
            const roots = [document];
            for (const root of roots) for (const one of root.querySelectorAll('*')) if (one.shadowRoot) roots.push(one.shadowRoot);
            const moves = (one) => one.playState === 'running' && one.effect.getComputedTiming().endTime < Infinity;
            return !document.querySelector('[data-stale=true]') && !roots.some((root) => root.getAnimations().some(moves));
        }""",
        timeout=60_000,
    )


def open_list(page: Page, key: str) -> None:
    """Open the list of a select box. It closes when what it stands in scrolls, so that is done, and heard of by the page, before the click."""
    field = page.locator(f".st-key-{key} input").first
    field.scroll_into_view_if_needed()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    field.click()

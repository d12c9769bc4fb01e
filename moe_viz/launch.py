"""How the lab is started, whoever starts it: `python -m moe_viz serve`, and with it `make run`, the Docker image, tests and benchmarks.

Its Streamlit settings are data here, not a file beside the code, because an installed package brings no such file. A user's own
`STREAMLIT_...` variables and flags (`--server.port=8600`) are stronger.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from moe_viz import logs, paths, settings

SCRIPT = paths.ROOT / "app.py"
TRIED = "1.67"
"""The version of Streamlit whose private parts we use (`moe_viz/ui/server/streamlit_patches/`)."""
SOURCES = (
    paths.ROOT / "app.py",
    paths.ROOT / "pages",
    paths.PACKAGE,
    paths.ASSETS / "components",
    paths.ASSETS / "locale",
)
"""What `make dev` watches. Never the whole folder: with `.venv` in it, as Streamlit's own watcher does, a page costs ten times as much."""
LOOK_S = 0.5

LIGHT = {
    "primaryColor": "#0b6fa4",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f4f6f8",
    "textColor": "#1c2430",
    "borderColor": "#d9dfe5",
}
DARK = {
    "primaryColor": "#58b4e8",
    "backgroundColor": "#11161c",
    "secondaryBackgroundColor": "#1a222b",
    "textColor": "#e6ebf0",
    "borderColor": "#2e3945",
}
STREAMLIT: dict[str, Any] = {
    # MB: one uploaded file, one message to the page, and all that a page may send of its widgets (a few kB in use)
    "server.maxUploadSize": 12,
    "server.maxMessageSize": 32,
    "server.maxWidgetStateSize": 1,
    # bytes: no message is kept by the page to be named by its hash later. What a request says the page holds can be gone before the answer
    # comes, and then the page is cut off for good (pressed fast, one time in about thirty).
    "global.minCachedMessageSize": 1e9,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    # Without it, pages advertise files for programming assistants to whoever has some, over what the reader looks at. The welcome of a
    # headless server asks a service outside for this machine's address, only to print it; the lab prints its own.
    "server.headless": True,
    "logger.hideWelcomeMessage": True,
    "browser.gatherUsageStats": False,
    # Streamlit otherwise collects garbage after every fragment run, which costs more than drawing the page
    # (measured: 43.8 against 5.8 CPU-ms an update). The app collects on a slow timer instead.
    "runner.postScriptGC": False,
    "runner.fastReruns": True,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "theme.font": "sans-serif",
    "theme.baseRadius": "medium",
    **{f"theme.light.{word}": colour for word, colour in LIGHT.items()},
    **{f"theme.dark.{word}": colour for word, colour in DARK.items()},
}


class OtherStreamlit(ImportError):
    """A version of Streamlit that has not been tried; the message says what to install."""


def refuse_other_streamlit(found: str | None = None) -> None:
    """Raises OtherStreamlit, in one sentence, where the installed version (or `found`) is not the one that was tried."""
    found = found or version("streamlit")
    if found.split(".")[:2] != TRIED.split("."):
        raise OtherStreamlit(
            f"it works with Streamlit {TRIED}, but {found} is installed; `python -m pip install 'streamlit~={TRIED}.0'` brings the right one"
        )


def streamlit_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every Streamlit option that the lab is served with, by its dotted name. given: those that the user has set, which win."""
    chosen = STREAMLIT | dict(given)
    if not chosen["logger.hideWelcomeMessage"]:
        chosen.setdefault("browser.serverAddress", "localhost")  # then it asks nobody
    return chosen


def flags(chosen: Mapping[str, Any] = STREAMLIT) -> list[str]:
    """The same as flags of `streamlit run`, for a script that is not the lab."""
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in chosen.items()]


def serve(arguments: Sequence[str] = ()) -> int:
    """Serve the lab until it is stopped. arguments: flags of `streamlit run`. Returns the exit code."""
    try:
        refuse_other_streamlit()
    except OtherStreamlit as error:
        print(f"moe_viz cannot start: {error}.", file=sys.stderr)
        return 2
    if not settings.come_with_streamlit():
        _start_training()

    # imported late: the command line loads Streamlit for this alone, and the training process loads torch meanwhile
    from moe_viz.ui.server import streamlit_patches

    given = streamlit_patches.options_given(arguments)
    streamlit_patches.set_options(streamlit_settings(given))

    import moe_viz.ui.lab.page  # noqa: F401  (or its first reader would wait for what it loads; other pages need little more)
    from moe_viz.ui.server import lifecycle

    return streamlit_patches.run(lifecycle.app(SCRIPT))


def _start_training() -> None:
    """Start the training process, which takes longer to be ready than the server. Ends the process where a setting is refused."""
    chosen = settings.settings_or_exit()
    logs.start("web", chosen.log_level, chosen.log_format)

    from moe_viz.engine.client import engine

    engine()


def serve_and_reload(arguments: Sequence[str] = ()) -> int:
    """Serve the lab in a process of its own, anew after each change of a source file. Open pages come back by themselves."""
    while True:
        lab = subprocess.Popen([sys.executable, "-m", "moe_viz", "serve", *arguments])
        seen = dict(sources())
        try:
            while dict(sources()) == seen:  # also after a mistake has ended it: the next change mends that
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            return 0
        finally:
            lab.terminate()
            lab.wait()


def sources(places: Sequence[Path] = SOURCES) -> Iterator[tuple[str, int]]:
    """Each source file below these places and when it was last written, in ns."""
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if "__pycache__" not in path.parts and path.is_file():
                yield str(path), path.stat().st_mtime_ns

"""How the lab is started, whoever starts it: `python -m moe_viz serve`, and with it `make run`, the Docker image, tests and benchmarks.

Its Streamlit settings are data here, not a file beside the code, because an installed package brings no such file. A user's own
`STREAMLIT_...` variables and flags (`--server.port=8600`) are stronger.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moe_viz.settings import settings_or_exit

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "app.py"
SOURCES = ("app.py", "pages", "moe_viz", "assets/components", "assets/locale")
"""What `make dev` watches. Never the whole folder: Streamlit's own watcher takes `.venv` along, and a page then costs ten times as much."""
LOOK_S = 0.5
CHANGED = 64
"""Exit code of no lab: the one that runs was stopped because a source file has changed."""

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
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    "browser.gatherUsageStats": False,
    # Streamlit otherwise collects garbage after every fragment run, which costs more than drawing the page
    # (measured: 43.8 against 5.8 CPU-ms an update). The app collects on a slow timer instead.
    "runner.postScriptGC": False,
    "runner.fastReruns": True,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "theme.font": "sans-serif",
    "theme.baseRadius": "medium",
    **{f"theme.light.{word}": colour for word, colour in LIGHT.items()},
    **{f"theme.dark.{word}": colour for word, colour in DARK.items()},
}


def streamlit_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every Streamlit option that the lab is served with, by its dotted name. given: those that the user has set, which win."""
    chosen = STREAMLIT | dict(given)
    if chosen.get("server.headless"):
        # otherwise Streamlit asks a service outside for this machine's address, only to print it
        chosen.setdefault("browser.serverAddress", "localhost")
    return chosen


def flags(chosen: Mapping[str, Any] = STREAMLIT) -> list[str]:
    """The same as flags of `streamlit run`, for a script that is not the lab."""
    return [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in chosen.items()]


def serve(arguments: Sequence[str] = ()) -> int:
    """Serve the lab until it is stopped. arguments: flags of `streamlit run`. Returns the exit code."""
    # Imported late: the settings speak first, and the command line does not load Streamlit for its other commands.
    from moe_viz.ui.server import streamlit_patches

    given = streamlit_patches.options_given(arguments)
    streamlit_patches.set_options(streamlit_settings(given))
    settings_or_exit()

    from moe_viz.ui.server import lifecycle

    return streamlit_patches.run(lifecycle.app(SCRIPT))


def serve_and_reload(arguments: Sequence[str] = ()) -> int:
    """Serve the lab in a process of its own, anew after each change of a source file. Open pages come back by themselves."""
    command = [sys.executable, "-m", "moe_viz", "serve", *arguments]
    while True:
        lab, seen = subprocess.Popen(command), dict(sources())
        try:
            while lab.poll() is None and dict(sources()) == seen:
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            return lab.wait()  # Ctrl-C of the terminal reaches both
        if lab.poll() is not None and dict(sources()) == seen:
            return lab.returncode
        lab.terminate()
        lab.wait()


def sources(root: Path = ROOT) -> Iterator[tuple[str, int]]:
    """Each source file below `SOURCES` and when it was last written, in ns."""
    for name in SOURCES:
        place = root / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if "__pycache__" not in path.parts and path.is_file():
                yield str(path), path.stat().st_mtime_ns

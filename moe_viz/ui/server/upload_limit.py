"""A bound on the files that one session may hold in the web process: Streamlit limits the size of each, but not how many there are."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.responses import PlainTextResponse

from moe_viz.ui.server.streamlit_patches import files_held

MOST_FILES = 3
"""Of one session at once, those on their way included; the page takes one picture or one saved run at a time and lets the last one go."""
PATH = "/_stcore/upload_file/"


class FewFiles:
    """ASGI middleware: answers 429 to a file too many."""

    def __init__(self, app: Any):
        self._app = app
        self._coming: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "PUT" or PATH not in path:
            return await self._app(scope, receive, send)
        session = path.rpartition(PATH)[2].partition("/")[0]
        if files_held(session) + self._coming[session] >= MOST_FILES:
            return await PlainTextResponse("Too many files", status_code=429)(scope, receive, send)
        self._coming[session] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming[session] -= 1
            self._coming += Counter()  # forgets the zeros

"""The HTML that Streamlit's frontend starts in, with our name, our icon, where the server is, and how its history is kept.

Streamlit's own page carries its icon and name until the first run of the script has been drawn, and looks for the server below the page's own
address first (`/gates/_stcore/health`): two answers 404 and one more round trip at every start on a page other than the lab.
"""

from __future__ import annotations

import asyncio
import base64
import json
from functools import cache

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from moe_viz import paths
from moe_viz.settings import settings
from moe_viz.ui.i18n import LANGUAGES
from moe_viz.ui.server import first_picture, streamlit_patches
from moe_viz.ui.session.permalink import is_bare
from moe_viz.ui.session.run_cookie import COOKIE, read

ICON = paths.ASSETS / "icon.svg"
"""Of the browser's tab: ours, because Streamlit's named icons are asked from a service outside for this place."""
WHERE = """<script>
  {
    const path = location.pathname.replace(/[/]+$/, ""), page = new RegExp("/(" + %s.join("|") + ")$");
    window.__streamlit = { BACKEND_BASE_URL: location.origin + (path === %s ? path : path.replace(page, "")) + "/" };
  }
</script>"""
"""Works below any path, also one that a proxy takes away: what is left of the address without the page's name."""

HISTORY = paths.ASSETS / "history.js"
"""Stands in the page itself: it has to be there before the frontend writes its first address."""


def pages() -> list[str]:
    """Names of the pages in the address, the lab's included."""
    return sorted(path.stem for path in (paths.ROOT / "pages").glob("*.py"))


def html(prefix: str = "", language: str = "en") -> str:
    """The page in one language, for a server below this path prefix ("" or "/moe"). Raises ValueError where Streamlit's page is not as it was tried."""
    icon = "data:image/svg+xml;base64," + base64.b64encode(ICON.read_bytes()).decode()
    where = WHERE % (json.dumps(pages()), json.dumps(prefix))
    history = f"<script>\n{HISTORY.read_text(encoding='utf-8')}</script>"
    changes = {
        'href="./favicon.png"': f'href="{icon}"',
        "<title>Streamlit</title>": f"<title>moe_viz</title>\n    {where}\n    {history}",
        '<html lang="en">': f'<html lang="{language}">',
    }
    found = streamlit_patches.index_html()
    for old, new in changes.items():
        if found.count(old) != 1:
            raise ValueError(f"Streamlit's page has {old!r} {found.count(old)} times")
        found = found.replace(old, new)
    return found


@cache
def lab_html(prefix: str, language: str, calm: bool) -> str:
    """The lab's page: it has the recorded picture at once. Where a passphrase is asked first, nothing stands before that."""
    page = html(prefix, language)
    if settings().passphrase:
        return page
    head, body, rest = page.partition("<body>")
    return f"{head}{body}\n{first_picture.html(language, calm)}{rest}"


def asked(request: Request) -> str:
    """The language that an address asks for; English where it names none of ours."""
    language = request.query_params.get("lang", "en")
    return language if language in LANGUAGES else "en"


def headers() -> dict[str, str]:
    """Of our pages: they may change, and only the sites of `MOE_VIZ_EMBED` may frame them, where that names any."""
    sites = settings().embed
    framing = {"Content-Security-Policy": f"frame-ancestors 'self' {sites}"} if sites else {}
    return {"Cache-Control": "no-cache", **framing}


def routes(prefix: str = "") -> list[Route]:
    """That page at the address of each of ours."""
    contents = {language: html(prefix, language) for language in LANGUAGES}

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(contents[asked(request)], headers=headers())

    async def lab(request: Request) -> HTMLResponse:
        calm = is_bare(request.query_params) and not read(request.cookies.get(COOKIE, ""))
        found = await asyncio.to_thread(lab_html, prefix, asked(request), calm)
        return HTMLResponse(found, headers=headers())

    places = [f"{prefix}/", *([prefix] if prefix else []), f"{prefix}/lab"]
    others = [f"{prefix}/{name}" for name in pages() if name != "lab"]
    return [*(Route(place, lab) for place in places), *(Route(place, page) for place in others)]

"""What the web server does beside showing pages: start and end in order, and tell a load balancer or container how it is.

`app` is Streamlit's own server object with these, served by `moe_viz.launch`; `app.py` makes the same for hosts that call `streamlit run`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from moe_viz import __version__, launch, logs
from moe_viz.engine.client import engine
from moe_viz.engine.health import vitals
from moe_viz.engine.protocol import EngineError, WorkerLost
from moe_viz.settings import settings, settings_or_exit, unknown_variables
from moe_viz.ui.server import errors, front_page, gc_timer, streamlit_patches, upload_limit
from moe_viz.ui.session.recorded import recorded

log = logging.getLogger(__name__)

PATIENCE_S = 3.0
"""A worker that has not answered for so long counts as silent: a step of the largest model takes well under a second."""


def app(script: Path) -> st.App:
    """The server of the lab. Ends the process where a setting is refused."""
    return st.App(script, **parts())


def started_by_streamlit() -> dict[str, Any]:
    """`parts()`, and what `moe_viz.launch` would have set, where `streamlit run app.py` has started the process."""
    streamlit_patches.set_options_left_open(launch.STREAMLIT)
    return parts()


def parts() -> dict[str, Any]:
    """What `st.App` is given beside its script."""
    streamlit_patches.no_automatic_pages()
    streamlit_patches.guard()
    return {
        "lifespan": lifespan,
        "routes": [*routes(), *front_page.routes(_prefix())],
        "middleware": [Middleware(upload_limit.FewFiles)],
        "on_script_error": errors.say,
    }


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """From the start of the server to its end. The training process starts with it, so that it is warm when the first reader comes."""
    chosen = settings()
    logs.start("web", chosen.log_level, chosen.log_format)
    for name in unknown_variables():
        logs.event(log, "unknown_variable", logging.WARNING, name=name)
    logs.event(log, "server_started", version=__version__, **chosen.model_dump(mode="json", exclude={"passphrase"}))
    await asyncio.to_thread(engine)
    await asyncio.to_thread(warm)  # the training process needs longer anyway
    print(f"The lab is open at {' and '.join(streamlit_patches.addresses())}", flush=True)
    yield {}
    logs.event(log, "server_stopping")
    await asyncio.to_thread(engine().close)
    logs.event(log, "server_stopped")


def warm() -> None:
    """Load the recorded picture, which the first reader would wait for, and leave what is loaded by now to no collection of garbage."""
    recorded()
    gc_timer.start()


def routes() -> list[Route]:
    """`/healthz`, and the same below the path prefix where there is one. Ends the process where a setting is refused."""
    st.secrets.load_if_toml_exists()  # hosts without environment variables: Streamlit makes some of its secrets
    settings_or_exit()
    paths = dict.fromkeys(["/healthz", f"{_prefix()}/healthz"])
    return [Route(path, healthz) for path in paths]


def _prefix() -> str:
    """The path below which the lab is served: "" or "/moe"."""
    prefix = st.get_option("server.baseUrlPath").strip("/")
    return f"/{prefix}" if prefix else ""


async def healthz(request: Request) -> JSONResponse:
    """200 while the worker trains or starts, 503 where it is gone or silent; both as JSON. Says nothing about runs."""
    found = await health()
    return JSONResponse(found, status_code=200 if found["status"] in ("ok", "starting") else 503)


async def health() -> dict[str, Any]:
    """How web server and training process are. status: ok, starting, silent, or lost: it died and is being started again, because a balancer
    that sends no reader to a sick server would otherwise wait for ever."""
    web = vitals()
    found: dict[str, Any] = {"status": "ok", "version": __version__, "web": {k: web[k] for k in ("rss_mb", "uptime_s")}}
    try:
        asked = await asyncio.wait_for(asyncio.shield(_question()), PATIENCE_S)
    except TimeoutError:
        return found | {"status": "silent"}
    except WorkerLost:
        return found | {"status": "lost"}
    except EngineError:
        return found | {"status": "silent"}
    return found | ({"status": "starting"} if asked is None else {"worker": asked})


_asking: asyncio.Future[dict[str, Any] | None] | None = None


def _question() -> asyncio.Future[dict[str, Any] | None]:
    """One question to the worker at a time, however many ask for it: a flood of health checks costs one waiting thread."""
    global _asking
    if _asking is None or _asking.done():
        _asking = asyncio.ensure_future(asyncio.to_thread(_worker))
    return _asking


def _worker() -> dict[str, Any] | None:
    """Totals of the training process; None while it starts."""
    try:
        if not engine().ready():
            return None
    except WorkerLost:
        engine().revive()
        raise
    status = engine().status()
    return {name: status[name] for name in ("rss_mb", "uptime_s", "active", "max_runs", "steps_per_second")}

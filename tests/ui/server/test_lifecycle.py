"""What is served beside the pages: the health answer in every state of the worker, and an orderly start and end."""

import asyncio
import json
import logging
import re
import threading

import pytest

from moe_viz.engine.protocol import EngineError, WorkerLost
from moe_viz.ui.server import front_page, lifecycle, streamlit_patches
from tests.test_house import ROOT

STATUS = {
    "rss_mb": 380.0,
    "uptime_s": 5.0,
    "active": 2,
    "max_runs": 64,
    "steps_per_second": 9.5,
    "runs": {"secret": {}},
}


class Engine:
    """Answers `status` with a value or an error, perhaps late; counts."""

    def __init__(self, answer=None, started=True, wait=None):
        self.answer, self.started, self.wait, self.asked, self.closed = answer, started, wait, 0, False
        self.revived = False

    def ready(self):
        if isinstance(self.answer, WorkerLost) and not self.revived:
            raise self.answer
        return self.started and not self.revived

    def revive(self):
        self.revived = True

    def status(self):
        self.asked += 1
        if self.wait:
            self.wait.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.closed = True


@pytest.fixture
def engine(monkeypatch):
    """Put an engine in the place of the server's."""

    def use(**values):
        found = Engine(**values)
        monkeypatch.setattr(lifecycle, "engine", lambda: found)
        monkeypatch.setattr(lifecycle, "_asking", None)
        return found

    return use


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({"answer": STATUS}, "ok", 200),
        ({"started": False}, "starting", 200),
        ({"answer": WorkerLost("gone")}, "lost", 503),
        ({"answer": EngineError("late")}, "silent", 503),
    ],
)
def test_health_in_every_state(engine, values, status, code):
    engine(**values)
    answer = asyncio.run(lifecycle.healthz(None))
    said = json.loads(answer.body)
    assert (said["status"], answer.status_code) == (status, code) and said["web"]["rss_mb"] > 10
    assert "secret" not in answer.body.decode()
    assert ("worker" in said) == (status == "ok")


def test_a_silent_worker_is_asked_once_however_many_want_to_know(engine, monkeypatch):
    monkeypatch.setattr(lifecycle, "PATIENCE_S", 0.2)
    late = threading.Event()
    found = engine(answer=STATUS, wait=late)

    async def many():
        answers = await asyncio.gather(*(lifecycle.health() for _ in range(50)))
        late.set()
        return answers

    assert {answer["status"] for answer in asyncio.run(many())} == {"silent"}
    assert found.asked == 1


def test_asking_starts_a_lost_worker_again(engine):
    found = engine(answer=WorkerLost("gone"))
    assert asyncio.run(lifecycle.healthz(None)).status_code == 503 and found.revived
    answer = asyncio.run(lifecycle.healthz(None))
    assert answer.status_code == 200 and json.loads(answer.body)["status"] == "starting"


@pytest.mark.parametrize(("prefix", "paths"), [("", ["/healthz"]), ("/moe/", ["/healthz", "/moe/healthz"])])
def test_health_is_also_below_the_path_prefix(monkeypatch, prefix, paths):
    monkeypatch.setattr(lifecycle.st, "get_option", lambda name: prefix)
    assert [route.path for route in lifecycle.routes()] == paths


def test_start_and_end_are_logged_and_the_worker_is_stopped(engine, monkeypatch, caplog):
    monkeypatch.setenv("MOE_VIZ_PASSPHRASE", "open sesame")
    monkeypatch.setenv("MOE_VIZ_MAX_RUN", "3")
    monkeypatch.setattr(lifecycle.logs, "start", lambda *_: None)
    found = engine()

    async def whole():
        async with lifecycle.lifespan(None):
            assert not found.closed

    with caplog.at_level(logging.INFO, "moe_viz"):
        asyncio.run(whole())
    assert found.closed
    assert [record.msg for record in caplog.records] == [
        "unknown_variable",
        "server_started",
        "server_stopping",
        "server_stopped",
    ]
    assert "sesame" not in str([vars(record) for record in caplog.records])


def test_streamlits_page_carries_our_name_and_icon_at_every_address_of_ours():
    found = front_page.html("/moe")
    assert "<title>moe_viz</title>" in found and "favicon.png" not in found and "data:image/svg+xml;base64," in found
    assert found.index("window.__streamlit") < found.index('<script type="module"'), "known before the frontend begins"
    names = set(re.findall(r'st\.Page\("pages/(\w+)\.py"', (ROOT / "app.py").read_text(encoding="utf-8")))
    assert names <= set(front_page.pages())
    assert {route.path for route in front_page.routes("/moe")} >= {"/moe", "/moe/", *(f"/moe/{name}" for name in names)}


def test_another_page_of_streamlit_is_refused(monkeypatch):
    monkeypatch.setattr(streamlit_patches, "index_html", lambda: "<title>Streamlit</title>")
    with pytest.raises(ValueError, match=r"favicon\.png"):
        front_page.html()

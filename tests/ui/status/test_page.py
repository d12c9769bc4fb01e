"""The status page: what the engine says in numbers, nothing that opens a run, and calm words while the worker is away."""

import secrets

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.engine.health import machine, versions, vitals
from moe_viz.engine.protocol import EngineError, WorkerLost
from moe_viz.ui.status import page as status

RUN = {
    "task": "domains",
    "router": "switch",
    "state": "running",
    "step": 1234,
    "playing": True,
    "active": True,
    "unread_s": 0.2,
    "steps_per_second": 12.5,
    "ms_per_step": 8.0,
}


class Engine:
    """Answers like one whose runs have these states."""

    def __init__(self, folder, runs=(), error=None, started=True):
        self.folder, self.error, self.started = folder, error, started
        self.runs = {secrets.token_urlsafe(16)[:6]: RUN | run for run in runs}

    def ready(self):
        if self.error:
            raise self.error
        return self.started

    def status(self):
        active = [run for run in self.runs.values() if run["active"]]
        return {
            "runs": self.runs,
            "active": len(active),
            "max_runs": 64,
            "steps_per_second": sum(run["steps_per_second"] for run in active),
            "machine": machine(self.folder),
            "versions": versions(),
            "accelerators": ["NVIDIA A100"],
            "pid": 1,
            "rss_mb": 1500.4,
            "uptime_s": 100_000.0,
        }


def page(monkeypatch, found):
    monkeypatch.setattr(status, "engine", lambda: found)
    at = AppTest.from_file("../../../pages/status.py", default_timeout=30).run()
    assert not at.exception
    return at, [text.value for kind in (at.markdown, at.caption, at.subheader) for text in kind]


def test_shows_totals_and_every_run_without_its_id(monkeypatch, tmp_path):
    slow = {"steps_per_second": 5.0}
    idle = {"active": False, "playing": True, "steps_per_second": 0.0, "ms_per_step": None}
    found = Engine(tmp_path, [{}, slow, idle, idle | {"playing": False}, idle | {"state": "diverged"}])
    at, said = page(monkeypatch, found)
    text = "\n".join(said)
    assert {"2", "5 of 64", "17.5"} <= set(said) and "5.0 to 12.5 per run" in said
    assert "1\u202f500 MiB" in text and "1 d 3 h" in text and "NVIDIA A100" in text
    frame = at.dataframe[0].value
    assert list(frame["State"]) == ["trains", "trains", "unread, waits", "paused", "diverged"]
    assert set(frame["ms per step"]) <= {"8.0", "–"}
    assert list(frame["Gate"].unique()) == ["Switch"] and list(frame["Step"].unique()) == [1234]
    shown = text + frame.to_string()
    assert not [run for run in found.runs if run in shown]


def test_every_worker_of_a_cluster_has_its_line(monkeypatch, tmp_path):
    found = Engine(tmp_path, [{}])
    whole = found.status() | {
        "workers": [{"host": host, "rss_mb": 400.0, "uptime_s": 60.0} for host in ("alpha", "beta", "beta")]
    }
    found.status = lambda: whole
    _, said = page(monkeypatch, found)
    text = "\n".join(said)
    assert text.count("Training on beta") == 2 and "Training on alpha" in text and "Together" not in text
    assert "per run" not in text


@pytest.mark.parametrize(
    ("error", "started", "word"),
    [
        (None, False, "is starting"),
        (WorkerLost("gone"), True, "has stopped"),
        (EngineError("late"), True, "does not answer in time"),
    ],
)
def test_says_calmly_how_a_worker_is_that_does_not_answer(monkeypatch, tmp_path, error, started, word):
    _, said = page(monkeypatch, Engine(tmp_path, error=error, started=started))
    assert any(word in text for text in said) and "–" in said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (5, "5 s"), (61, "1 min"), (3_700, "1 h 1 min"), (3 * 86_400 + 7_200, "3 d 2 h")],
)
def test_times_in_words(seconds, text):
    assert status.duration(seconds) == text


def test_vitals_are_those_of_this_process(tmp_path):
    import os

    import psutil

    assert vitals()["pid"] == os.getpid()
    assert vitals()["rss_mb"] == pytest.approx(psutil.Process().memory_info().rss / 2**20, rel=0.1)
    assert 0 < machine(tmp_path)["disk_free"] <= machine(tmp_path)["disk_total"]

"""A page that ticks four times a second asks about its reader's text or picture once, not four times a second."""

from types import SimpleNamespace

import pytest

from moe_viz.engine.protocol import EngineError, InputRefused, Update, WorkerLost
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import RunConfig
from moe_viz.ui.lab import own_image, own_input, own_text
from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun

ID = "r" * 32


class Engine:
    """Answers by what it is given, and counts."""

    def __init__(self):
        self.asked = []

    def route_image(self, run_id, data):
        self.asked.append((run_id, data))
        if data == b"unreadable":
            raise InputRefused("This is no picture.")
        if data == b"late":
            raise EngineError("not answered for 20 s")
        return [data], "seen"

    def route_text(self, run_id, text):
        self.asked.append((run_id, text))
        return [text]


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    said = SimpleNamespace(session_state={}, error=lambda text, icon: None, info=lambda text: None)
    for module in (own_image, own_text, own_input):
        monkeypatch.setattr(module, "st", said)
    monkeypatch.setattr(watched, "engine", lambda: engine)
    return engine


@pytest.fixture
def run():
    run = SessionRun(RunConfig(task="digits"), run_id=ID)
    at(run, 1)
    return run


def at(run, step, epoch=0, **config):
    snapshot = Snapshot(step, run.config.model_copy(update=config).flat(), {}, [], "running", "")
    run.latest = Update(snapshot, None, True, epoch)


def test_an_unreadable_picture_is_sent_once(engine, run):
    for step in range(5):
        at(run, step)
        assert own_image._routed(run, b"unreadable") is None
    assert engine.asked == [(ID, b"unreadable")]
    assert own_image._routed(run, b"another") == ([b"another"], "seen")
    own_image._routed(run, b"unreadable")
    assert len(engine.asked) == 3


def test_an_input_is_asked_again_only_when_the_run_has_moved(engine, run):
    for _ in range(3):
        assert own_image._routed(run, b"cat") == ([b"cat"], "seen") and own_text._routed(run, "a cat") == ["a cat"]
    assert len(engine.asked) == 2
    at(run, 2)
    own_image._routed(run, b"cat")
    at(run, 2, epoch=1)
    own_image._routed(run, b"cat")
    assert len(engine.asked) == 4


def test_other_settings_or_another_run_are_asked_anew(engine, run):
    own_image._routed(run, b"unreadable")
    at(run, 1, lr=0.05)
    own_image._routed(run, b"unreadable")
    run.run_id = "s" * 32
    own_image._routed(run, b"unreadable")
    assert [run_id for run_id, _ in engine.asked] == [ID, ID, "s" * 32]


def test_what_is_no_fault_of_the_input_is_tried_again(engine, run, monkeypatch):
    own_image._routed(run, b"late")
    own_image._routed(run, b"late")
    assert len(engine.asked) == 2

    def lost(run_id, data):
        raise WorkerLost("gone")

    lost.__name__ = "route_image"
    monkeypatch.setattr(engine, "route_image", lost)
    assert own_image._routed(run, b"cat") is None and run.lost


def test_before_anything_was_read_nothing_is_taken_for_unchanged(engine, run):
    run.latest = None
    for _ in range(2):
        own_text._routed(run, "a cat")
    assert len(engine.asked) == 2

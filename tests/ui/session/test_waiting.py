"""A full server as its readers meet it: the place in line, entering by itself, and what was pressed meanwhile."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import Full
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.admission import REST_S
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets.messages import place_in_line
from tests.clock import Clock
from tests.engine.fake import FakeTrainer

NAMELESS = SimpleNamespace(keep=lambda *_a, **_k: None, forget=lambda *_a: None)


class Reader(SessionRun):
    """A page without a browser: `name` is its session's token."""

    name = ""

    def _begin(self):
        self.begin(watched.engine(), self.name)
        return True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reader(tmp_path, monkeypatch, clock):
    """reader(name) -> a page of a server that has room for one run."""
    host = Host(FakeTrainer, RunStore(tmp_path / "runs"), Limits(max_runs=1), clock=clock, cpu_clock=clock)
    host.ready, host.revive = (lambda: True), (lambda: None)
    monkeypatch.setattr(watched, "engine", lambda: host)
    monkeypatch.setattr(watched, "remembered", lambda: NAMELESS)

    def make(name):
        page = Reader(RunConfig(task="clusters"))
        page.name = name
        return page

    make.host = host
    return make


def test_the_page_says_its_place_and_enters_by_itself(reader):
    first, second, third = reader("a"), reader("b"), reader("c")
    assert first.poll() and not second.poll() and not third.poll()
    assert (second.waiting.position, third.waiting.position) == (1, 2)
    assert third.tick_s(0.25, 2.0) == 2.0, "a page in line asks calmly"
    reader.host.release(first.run_id)
    assert not third.poll() and third.waiting.position == 2
    assert second.poll() and second.waiting is None
    assert not third.poll() and third.waiting.position == 1


def test_what_was_pressed_in_line_is_done_in_order_once_there_is_room(reader, clock):
    first, second = reader("a"), reader("b")
    assert first.poll()
    first.toggle()
    for _ in range(round(REST_S) + 2):
        clock.now += 1
        assert first.poll() and not first.latest.playing, "the paused page shows its run all the time"
        second.poll()
    assert second.run_id and second.waiting is None, "the paused run made room"
    first.turn(balance_coef=0.5)
    first.toggle()
    assert first.waiting.position == 1 and first.playing and first.config.balance_coef == 0.5
    assert first.poll() and first.playing, "not undone by what the resting run still shows"
    reader.host.release(second.run_id)
    update = first.poll()
    assert first.waiting is None and update.playing and update.snapshot.config["balance_coef"] == 0.5


SCRIPT = """
import streamlit as st
from types import SimpleNamespace
from moe_viz.engine.protocol import Full
from moe_viz.ui.widgets.messages import tell

st.session_state.setdefault("chosen_language", "{language}")
full = Full("The server is full: {{count}} runs are training. You are number {{position}} in line.", count=30, position=3, wait_s={wait_s})
tell(SimpleNamespace(notices=[], waiting=full, changed=False, lost=False, refused=None))
"""


@pytest.mark.parametrize(
    ("language", "wait_s", "words"),
    [
        ("en", 130.0, ["30 runs are training", "number 3 in line", "about 2 min", "enters by itself"]),
        ("en", None, ["number 3 in line. Leave"]),
        ("ru", 50.0, ["очереди: 3", "минуту"]),
    ],
)
def test_the_place_is_said_in_plain_words(language, wait_s, words):
    at = AppTest.from_string(SCRIPT.format(language=language, wait_s=wait_s)).run()
    assert not at.exception
    assert [word for word in words if word not in at.info[0].value] == []


def test_a_wait_of_unknown_length_is_not_guessed():
    full = Full("You are number {position} in line.", position=1, wait_s=None)
    assert "min" not in place_in_line(full)

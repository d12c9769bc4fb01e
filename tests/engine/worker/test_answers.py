"""What a reader has given is worked on once: the same text or picture comes again with every look of a page."""

import pytest

from moe_viz.engine.protocol import EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.answers import MOST
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from tests.engine.fake import FakeTrainer


class Reading(FakeTrainer):
    """Tells what it was asked to work on, in order."""

    worked: list = []

    def route_text(self, text):
        self.worked.append(text)
        if not text:
            raise ValueError("nothing to route")
        if text == "break":
            raise RuntimeError("boom")
        return [text, self.step_number]

    def route_image(self, data):
        self.worked.append(data)
        if data.startswith(b"bad"):
            raise ValueError("no picture")
        return [data, self.step_number]


@pytest.fixture
def host(tmp_path):
    Reading.worked = []
    return Host(Reading, RunStore(tmp_path))


@pytest.fixture
def run(host):
    return host.open(RunConfig(task="clusters"), playing=False)


def refused(host, run, data):
    with pytest.raises(EngineError) as error:
        host.route_image(run, data)
    return str(error.value)


def test_an_unreadable_picture_is_read_once_also_while_the_run_trains(host, run):
    for _ in range(5):
        assert refused(host, run, b"bad") == "no picture"
        host.step_once(run)
    assert Reading.worked == [b"bad"]
    assert host.read(run).snapshot.state != "failed"


def test_an_input_is_worked_on_once_for_each_moment_of_the_run(host, run):
    for _ in range(3):
        assert host.route_text(run, "a cat") == ["a cat", 0] and host.route_image(run, b"a cat") == [b"a cat", 0]
    assert Reading.worked == ["a cat", b"a cat"]
    host.step_once(run)
    assert host.route_text(run, "a cat") == ["a cat", 1]
    host.reset(run)
    assert host.route_text(run, "a cat") == ["a cat", 0]
    assert Reading.worked == ["a cat", b"a cat", "a cat", "a cat"]


def test_a_knob_may_make_an_input_readable(host, run):
    refused(host, run, b"bad")
    host.set(run, lr=0.01)
    refused(host, run, b"bad")
    assert Reading.worked == [b"bad"] * 2


def test_an_error_of_the_run_is_not_an_answer(host, run):
    for _ in range(2):
        with pytest.raises(EngineError, match="RuntimeError"):
            host.route_text(run, "break")
        host.play(run, True)
        host.play(run, False)
    assert Reading.worked == ["break"] * 2


def test_few_answers_are_kept_and_none_of_another_run(host, run):
    texts = [str(n) for n in range(3 * MOST)]
    for text in texts:
        host.route_text(run, text)
    assert len(host._runs[run].answers._answers) == MOST
    host.route_text(host.open(RunConfig(task="clusters", seed=1)), texts[-1])
    assert Reading.worked == [*texts, texts[-1]]


def test_what_is_neither_text_nor_bytes_is_the_callers_fault(host, run):
    with pytest.raises(TypeError):
        host.route_image(run, 7)
    assert host.read(run).snapshot.state != "failed" and Reading.worked == []

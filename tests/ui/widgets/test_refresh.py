"""How often pages tick, by how many there are, with a clock that only the test moves."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.protocol import EngineError
from moe_viz.ui.widgets.refresh import CALM_S, CALM_SHARE, GONE_S, INTERVALS, TOLERANCE, TickingPages, drawing
from tests.clock import Clock
from tests.test_house import ROOT


@pytest.fixture
def clock():
    return Clock(100.0)


@pytest.mark.parametrize("readers", [1, 4, 7, 12, 30, 60, 200])
def test_a_class_shares_the_updates(clock, readers):
    pages = TickingPages(30, clock)
    for n in range(readers):
        pages.tick(str(n), 0.25)
    interval = pages.interval(0.25)
    assert interval in INTERVALS
    assert readers / interval <= 30 + 1e-9
    assert interval == 0.25 or readers / INTERVALS[INTERVALS.index(interval) - 1] > 30, "no slower than it must be"


def test_one_reader_has_four_a_second_and_thirty_have_one(clock):
    pages = TickingPages(30, clock)
    pages.tick("one", 0.25)
    assert pages.interval(0.25) == 0.25
    for n in range(29):
        pages.tick(str(n), 0.25)
    assert pages.interval(0.25) == 1.0 and pages.interval(2.0) == 2.0


def test_seventy_paused_pages_do_not_slow_thirty_that_train(clock):
    pages = TickingPages(30, clock)
    for n in range(100):
        pages.tick(str(n), 0.25 if n < 30 else 2.0)
    assert pages.interval(0.25) == 1.0
    assert 70 / pages.interval(2.0) <= 30 * CALM_SHARE + 2 and pages.interval(2.0) > CALM_S


def test_closed_pages_are_forgotten(clock):
    pages = TickingPages(30, clock)
    for n in range(60):
        pages.tick(str(n), 0.25)
    clock.now += GONE_S + 1
    pages.tick("one", 0.25)
    assert pages.count(True) == 1 and pages.interval(0.25) == 0.25


@pytest.mark.parametrize("readers", [8, 12, 30])
def test_pages_opened_at_once_tick_one_after_another(clock, readers):
    pages = TickingPages(30, clock)
    for n in range(readers):
        pages.tick(str(n), 0.25)
    interval = pages.interval(0.25)
    places = sorted((clock.now + pages.offset(str(n), interval)) / interval % 1 for n in range(readers))
    gaps = [after - before for before, after in zip(places, [*places[1:], places[0] + 1])]
    assert max(gaps) < 2.7 / readers + TOLERANCE and sum(gap < 0.3 / readers for gap in gaps) <= readers * TOLERANCE * 2


def test_a_page_in_its_place_is_left_alone(clock):
    pages = TickingPages(30, clock)
    pages.tick("one", 0.25)
    clock.now += pages.offset("one", 1.0) or 0
    assert pages.offset("one", 1.0) == 0
    clock.now += 7.03
    assert pages.offset("one", 1.0) == 0
    clock.now += 0.5
    assert abs(pages.offset("one", 1.0)) == pytest.approx(0.47, abs=0.01)


class SlowEngine(LocalEngine):
    """The page's own client over a training process that answers when the test says so. `asked`: a question is on its way."""

    def __init__(self):
        self.asked, self.answer = threading.Event(), Future()
        started = Future()
        started.set_result({})
        process = SimpleNamespace(poll=lambda: None)
        self._worker = SimpleNamespace(process=process, started=started, send=self._send)

    def _send(self, _request):
        self.asked.set()
        return self.answer


@pytest.mark.parametrize("answer", ["a routing", EngineError("refused")])
def test_a_slow_answer_for_one_reader_keeps_nobody_else_from_drawing(answer):
    engine, drawn, found = SlowEngine(), threading.Event(), []

    def one():
        try:
            with drawing:
                found.append(engine.route_text("x" * 20, "a sentence"))
        except EngineError as error:
            found.append(error)

    def another():
        with drawing:
            drawn.set()

    first, second = threading.Thread(target=one, daemon=True), threading.Thread(target=another, daemon=True)
    first.start()
    assert engine.asked.wait(5)
    second.start()
    assert drawn.wait(5), "one reader waits for another one's answer"
    engine.answer.set_exception(answer) if isinstance(answer, EngineError) else engine.answer.set_result(answer)
    first.join(5)
    assert found == [answer]
    with drawing:  # free again
        pass


def test_drawing_is_still_one_at_a_time():
    inside = threading.Event()

    def draw():
        with drawing:
            inside.set()

    with drawing:
        thread = threading.Thread(target=draw, daemon=True)
        thread.start()
        assert not inside.wait(0.05)
    assert inside.wait(5)


def test_every_page_that_shows_what_goes_on_ticks_here_so_that_it_can_say_how_old_it_is():
    own = {
        path.parent.name for path in (ROOT / "moe_viz/ui").rglob("page.py") if "run_every" in path.read_text("utf-8")
    }
    assert own <= {"my_runs"}, "it only waits, twice at most"

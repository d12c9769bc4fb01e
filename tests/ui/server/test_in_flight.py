"""One picture at a time on the way to a browser, and presses before pictures, whatever the line is like."""

import asyncio
import json
import re

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

from moe_viz.components.connection import NAME
from moe_viz.ui.server.in_flight import FIRST_PATIENCE_S, PATIENCE_S, InFlight
from moe_viz.ui.server.streamlit_patches.requests import MOST_COUNTED, SessionRequests, painted
from tests.browser.lab import server
from tests.clock import Clock
from tests.websocket import Reader

OLD, NEW = object(), object()


def sent(flight, picture, line):
    """A whole run goes out over one line."""
    flight.begin(line)
    flight.send(picture, line)


@pytest.fixture
def clock():
    return Clock(100.0)


def test_a_picture_is_waited_for_until_the_browser_has_painted_that_very_one(clock):
    flight = InFlight(clock)
    assert not flight.waits(OLD)
    sent(flight, 7, OLD)
    assert flight.waits(OLD) and not flight.arrive(6) and not flight.arrive(None) and flight.waits(OLD)
    assert flight.arrive(7) and not flight.waits(OLD) and not flight.arrive(7)


def test_nothing_is_on_its_way_over_a_new_line(clock):
    flight = InFlight(clock)
    sent(flight, 7, OLD)
    assert not flight.waits(NEW)


def test_a_browser_that_never_answers_is_not_left_without_pictures(clock):
    flight = InFlight(clock)
    sent(flight, 7, OLD)
    clock.now += FIRST_PATIENCE_S
    assert not flight.waits(OLD)
    sent(flight, 8, OLD)
    flight.arrive(8)
    sent(flight, 9, OLD)
    clock.now += PATIENCE_S - 0.1
    assert flight.waits(OLD), "one that can answer is a slow line"
    clock.now += 0.2
    assert not flight.waits(OLD)


def test_what_was_lost_with_the_old_line_is_not_waited_for_long_on_the_new_one(clock):
    """A run that began before the line broke may end after it is back: half of its picture went out over a line that was no more."""
    flight = InFlight(clock)
    sent(flight, 7, OLD)
    flight.arrive(7)
    sent(flight, 8, NEW)
    clock.now += FIRST_PATIENCE_S + 0.1
    assert not flight.waits(NEW)
    sent(flight, 9, NEW)
    flight.arrive(9)
    sent(flight, 10, NEW)
    clock.now += FIRST_PATIENCE_S + 0.1
    assert flight.waits(NEW), "this line has answered: it is only slow"


def test_a_picture_whose_run_began_on_the_old_line_is_not_waited_for(clock):
    flight = InFlight(clock)
    flight.begin(OLD)
    flight.send(7, NEW)
    assert not flight.waits(NEW) and not flight.waits(OLD)
    sent(flight, 8, NEW)
    assert flight.waits(NEW)


def answer(number):
    return WidgetState(id=f"$$ID-1-{NAME}", json_value=json.dumps({"painted": number}))


def asked(*widgets, auto=False, fragment="f", page="lab"):
    return ClientState(
        widget_states=WidgetStates(widgets=widgets), fragment_id=fragment, page_script_hash=page, is_auto_rerun=auto
    )


def at_a_desk(*widgets):
    """One that has had a request with these widgets, and has sent picture 7 since."""
    requests = SessionRequests()
    assert requests.ask(asked(*widgets, fragment=""), None, OLD)
    sent(requests.in_flight, 7, OLD)
    return requests


def test_no_tick_is_run_while_a_picture_is_on_its_way():
    requests = at_a_desk()
    assert not requests.ask(asked(auto=True), None, OLD)
    assert requests.ask(asked(answer(7), auto=True), None, OLD), "the tick itself may bring the answer"


def test_a_press_is_run_while_a_picture_is_on_its_way():
    press = WidgetState(id="$$ID-2-play", trigger_value=True)
    assert at_a_desk().ask(asked(press, fragment=""), None, OLD)
    assert at_a_desk().ask(asked(press), None, OLD)


def test_an_answer_is_heard_and_draws_nothing():
    k = WidgetState(id="$$ID-3-k", int_value=2)
    requests = at_a_desk(k)
    assert not requests.ask(asked(k, answer(7)), None, OLD)
    assert not requests.in_flight.waits(OLD)


def test_an_answer_that_carries_a_press_or_a_turned_knob_is_run():
    turned = asked(WidgetState(id="$$ID-3-k", int_value=3), answer(7))
    assert at_a_desk(WidgetState(id="$$ID-3-k", int_value=2)).ask(turned, None, OLD)
    assert at_a_desk().ask(asked(WidgetState(id="$$ID-2-play", trigger_value=True), answer(7)), None, OLD)


def test_the_picture_of_a_page_that_is_left_is_not_waited_for():
    requests = at_a_desk()
    requests.ask(asked(fragment="", page="gates"), None, OLD)
    assert not requests.in_flight.waits(OLD)


@pytest.mark.parametrize(
    "said", ["", "[]", "{", "null", '{"painted": true}', '{"painted": "7"}', '{"painted": 7.5}', "9" * 5000]
)
def test_what_is_no_answer_is_none(said):
    assert painted(WidgetState(id=f"$$ID-1-{NAME}", json_value=said)) is None


def test_presses_are_counted_by_button_and_the_counts_are_few():
    requests = SessionRequests()
    for _ in range(3):
        requests.ask(asked(WidgetState(id="$$ID-2-play", trigger_value=True), fragment=""), None)
    assert requests.heard == {"play": 3}
    for number in range(500):
        requests.ask(asked(WidgetState(id=f"$$ID-2-b{number}", trigger_value=True), fragment=""), None)
    assert len(requests.heard) == MOST_COUNTED and "b499" in requests.heard


@pytest.fixture(scope="module")
def address():
    with server("tests/ui/server/picture_app.py", env={"MOE_VIZ_HOME": ""}) as (address, _process):
        yield address


def number(reader):
    return int(re.search(r"\d+", reader.text("picture"))[0])


def test_the_next_picture_is_sent_when_the_last_has_arrived_and_a_press_shows_at_once(address):
    async def drive():
        reader = await Reader(address, ticks=False, answers=False).open()
        await reader.until(lambda r: r.finished >= 1)
        (part,) = reader.intervals
        for arrived in (2, 3, 4):
            await reader.answer()
            await reader.rerun(part, auto=True)
            await reader.until(lambda r, n=arrived: len(r.pictures) == n)
        for _ in range(20):
            await reader.rerun(part, auto=True)
            await asyncio.sleep(0.02)  # the timer's interval
        assert len(reader.pictures) == 4, "one in flight, however often the timer asks"
        await reader.press("press")
        await reader.until(lambda r: r.text("words") == "pressed 1")
        await reader.until(lambda r: len(r.pictures) >= 5)
        assert len(reader.pictures) == 5 and not reader.errors
        await reader.close()

    asyncio.run(drive())


def test_a_new_line_gets_a_picture_at_once(address):
    async def drive():
        reader = await Reader(address, period=0.02, answers=False).open()
        await reader.until(lambda r: len(r.pictures) == 1 and r.finished == 1)
        reader.cut()
        await reader.open()
        await reader.until(lambda r: len(r.pictures) == 2, seconds=FIRST_PATIENCE_S - 2)
        await reader.close()

    asyncio.run(drive())

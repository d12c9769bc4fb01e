"""Which request of a page is answered, and what of it: ticks that are late or repeat a press, presses, turns, and Back."""

from types import SimpleNamespace

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import DoubleArray, FileUploaderState
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.state.common import WidgetMetadata
from streamlit.runtime.state.session_state import SessionState

from moe_viz.ui.server.streamlit_patches.requests import (
    CONNECTION,
    MOST_PRESSES,
    CurrentPage,
    SessionRequests,
    repeats_a_press,
)


def asked(page, fragment=""):
    return ClientState(page_script_hash=page, fragment_id=fragment)


def walk(*requests):
    here = CurrentPage()
    return [here.accepts(request) for request in requests]


def test_a_tick_of_the_page_just_left_is_dropped_and_one_of_the_new_page_is_not():
    assert walk(asked(""), asked("lab", "f"), asked("gates"), asked("lab", "f"), asked("gates", "g")) == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_going_back_at_once_lets_the_first_page_tick_again():
    assert walk(asked("lab", "f"), asked("gates"), asked("lab"), asked("gates", "g"), asked("lab", "f")) == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_a_page_opened_again_without_knowing_its_hash_is_never_shut_out():
    assert all(walk(asked("lab", "f"), asked(""), asked("lab", "f"), None, asked("lab", "f")))
    assert all(walk(asked("lab"), asked("gates"), asked(""), asked("lab", "f")))


def test_a_page_that_the_server_switched_to_may_tick():
    assert all(walk(asked("lab"), asked("lab", "f"), asked("gates", "g"), asked("gates", "g")))


def test_a_tick_with_a_press_in_it_is_left_out():
    widgets = WidgetStates(widgets=[WidgetState(id="k", int_value=2)])
    tick = ClientState(widget_states=widgets, fragment_id="f", page_script_hash="lab", is_auto_rerun=True)
    assert not repeats_a_press(tick)
    tick.widget_states.widgets.append(WidgetState(id="play", trigger_value=True))
    assert repeats_a_press(tick)
    tick.is_auto_rerun = False
    assert not repeats_a_press(tick), "a press of the reader's own"
    assert not repeats_a_press(None)


def test_a_flood_of_presses_is_not_kept():
    requests = SessionRequests()
    for number in range(500):
        widgets = WidgetStates(widgets=[WidgetState(id=f"w{number}", trigger_value=True)])
        assert requests.ask(ClientState(widget_states=widgets), SimpleNamespace(request_stop=lambda: None))
    assert len(requests._unheard_presses) == MOST_PRESSES and len(requests._reported) == 1


def test_a_request_that_has_waited_does_not_turn_back_what_others_have_set_since():
    requests, knob, press = (
        SessionRequests(),
        WidgetState(id="k", int_value=2),
        WidgetState(id="play", trigger_value=True),
    )
    of_a_part = ClientState(widget_states=WidgetStates(widgets=[knob, press]), fragment_id="f")
    waited = RerunData(widget_states=of_a_part.widget_states, fragment_id="f")
    requests.ask(of_a_part, None)
    number = requests.last_request
    assert requests.later(waited, number) is waited
    requests.ask(ClientState(fragment_id="g"), None)
    assert (
        list(requests.later(waited, number).widget_states.widgets) == [press]
        and requests.later(waited, number).fragment_id
    )
    whole = ClientState()
    requests.ask(whole, SimpleNamespace(request_stop=lambda: None))
    assert requests.later(waited, number) is None and list(whole.widget_states.widgets) == [press], "taken over"


def test_a_tick_that_is_behind_does_not_turn_back_what_back_has_undone():
    requests, knob = SessionRequests(), WidgetState(id="k", int_value=3)

    def asked(*widgets, **how):
        request = ClientState(widget_states=WidgetStates(widgets=widgets), page_script_hash="lab", **how)
        assert requests.ask(request, None)
        return [widget.id for widget in request.widget_states.widgets]

    asked(knob)
    asked(is_history_navigation=True)  # the browser tells of no widget of the page, which it empties
    assert asked(knob, fragment_id="f", is_auto_rerun=True) == []
    assert asked(WidgetState(id="k", int_value=4), fragment_id="f", is_auto_rerun=True) == ["k"]


def drawn(**places):
    """A session's state with a button `play` outside every part and a whole number `k`, which is 2; `k`: the part that it stands in."""
    state = SessionState()
    for key, kind, value in (("k", "int_value", 2), ("play", "trigger_value", False)):
        name = f"$$ID-1-{key}"
        metadata = WidgetMetadata(name, lambda said: said, lambda held: held, kind, fragment_id=places.get(key))
        state._new_widget_state.set_widget_metadata(metadata)
        state._new_widget_state.set_from_value(name, value)
    return state


ANSWER = WidgetState(id=f"$$ID-1-{CONNECTION}", json_value='{"painted": 1}')
PLAY = WidgetState(id="$$ID-1-play", trigger_value=True)


def knob(value):
    return WidgetState(id="$$ID-1-k", int_value=value)


def part(*widgets, **how):
    return ClientState(widget_states=WidgetStates(widgets=widgets), fragment_id="f", page_script_hash="lab", **how)


@pytest.mark.parametrize(
    ("widgets", "places", "whole"),
    [
        ((knob(3),), {}, True),
        ((PLAY,), {}, True),
        ((knob(3),), {"k": "g"}, True),
        ((knob(3),), {"k": "f"}, False),
        ((knob(2),), {}, False),  # the script has set it, and the browser says so for the first time
    ],
)
def test_what_is_turned_or_pressed_elsewhere_draws_the_whole_page_though_it_comes_with_a_views_answer(
    widgets, places, whole
):
    requests, request = SessionRequests(), part(ANSWER, *widgets)
    assert requests.ask(request, None, None, drawn(**places))
    assert request.fragment_id == ("" if whole else "f") and request.is_auto_rerun != whole
    assert {widget.id for widget in widgets} <= {widget.id for widget in request.widget_states.widgets}


def test_a_tick_leaves_a_turn_outside_its_part_to_the_request_that_is_about_to_be_sent_for_it():
    requests, state = SessionRequests(), drawn()
    tick = part(knob(3), is_auto_rerun=True)
    assert requests.ask(tick, None, None, state)
    assert tick.fragment_id == "f" and not tick.widget_states.widgets
    joined = part(ANSWER, knob(3))
    assert requests.ask(joined, None, None, state) and joined.fragment_id == ""
    state._new_widget_state.set_from_value("$$ID-1-k", 3)
    again = part(ANSWER, knob(3), is_auto_rerun=True)
    assert requests.ask(again, None, None, state) and again.fragment_id == "f"


def answer(number):
    return WidgetState(id=f"$$ID-1-{CONNECTION}", json_value=f'{{"painted": {number}}}')


def test_what_the_browser_says_before_it_has_got_what_back_undid_turns_nothing():
    requests, state, line = SessionRequests(), drawn(), object()
    requests.ask(ClientState(is_history_navigation=True, page_script_hash="lab"), None, line, state)
    for number in (1, 2):
        late = part(answer(number - 1), knob(3))  # 3 is what Back has undone
        requests.ask(late, None, line, state)
        assert late.fragment_id == "f" and [widget.id for widget in late.widget_states.widgets] == [
            late.widget_states.widgets[0].id
        ]
        requests.in_flight.begin(line)
        requests.in_flight.send(number, line)
    requests.ask(part(answer(2)), None, line, state)
    requests.in_flight.begin(line)
    requests.in_flight.send(3, line)
    requests.ask(part(answer(3)), None, line, state)
    turned = part(answer(4), knob(3))
    assert requests.ask(turned, None, line, state) and turned.fragment_id == "", "from then on it is the reader's turn"
    pressed = part(answer(5), PLAY)
    requests.ask(ClientState(is_history_navigation=True, page_script_hash="lab"), None, line, state)
    assert requests.ask(pressed, None, line, state) and pressed.fragment_id == "", "a press is never behind"


def reads_two(value):
    low, high = value
    return low, high


@pytest.mark.parametrize(
    ("sent", "stays"),
    [
        (WidgetState(id="$$ID-1-range", double_array_value=DoubleArray(data=[1, 2])), True),
        (WidgetState(id="$$ID-1-range", double_array_value=DoubleArray(data=[1, 2, 3])), False),
        (WidgetState(id="$$ID-1-range", string_value="two"), False),
        (WidgetState(id="$$ID-1-range", file_uploader_state_value=FileUploaderState()), False),
        (WidgetState(id="$$ID-1-unknown", string_value="of another page"), True),
    ],
)
@pytest.mark.parametrize("fragment", ["", "f"])
def test_what_a_widget_cannot_have_reaches_no_session(sent, stays, fragment):
    state = SessionState()
    state._new_widget_state.set_widget_metadata(
        WidgetMetadata("$$ID-1-range", reads_two, list, value_type="double_array_value", fragment_id="f")
    )
    request = ClientState(
        fragment_id=fragment, widget_states=WidgetStates(widgets=[sent, WidgetState(id="x", int_value=1)])
    )
    assert SessionRequests().ask(request, None, None, state)
    assert [widget.id for widget in request.widget_states.widgets] == ([sent.id] if stays else []) + ["x"]


def test_an_answer_that_a_tick_has_carried_before_it_is_still_only_an_answer():
    requests, state, line = SessionRequests(), drawn(k="f"), object()
    requests.ask(part(answer(1), knob(2)), None, line, state)
    requests.in_flight.begin(line)
    requests.in_flight.send(2, line)
    assert requests.ask(part(answer(2), knob(2), is_auto_rerun=True), None, line, state)
    assert not requests.ask(part(answer(2), knob(2)), None, line, state), "it would say again all that the browser has"
    turned = part(answer(2), knob(3))
    assert requests.ask(turned, None, line, state) and not turned.is_auto_rerun, "the next one is the reader's"


@pytest.mark.parametrize("how", [{}, {"is_auto_rerun": True}, {"fragment_id": ""}])
def test_what_the_script_has_set_is_not_undone_by_a_request_sent_before_the_browser_got_it(how):
    requests, state = SessionRequests(), drawn(k="f")

    def says(value):
        request = part(knob(value), PLAY) if not how else part(knob(value))
        for name, given in how.items():
            setattr(request, name, given)
        assert requests.ask(
            request, None if how.get("fragment_id") != "" else SimpleNamespace(request_stop=lambda: None), None, state
        )
        return [widget.int_value for widget in request.widget_states.widgets if widget.id == knob(0).id]

    says(2)
    requests.tell(knob(4))
    requests.tell(knob(5))
    assert says(2) == [], "as it was before the script set it"
    assert says(4) == [], "as the script had set it first"
    says(5)
    requests.tell(knob(6))
    assert says(5) == [], "however often it says so"
    says(6)
    assert says(2) == [2], "from here on the reader's own"


def test_a_request_that_waits_while_the_script_sets_a_widget_does_not_undo_it():
    requests = SessionRequests()
    requests.ask(part(knob(2)), None, None, drawn(k="f"))
    waiting = part(knob(2), PLAY)
    requests.ask(waiting, None, None, drawn(k="f"))
    requests.tell(knob(5))
    requests.hear(SimpleNamespace(_yield_callback=lambda: None), waiting.widget_states)
    assert [*waiting.widget_states.widgets] == [PLAY]


def test_a_value_that_no_browser_repeats_is_waited_for_over_two_pictures_only():
    requests, state, line = SessionRequests(), drawn(k="f"), object()
    requests.ask(part(answer(0), knob(2)), None, line, state)
    requests.tell(knob(5))
    for number in (1, 2):
        requests.in_flight.begin(line)
        requests.in_flight.send(number, line)
        requests.ask(part(answer(number), knob(2)), None, line, state)
    requests.ask(pressed := part(answer(2), knob(2), PLAY), None, line, state)
    assert knob(2) in pressed.widget_states.widgets

"""What a page's timer may ask for after a click, and that no click is lost whatever runs at that moment."""

import asyncio
import importlib
import random
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest, BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import DoubleArray, FileUploaderState
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime import caching
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.state.common import WidgetMetadata
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState

from moe_viz.ui import server as ui_server
from moe_viz.ui.server import gc_timer, streamlit_patches
from moe_viz.ui.server.streamlit_patches import guard
from moe_viz.ui.server.streamlit_patches.guard import MESSAGES, OPERATIONS, is_wanted
from moe_viz.ui.server.streamlit_patches.requests import (
    CONNECTION,
    MOST_PRESSES,
    CurrentPage,
    SessionRequests,
    repeats_a_press,
)
from tests.browser.lab import server
from tests.test_house import ROOT, imports
from tests.websocket import Reader


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


@pytest.mark.heavy
def test_every_press_and_turn_counts_once_while_the_page_ticks():
    """A request without any press follows most of them at once, as a view's own message may, and stops the run that was to hear the press."""
    wrong, tracebacks = asyncio.run(clicks(rounds=60))
    assert wrong == [] and tracebacks == []


@pytest.mark.heavy
def test_a_tick_that_is_behind_does_not_turn_back_what_the_script_has_set():
    """The reader's last word of its knob is 7, and each tick repeats it. Nor does a press of a part that is gone come late."""

    async def seen():
        with server("tests/ui/server/patches_app.py", {"GUARDED": "1"}) as (address, _process):
            reader = await Reader(address, period=0.02).open()
            await reader.until(lambda page: page.text("counts") == "0 0 0")
            await reader.set("knob", 7)
            await reader.until(lambda page: page.text("counts") == "0 1 7")
            await reader.press("set")
            await reader.until(lambda page: page.text("counts") == "0 1 50", 3)
            ticks = reader.finished
            await reader.until(lambda page: page.finished > ticks + 20)
            await reader.set("knob", 8)
            await reader.until(lambda page: page.text("counts") == "0 2 8", 3)
            await reader.press("press")
            await reader.until(lambda page: page.text("counts") == "1 2 8", 3)
            pressed = WidgetState(id=reader.widget("press").message.delta.new_element.button.id, trigger_value=True)
            await reader.rerun(fragment="gone", triggers=(pressed,))
            for knob in range(9, 29):  # some of these stop a tick, and take along what that has not heard
                await asyncio.sleep(knob % 5 * 0.013)
                await reader.set("knob", knob)
                await reader.until(lambda page, said=f"1 {knob - 6} {knob}": page.text("counts") == said, 3)
            await reader.close()

    asyncio.run(seen())


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


async def clicks(rounds: int, guarded: bool = True):
    """What did not count (widget, counts expected, counts seen) in so many rounds of a press and a turned knob; and tracebacks shown."""
    chance = random.Random(0)
    with server("tests/ui/server/patches_app.py", {"GUARDED": str(int(guarded))}) as (address, _process):
        reader = await Reader(address, period=0.02).open()
        await reader.until(lambda page: page.text("counts") == "0 0 0")
        for knob in range(1, rounds + 1):
            for key, value, counts in (("press", True, (knob, knob - 1, knob - 1)), ("knob", knob, (knob, knob, knob))):
                said = " ".join(map(str, counts))
                await asyncio.sleep(chance.random() * 0.05)
                await reader.set(key, value)
                if chance.random() < 0.7:
                    await asyncio.sleep(chance.choice((0, 0, 0.001, 0.003)))
                    await reader.rerun()
                try:
                    await reader.until(lambda page, said=said: page.text("counts") == said, 3)
                except TimeoutError:
                    return [(key, said, reader.text("counts"))], reader.errors
        await reader.close()
    return [], []


def test_guarding_twice_adds_no_layer(monkeypatch):
    names = [(AppSession, "handle_backmsg"), (AppSession, "request_rerun"), (AppSession, "_create_scriptrunner")]
    names += [(SafeSessionState, f"{name}") for name in ("__init__", "on_script_will_rerun", "on_script_finished")]
    guard()
    once = [getattr(owner, name) for owner, name in names]
    assert all(hasattr(method, "__wrapped__") and not hasattr(method.__wrapped__, "__wrapped__") for method in once)
    guard()
    caching.cache_resource.clear()  # what Streamlit does for whoever asks it to
    guard()
    monkeypatch.setattr(ui_server, "streamlit_patches", streamlit_patches)  # importing anew sets it: it is put back
    for name in [name for name in sys.modules if name.startswith(streamlit_patches.__name__)]:
        monkeypatch.delitem(sys.modules, name)
    importlib.import_module(streamlit_patches.__name__).guard()
    assert [getattr(owner, name) for owner, name in names] == once


def test_the_garbage_timer_is_started_once():
    first = gc_timer.start()
    caching.cache_resource.clear()
    assert gc_timer.start() is first
    assert [thread.name for thread in threading.enumerate()].count(first.name) == 1


class Session:
    """Stands in for Streamlit's: which of its parts a message has reached."""

    def __init__(self):
        self.reached = []

    def __getattr__(self, name):
        return lambda *_args, **_more: self.reached.append(name)


def message(kind, operation=None):
    found = BackMsg()
    field = BackMsg.DESCRIPTOR.fields_by_name[kind]
    if operation:
        getattr(found.backend_operation_request, operation).SetInParent()
    elif field.message_type:
        getattr(found, kind).SetInParent()
    else:
        setattr(found, kind, True)
    return found


KINDS = [field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields]
OF_OPERATIONS = BackendOperationRequest.DESCRIPTOR.oneofs_by_name["payload"].fields


@pytest.mark.parametrize("kind", KINDS)
def test_only_messages_that_a_page_of_ours_sends_are_handled(kind):
    """Whatever kinds this Streamlit knows. Among the others are emptying everybody's caches, running git, and watching files."""
    guard()
    session = Session()
    AppSession.handle_backmsg(session, message(kind))
    assert bool(session.reached) == (kind in MESSAGES)
    assert {"clear_cache", "load_git_info", "set_run_on_save"} <= {*KINDS} - MESSAGES


@pytest.mark.parametrize("operation", [field.name for field in OF_OPERATIONS])
def test_no_operation_that_writes_files_is_handled(operation):
    asked = message("backend_operation_request", operation)
    assert is_wanted(asked) == (operation in OPERATIONS)
    assert operation not in OPERATIONS or operation in ("deferred_file", "dataframe_chunk")


def test_private_parts_of_streamlit_stand_in_one_package():
    ours = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "moe_viz").rglob("*.py")]
    for path in ours:
        # st.components.v2.component is public, and has its types under its own name alone
        public = ("streamlit.components.v2", "streamlit.components.v2.component")
        inner = [name for name in imports(path) if name.startswith("streamlit.") and name not in public]
        reached = re.findall(r"\bst\.(?:runtime|web|proto|_[a-z]\w*)\b", path.read_text(encoding="utf-8"))
        assert path.parent == Path(streamlit_patches.__file__).parent or not (inner or reached), (path, inner, reached)

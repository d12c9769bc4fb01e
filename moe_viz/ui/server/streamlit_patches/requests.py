"""What the browser of one session asks for, on its way to the script: what is run, and which presses and values it carries."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType
from streamlit.runtime.state.common import WidgetMetadata, unpack_widget_state_value, user_key_from_element_id
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState, Value, WStates

from moe_viz import logs
from moe_viz.components.connection import NAME as CONNECTION
from moe_viz.ui.server.in_flight import InFlight
from moe_viz.ui.server.streamlit_patches.told import PICTURES_BEHIND, Told

log = logging.getLogger(__name__)

TRIGGERS = ("trigger_value", "string_trigger_value", "json_trigger_value", "chat_input_value")
"""Kinds of widget state that say that something was pressed, rather than what is chosen."""
MOST_COUNTED = 50
"""Buttons whose presses are counted; the longest unpressed is forgotten first."""
MOST_PRESSES = 20
"""That wait to be heard at once; more than any reader can press, few enough for a visitor who floods the server."""


class CurrentPage:
    """The page that one session is on and the one it has just left, by Streamlit's page hashes."""

    def __init__(self) -> None:
        self.page: str | None = None
        self.left: str | None = None
        self.moved = False
        """Whether the last request was the reader's, for another page."""

    def accepts(self, request: ClientState | None) -> bool:
        """Whether to run what is asked. A request of a whole page moves the session there; a fragment's cannot."""
        self.moved = False
        if request is None:
            return True
        asked = request.page_script_hash or None  # a freshly opened browser does not know it yet
        if request.fragment_id and asked is not None and asked == self.left:
            return False
        if asked != self.page:
            self.moved = None not in (asked, self.page) and not request.fragment_id
            self.page, self.left = asked, None if request.fragment_id or asked is None else self.page
        return True


class SessionRequests:
    """What is asked of one session on its way to the script: the event loop hands in, the threads of script runs take."""

    def __init__(self) -> None:
        self.current_page = CurrentPage()
        self.state = threading.RLock()
        """Held while a run changes the session's state; by callbacks, too, so for long: never by the event loop."""
        self._lock = threading.Lock()
        self._unheard_presses: dict[str, WidgetState] = {}
        self._reported: dict[str, bytes] = {}
        """What the browser said of each widget in its last request."""
        self.last_request = self.last_whole_request = 0
        """Number of the last request, and of the last one for the whole page."""
        self.in_flight = InFlight()
        self._behind = 0
        """Pictures that are still to be answered before the browser has surely got what Back has undone; its values are older until then."""
        self._answers: dict[str, bytes] = {}
        self.told = Told()
        self.heard: dict[str, int] = {}
        """How often each button was sent, by its key."""

    def ask(
        self, request: ClientState | None, runner: Any | None, line: Any = None, state: SessionState | None = None
    ) -> bool:
        """Take a request in; whether it is to be run. `runner`: the script runner at work, which a request for the whole page stops; `line`: the
        connection that it came by; `state`: the session's, None where there is none yet."""
        if not self.current_page.accepts(request) or repeats_a_press(request):
            return False
        if request is not None and state is not None:
            self._leave_what_no_widget_can_say(request, state)
        behind = {} if request is None else self.told.leave_what_is_behind(request.widget_states)
        if request is not None and state is not None and request.fragment_id:
            left = self._see_to_the_rest_of_the_page(request, state)
            behind |= {name: said for name, said in self._reported.items() if name in left}
        if self.current_page.moved:
            self.in_flight.give_up()
            self._behind = 0
            self.told = Told()
        if request is not None and request.is_history_navigation:
            self._behind = PICTURES_BEHIND
        if request is not None and self._is_only_an_answer(request):
            return False
        if request is not None and request.is_auto_rerun and self.in_flight.waits(line):
            return False
        self.last_request += 1
        if request is not None and not request.is_auto_rerun:
            self._count(presses(request.widget_states))
        if request is None or not request.fragment_id:
            self.last_whole_request = self.last_request
        if request is not None:
            with self._lock:
                reported = behind | {w.id: w.SerializeToString() for w in request.widget_states.widgets}
                if request.is_history_navigation:
                    # it tells of few of the widgets, and those drawn for it are still to reach the browser
                    reported = self._reported | reported
                if request.is_auto_rerun:
                    self._say_only_what_is_new(request.widget_states, runner)
                elif runner is not None and not request.fragment_id:
                    runner.request_stop()  # from here on it hears no press any more, so those not heard are carried over
                    known = {widget.id for widget in request.widget_states.widgets}
                    request.widget_states.widgets.extend(
                        w for name, w in self._unheard_presses.items() if name not in known
                    )
                waiting = self._unheard_presses | presses(request.widget_states)
                self._unheard_presses, self._reported = dict([*waiting.items()][-MOST_PRESSES:]), reported
        return True

    def _leave_what_no_widget_can_say(self, request: ClientState, state: SessionState) -> None:
        """Take values out of the request that their widgets cannot have: the session would fail at each of its runs from then on."""
        widgets = request.widget_states.widgets
        impossible = [
            widget
            for widget in widgets
            if self._reported.get(widget.id) != widget.SerializeToString() and not is_possible(widget, state)
        ]
        for widget in impossible:
            logs.event(log, "value_refused", logging.WARNING, kind=str(widget.WhichOneof("value")))
            widgets.remove(widget)

    def _see_to_the_rest_of_the_page(self, request: ClientState, state: SessionState) -> set[str]:
        """Whatever was pressed or turned outside the part that is asked for wants the whole page. A timer's request leaves it alone: its own is
        about to be sent. Returns what was left out."""
        widgets = request.widget_states.widgets
        fresh = [
            widget for widget in widgets if self._behind or self._reported.get(widget.id) != widget.SerializeToString()
        ]
        turned = [widget for widget in fresh if is_turned_outside(request.fragment_id, widget, state)]
        pressed = [widget for widget in turned if widget.WhichOneof("value") in TRIGGERS]
        left: set[str] = set()
        if request.is_auto_rerun or self._behind:
            left = {widget.id for widget in turned if request.is_auto_rerun or widget not in pressed}
            kept = [widget for widget in widgets if widget.id not in left]
            del widgets[:]
            widgets.extend(kept)
            turned = [] if request.is_auto_rerun else pressed
        if turned:
            request.fragment_id = ""
        return left

    def _is_only_an_answer(self, request: ClientState) -> bool:
        """Hear which picture the browser has painted last; whether it has asked for nothing else than to be heard. If it says more of its widgets
        on that occasion, it is a tick's request: nobody has pressed or turned anything."""
        answers = {
            widget.id: widget.SerializeToString() for widget in request.widget_states.widgets if is_answer(widget)
        }
        for widget in request.widget_states.widgets:
            if is_answer(widget) and self.in_flight.arrive(painted(widget)):
                self._behind = max(0, self._behind - 1)
                self.told.picture_arrives()
        if request.is_auto_rerun:  # the answer may stand in it first, but has a request of its own
            return False
        is_new, self._answers = answers != self._answers, answers
        if not is_new or not request.fragment_id or presses(request.widget_states):
            return False
        request.is_auto_rerun = True
        others = (widget for widget in request.widget_states.widgets if widget.id not in answers)
        return all(self._reported.get(widget.id) == widget.SerializeToString() for widget in others)

    def _count(self, pressed: Iterable[str]) -> None:
        for widget in pressed:
            key = user_key_from_element_id(widget)
            if key is not None:
                self.heard[key] = self.heard.pop(key, 0) + 1
        while len(self.heard) > MOST_COUNTED:
            del self.heard[next(iter(self.heard))]

    def _say_only_what_is_new(self, widgets: WidgetStates, runner: Any | None) -> None:
        """Leave what the reader has not changed since the last request; but repeat what waits to be run, because this takes its place."""
        new = [widget for widget in widgets.widgets if self._reported.get(widget.id) != widget.SerializeToString()]
        waiting = _waiting(runner)
        names = {widget.id for widget in new} | presses(waiting).keys()  # Streamlit itself keeps the presses that wait
        new += [widget for widget in waiting.widgets if widget.id not in names]
        del widgets.widgets[:]
        widgets.widgets.extend(new)

    def later(self, waited: RerunData, number: int) -> RerunData | None:
        """What is left to do of request `number`, for a part of the page, now that it has waited: the others since then know the widgets better,
        and one for the whole page has taken over all that was pressed."""
        if self.last_whole_request > number:
            return None
        if self.last_request == number:
            return waited
        return replace(waited, widget_states=WidgetStates(widgets=presses(waited.widget_states).values()))

    def hear(self, state: SafeSessionState, asked: WidgetStates | None) -> None:
        """A run begins, with the session's state held, and calls what the presses among `asked` call. Raises StopException if it was stopped."""
        with self._lock:
            state._yield_callback()
            for name in presses(asked):
                self._unheard_presses.pop(name, None)
        if asked is not None:
            self.told.leave_what_is_behind(asked)

    def tell(self, widget: WidgetState) -> None:
        """A run draws this widget with a value that the script has set."""
        with self._lock:
            self.told.tell(widget, self._reported.get(widget.id))


def presses(widgets: WidgetStates | None) -> dict[str, WidgetState]:
    """Those among the widgets, by id, that have been pressed."""
    found = widgets.widgets if widgets is not None else ()
    return {widget.id: widget for widget in found if widget.WhichOneof("value") in TRIGGERS}


def is_possible(widget: WidgetState, state: SessionState) -> bool:
    """Whether a value is of its widget's kind, and one that the widget can read. Of a widget that the session does not know, any is."""
    metadata = state._new_widget_state.widget_metadata.get(widget.id)
    kind = widget.WhichOneof("value")
    if metadata is None or kind is None:
        return True
    if kind != metadata.value_type:
        return False
    try:
        metadata.deserializer(unpack_widget_state_value(widget))
    except Exception as error:  # whatever it is, the widget's own code raises it at something that no browser sends
        log.debug("a value is refused: %r", error)
        return False
    return True


def is_turned_outside(part: str, widget: WidgetState, state: SessionState) -> bool:
    """Whether this widget stands outside that part of the page and says that it was pressed, or another value than the session holds."""
    metadata = state._new_widget_state.widget_metadata.get(widget.id)
    if metadata is None or metadata.fragment_id == part:
        return False
    if widget.WhichOneof("value") in TRIGGERS:
        return True
    try:
        value = state._getitem(widget.id, user_key_from_element_id(widget.id))
    except KeyError:
        return True
    return as_sent(metadata, value) != widget


def as_sent(metadata: WidgetMetadata[Any], value: Any) -> WidgetState | None:
    """What the browser says of a widget that has this value."""
    return WStates({metadata.id: Value(value)}, {metadata.id: metadata}).get_serialized(metadata.id)


def is_answer(widget: WidgetState) -> bool:
    """Whether this is the page's end of the line, see `components.connection`: it stands under its name on every page."""
    return widget.WhichOneof("value") == "json_value" and widget.id.endswith(f"-{CONNECTION}")


def painted(widget: WidgetState) -> int | None:
    """The number of the last picture on the page, as an answer says it; None where it says anything else."""
    try:
        said = json.loads(widget.json_value)
    except ValueError:
        return None
    number = said.get("painted") if isinstance(said, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def picture(message: ForwardMsg) -> int | None:
    """The number of the picture whose last part this message is; None for all other messages."""
    if message.WhichOneof("type") != "delta" or not message.delta.new_element.HasField("bidi_component"):
        return None
    view = message.delta.new_element.bidi_component
    return json.loads(view.bytes)["picture"] if view.component_name == CONNECTION else None


def repeats_a_press(request: ClientState | None) -> bool:
    """Whether a timer's request carries a press: the request that belongs to the press is on its way and draws more than the timer would."""
    return request is not None and request.is_auto_rerun and bool(presses(request.widget_states))


def requests_of(session_state: SessionState) -> SessionRequests:
    """The one of this session. It lives as long as somebody holds it: the session itself does."""
    return _all_requests.setdefault(id(session_state), SessionRequests())


_all_requests: WeakValueDictionary[int, SessionRequests] = WeakValueDictionary()


def stopped(runner: Any | None) -> bool:
    """Whether this script runner has been told to stop, or has nothing left to do and waits for its last words to be read."""
    return getattr(getattr(runner, "_requests", None), "_state", None) == ScriptRequestType.STOP


def _waiting(runner: Any | None) -> WidgetStates:
    """The widgets of the request that this script runner has still to begin."""
    requests = getattr(runner, "_requests", None)
    if requests is None or requests._state != ScriptRequestType.RERUN:
        return WidgetStates()
    return requests._rerun_data.widget_states or WidgetStates()


def runner_of(state: SafeSessionState) -> Any | None:
    return getattr(state._yield_callback, "__self__", None)

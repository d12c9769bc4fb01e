"""Let no click be lost or undone by what a page does by itself: races of Streamlit 1.67, closed where requests come in and where they are run.

*A tick of the page just left.* Between a click on another page and that page's arrival, a fragment's timer asks for a run of the *old* page; the
server has still to forget that page's fragments, so it accepts, declares the old page current again, and the browser empties the new one.
*A tick that carries a press.* Between the press of a button and the request that carries it, the timer's request carries the press too, which
then counts twice: Pause, then Play.
*Two runs at once.* A request for the whole page does not wait for the run at work: that is told to stop and goes on to its next widget beside the
new one, both over one state of the session, each behind a lock of its own. The old one may put back what the new one was told, and a run that
is stopped before it has begun takes the press that it was for with it.
*A tick that is behind.* Every request repeats the values of all widgets, as the browser last had them. A tick sent before a value that the script
has set (another gate's k, a knob that somebody else turned) has reached the browser would turn it back.
*A run's last words.* A fragment asked for just as a run of the page has ended makes the server leave what that run drew last unsent.

There is no setting for any of them (without `fastReruns`, clicks on the other pages get lost instead).
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import wraps
from typing import Any
from weakref import WeakValueDictionary

import streamlit as st
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState

TRIGGERS = ("trigger_value", "string_trigger_value", "json_trigger_value", "chat_input_value")
"""Kinds of widget state that say that something was pressed, rather than what is chosen."""
MOST_PRESSES = 20
"""That wait to be heard at once; more than any reader can press, few enough for a visitor who floods the server."""
SOON_S = 0.005
"""Until a request for a part that came at the end of a run is tried again."""


class Whereabouts:
    """The page that one session is on and the one it has just left, by Streamlit's page hashes."""

    def __init__(self) -> None:
        self.page: str | None = None
        self.left: str | None = None

    def accepts(self, request: ClientState | None) -> bool:
        """Whether to run what is asked. A request of a whole page moves the session there; a fragment's cannot."""
        if request is None:
            return True
        asked = request.page_script_hash or None  # a freshly opened browser does not know it yet
        if request.fragment_id and asked is not None and asked == self.left:
            return False
        if asked != self.page:
            self.page, self.left = asked, None if request.fragment_id or asked is None else self.page
        return True


class Desk:
    """What is asked of one session on its way to the script: the event loop hands in, the threads of script runs take."""

    def __init__(self) -> None:
        self.whereabouts = Whereabouts()
        self.state = threading.RLock()
        """Held while a run changes the session's state; by callbacks, too, so for long: never by the event loop."""
        self._hand = threading.Lock()
        self._unheard: dict[str, WidgetState] = {}
        self._reported: dict[str, bytes] = {}
        """What the browser said of each widget in its last request."""
        self.asked = self.asked_whole = 0
        """Number of the last request, and of the last one for the whole page."""

    def ask(self, request: ClientState | None, runner: Any | None) -> bool:
        """Take a request in; whether it is to be run. `runner`: the script runner at work, which a request for the whole page stops."""
        if not self.whereabouts.accepts(request) or repeats_a_press(request):
            return False
        self.asked += 1
        if request is None or not request.fragment_id:
            self.asked_whole = self.asked
        if request is not None:
            with self._hand:
                reported = {widget.id: widget.SerializeToString() for widget in request.widget_states.widgets}
                if request.is_auto_rerun:
                    self._say_only_what_is_new(request.widget_states, runner)
                elif runner is not None and not request.fragment_id:
                    runner.request_stop()  # from here on it hears no press any more, so those not heard are carried over
                    known = {widget.id for widget in request.widget_states.widgets}
                    request.widget_states.widgets.extend(w for name, w in self._unheard.items() if name not in known)
                waiting = self._unheard | presses(request.widget_states)
                self._unheard, self._reported = dict([*waiting.items()][-MOST_PRESSES:]), reported
        return True

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
        if self.asked_whole > number:
            return None
        if self.asked == number:
            return waited
        return replace(waited, widget_states=WidgetStates(widgets=presses(waited.widget_states).values()))

    def hear(self, state: SafeSessionState, asked: WidgetStates | None) -> None:
        """A run begins, with the session's state held, and calls what the presses among `asked` call. Raises StopException if it was stopped."""
        with self._hand:
            state._yield_callback()
            for name in presses(asked):
                self._unheard.pop(name, None)


def presses(widgets: WidgetStates | None) -> dict[str, WidgetState]:
    """Those among the widgets, by id, that have been pressed."""
    found = widgets.widgets if widgets is not None else ()
    return {widget.id: widget for widget in found if widget.WhichOneof("value") in TRIGGERS}


def repeats_a_press(request: ClientState | None) -> bool:
    """Whether a timer's request carries a press: the request that belongs to the press is on its way and draws more than the timer would."""
    return request is not None and request.is_auto_rerun and bool(presses(request.widget_states))


def _desk(session_state: SessionState) -> Desk:
    """The one of this session. It lives as long as somebody holds it: the session itself does."""
    return _desks.setdefault(id(session_state), Desk())


_desks: WeakValueDictionary[int, Desk] = WeakValueDictionary()


def _stopped(runner: Any | None) -> bool:
    """Whether this script runner has been told to stop, or has nothing left to do and waits for its last words to be read."""
    return getattr(getattr(runner, "_requests", None), "_state", None) == ScriptRequestType.STOP


def _waiting(runner: Any | None) -> WidgetStates:
    """The widgets of the request that this script runner has still to begin."""
    requests = getattr(runner, "_requests", None)
    waits = getattr(requests, "_state", None) == ScriptRequestType.RERUN
    return (waits and requests._rerun_data.widget_states) or WidgetStates()


def _runner(state: SafeSessionState) -> Any | None:
    return getattr(state._yield_callback, "__self__", None)


@st.cache_resource(show_spinner=False)
def guard() -> bool:
    """Put the checks before every request and every run of every session, once for the whole server."""
    ask, start, create = AppSession.request_rerun, AppSession._create_scriptrunner, SafeSessionState.__init__
    begin, finish = SafeSessionState.on_script_will_rerun, SafeSessionState.on_script_finished

    @wraps(ask)
    def request_rerun(session: AppSession, client_state: ClientState | None) -> None:
        fragment = client_state.fragment_id if client_state is not None else ""
        if fragment and not session.has_fragment(fragment):
            return  # as Streamlit does; here, so that its presses do not wait for a run that never comes
        session._moe_viz_desk = _desk(session._session_state)
        if session._moe_viz_desk.ask(client_state, session._scriptrunner):
            ask(session, client_state)

    @wraps(start)
    def create_scriptrunner(session: AppSession, asked: RerunData) -> None:
        if asked.fragment_id and session._scriptrunner is not None:
            # that one has ended, but what it has said is still to be read: nobody reads it once another one takes its place
            session._event_loop.call_later(SOON_S, again, session, asked, _desk(session._session_state).asked)
            return
        start(session, asked)

    def again(session: AppSession, waited: RerunData, number: int) -> None:
        asked = _desk(session._session_state).later(waited, number)
        if asked is None or session._state == AppSessionState.SHUTDOWN_REQUESTED:
            return
        if session.has_fragment(asked.fragment_id) and (
            session._scriptrunner is None or not session._scriptrunner.request_rerun(asked)
        ):
            session._create_scriptrunner(asked)

    @wraps(create)
    def one_lock(state: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        create(state, *args, **kwargs)
        object.__setattr__(state, "_desk", _desk(state._state))
        object.__setattr__(state, "_lock", state._desk.state)

    @wraps(begin)
    def on_script_will_rerun(state: SafeSessionState, fresh: WidgetStates | None, **kwargs: Any) -> None:
        with state._lock:
            _desk(state._state).hear(state, fresh)
            stop = state._yield_callback
            object.__setattr__(state, "_yield_callback", lambda: None)  # what a press calls is not left half done
            try:
                begin(state, fresh, **kwargs)
            finally:
                object.__setattr__(state, "_yield_callback", stop)

    @wraps(finish)
    def on_script_finished(state: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        with state._lock:
            if not _stopped(_runner(state)):  # or it would forget the presses that the next run has not looked at yet
                finish(state, *args, **kwargs)

    AppSession.request_rerun = request_rerun
    AppSession._create_scriptrunner = create_scriptrunner
    SafeSessionState.__init__ = one_lock
    SafeSessionState.on_script_will_rerun = on_script_will_rerun
    SafeSessionState.on_script_finished = on_script_finished
    return True

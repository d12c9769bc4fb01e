"""All that we use of Streamlit's private parts, and nothing else of ours: another version may change them, so the package refuses others.

First come its options, its server and what only it knows of the run in progress. The rest lets no click be lost or undone by what a page does
by itself, and answers no message that no page of ours sends: races and open ends of Streamlit 1.67, closed where requests come in and are run.

*A tick of the page just left.* Between a click on another page and that page's arrival, a fragment's timer asks for a run of the *old* page; the
server has still to forget that page's fragments, so it accepts, declares the old page current again, and the browser empties the new one.
*A tick that carries a press.* Between the press of a button and the request that carries it, the timer's request carries the press too, which
then counts twice: Pause, then Play.
*Two runs at once.* A request for the whole page does not wait for the run at work: that is told to stop and goes on to its next widget beside the
new one, both over one state of the session, each behind a lock of its own. The old one may put back what the new one was told, and a run that
is stopped before it has begun takes the press that it was for with it.
*A tick that is behind.* Every request repeats the values of all widgets, as the browser last had them. A tick sent before a value that the script
has set (another gate's k, a knob that somebody else turned) has reached the browser would turn it back.
*A turn that joins an answer.* The browser sends what changes in one moment as one request, for the part of whatever came first: a knob beside a
view that has just answered is turned, but the page with the knob on it, and the address, are not drawn anew.
*A run's last words.* A fragment asked for just as a run of the page has ended makes the server leave what that run drew last unsent.
*A line slower than the page.* Timers ask whether or not the browser has got the last picture (see `in_flight`): no tick is run while one is on
its way; what a press draws goes at once.

There is no setting for any of them (without `fastReruns`, clicks on the other pages get lost instead).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import click
import streamlit as st
from streamlit import config, runtime
from streamlit.net_util import get_internal_ip
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.fragment import ThreadState
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType
from streamlit.runtime.state.common import user_key_from_element_id
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState, Value, WStates
from streamlit.web.server.server_util import get_url

from moe_viz import logs
from moe_viz.components.connection import NAME as CONNECTION
from moe_viz.ui.server.in_flight import InFlight

log = logging.getLogger(__name__)

TRIGGERS = ("trigger_value", "string_trigger_value", "json_trigger_value", "chat_input_value")
"""Kinds of widget state that say that something was pressed, rather than what is chosen."""
MOST_COUNTED = 50
"""Buttons whose presses are counted; the longest unpressed is forgotten first."""
MOST_PRESSES = 20
"""That wait to be heard at once; more than any reader can press, few enough for a visitor who floods the server."""
SOON_S = 0.005
"""Until a request for a part that came at the end of a run is tried again."""
MESSAGES = frozenset({"rerun_script", "stop_script", "app_heartbeat", "file_urls_request"})
"""What a page of ours may ask of the server. Streamlit would also empty its caches for everybody (`clear_cache`), run git, and watch files, for
whoever has the address: before `app.py` runs, so before a passphrase is asked."""
OPERATIONS = frozenset({"deferred_file", "dataframe_chunk"})
"""The same of its `backend_operation_request`, which would also write files into the project (`install_skills`)."""


# -- starting --------------------------------------------------------------------------------------------------------------


def options_given(arguments: Sequence[str]) -> dict[str, Any]:
    """The Streamlit options that flags and `STREAMLIT_...` variables set, by dotted name, in their own types. Ends the process on a bad one."""
    from streamlit.web.cli import main_run  # only a server needs it

    try:
        words = main_run.make_context("python -m moe_viz serve", [*arguments, "app.py"]).params
    except click.exceptions.Exit as done:  # --help
        raise SystemExit(done.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    if words["args"]:
        raise SystemExit(f"python -m moe_viz serve: {words['target']} is no flag of streamlit run")
    given = {word.replace("_", "."): value for word, value in words.items() if value is not None and value != ()}
    return {name: value for name, value in given.items() if name in config._config_options_template}


def set_options(chosen: Mapping[str, Any]) -> None:
    """Put options in force, as `streamlit run` does with its flags, before anything asks for one."""
    from streamlit.web.bootstrap import load_config_options

    load_config_options(dict(chosen))


def set_options_left_open(chosen: Mapping[str, Any]) -> None:
    """The same in a process that `streamlit run` has started: what the user has set by flag, variable or file stays."""
    for name, value in chosen.items():
        if not config.is_manually_set(name):
            config.set_option(name, value)


def run(app: Any) -> int:
    """Serve a `st.App` until the process is told to end. Without `streamlit run`'s own watcher of configuration files."""
    from streamlit.web.server.starlette.starlette_server import UvicornRunner

    UvicornRunner(app).run()
    return 0


def no_automatic_pages() -> bool:
    """Switch off Streamlit's automatic `pages/`, which open beside `app.py` before the first `st.navigation`; whether they were on."""
    were_on, PagesManager.uses_pages_directory = PagesManager.uses_pages_directory, False
    return bool(were_on)


def index_html() -> str:
    """The HTML that Streamlit serves at every address."""
    return (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")


# -- the server and the run in progress ------------------------------------------------------------------------------------


def addresses() -> list[str]:
    """Where this server can be opened: from this machine, then (where it listens to others) from the network. Asks nobody."""
    listens = config.get_option("server.address")
    named = config.get_option("browser.serverAddress") if config.is_manually_set("browser.serverAddress") else None
    if named or listens not in (None, "", "0.0.0.0", "::"):
        return [get_url(named or listens)]
    return list(dict.fromkeys(map(get_url, ("localhost", get_internal_ip() or "localhost"))))


def open_pages() -> int | None:
    """Browser sessions connected now; None outside a server."""
    if not runtime.exists():
        return None
    families = runtime.get_instance().stats_mgr.get_stats(family_names=["active_sessions"])
    return sum(stat.value for stats in families.values() for stat in stats)


def files_held(session: str) -> int:
    """Uploaded files that the server keeps for this session."""
    return len(runtime.get_instance().uploaded_file_mgr.file_storage.get(session, ()))


def session_id() -> str | None:
    """Of the page that is being drawn; None outside a server."""
    context = get_script_run_ctx()
    return context.session_id if context else None


def in_a_part() -> bool:
    """Whether a part of the page (a fragment) is being drawn by itself."""
    context = get_script_run_ctx()
    return bool(context and context.fragment_ids_this_run)


def went_through_history() -> bool:
    """Whether the page is being drawn because its reader went Back or Forward to its address."""
    context = get_script_run_ctx()
    return bool(context and context.is_history_navigation)


def set_timer(seconds: float) -> None:
    """Give the fragment that is being drawn another timer in the browser, as `st.fragment(run_every=...)` does, but without drawing the page anew."""
    message = ForwardMsg()
    message.auto_rerun.interval, message.auto_rerun.fragment_id = seconds, ThreadState.get().fragment_id or ""
    if message.auto_rerun.fragment_id:
        get_script_run_ctx().enqueue(message)


def presses_heard() -> dict[str, int]:
    """How often the session whose page is being drawn has sent each of its buttons, by key; empty outside a server."""
    context = get_script_run_ctx()
    desk = getattr(context.session_state, "_desk", None) if context else None
    return dict(desk.heard) if desk else {}


# -- requests --------------------------------------------------------------------------------------------------------------


class Whereabouts:
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
        self.in_flight = InFlight()
        self._answers: dict[str, bytes] = {}
        self.heard: dict[str, int] = {}
        """How often each button was sent, by its key."""

    def ask(
        self, request: ClientState | None, runner: Any | None, line: Any = None, state: SessionState | None = None
    ) -> bool:
        """Take a request in; whether it is to be run. `runner`: the script runner at work, which a request for the whole page stops; `line`: the
        connection that it came by; `state`: the session's, None where there is none yet."""
        if not self.whereabouts.accepts(request) or repeats_a_press(request):
            return False
        if request is not None and request.fragment_id and state is not None:
            self._see_to_the_rest_of_the_page(request, state)
        if self.whereabouts.moved:
            self.in_flight.give_up()
        if request is not None and self._is_only_an_answer(request):
            return False
        if request is not None and request.is_auto_rerun and self.in_flight.waits(line):
            return False
        self.asked += 1
        if request is not None and not request.is_auto_rerun:
            self._count(presses(request.widget_states))
        if request is None or not request.fragment_id:
            self.asked_whole = self.asked
        if request is not None:
            with self._hand:
                reported = {widget.id: widget.SerializeToString() for widget in request.widget_states.widgets}
                if request.is_history_navigation:
                    # it tells of few of the widgets, and those drawn for it are still to reach the browser
                    reported = self._reported | reported
                if request.is_auto_rerun:
                    self._say_only_what_is_new(request.widget_states, runner)
                elif runner is not None and not request.fragment_id:
                    runner.request_stop()  # from here on it hears no press any more, so those not heard are carried over
                    known = {widget.id for widget in request.widget_states.widgets}
                    request.widget_states.widgets.extend(w for name, w in self._unheard.items() if name not in known)
                waiting = self._unheard | presses(request.widget_states)
                self._unheard, self._reported = dict([*waiting.items()][-MOST_PRESSES:]), reported
        return True

    def _see_to_the_rest_of_the_page(self, request: ClientState, state: SessionState) -> None:
        """Whatever was pressed or turned outside the part that is asked for wants the whole page. A timer's request leaves it alone: its own is
        about to be sent."""
        widgets = request.widget_states.widgets
        fresh = [widget for widget in widgets if self._reported.get(widget.id) != widget.SerializeToString()]
        turned = {widget.id for widget in fresh if is_turned_outside(request.fragment_id, widget, state)}
        if turned and request.is_auto_rerun:
            kept = [widget for widget in widgets if widget.id not in turned]
            del widgets[:]
            widgets.extend(kept)
        elif turned:
            request.fragment_id = ""

    def _is_only_an_answer(self, request: ClientState) -> bool:
        """Hear which picture the browser has painted last; whether it has asked for nothing else than to be heard. If it says more of its widgets
        on that occasion, it is a tick's request: nobody has pressed or turned anything."""
        answers = {
            widget.id: widget.SerializeToString() for widget in request.widget_states.widgets if is_answer(widget)
        }
        for widget in request.widget_states.widgets:
            if is_answer(widget):
                self.in_flight.arrive(painted(widget))
        is_new, self._answers = answers != self._answers, answers
        if not is_new or request.is_auto_rerun or not request.fragment_id or presses(request.widget_states):
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
    return WStates({widget.id: Value(value)}, {widget.id: metadata}).get_serialized(widget.id) != widget


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


def is_wanted(message: BackMsg) -> bool:
    """Whether a page of ours can have sent this."""
    kind = message.WhichOneof("type")
    if kind == "backend_operation_request":
        return message.backend_operation_request.WhichOneof("payload") in OPERATIONS
    return kind in MESSAGES


def _line(session: AppSession) -> Any:
    """What the session's browser is connected by now; another one after it was cut."""
    return runtime.get_instance().get_client(session.id) if runtime.exists() else None


_guarding = threading.Lock()


def guard() -> None:
    """Put the checks before every message, request and run of every session. Once for the whole process: a second call does nothing."""
    with _guarding:
        if not getattr(AppSession, "_moe_viz_guarded", False):  # kept there, because this module may be imported anew
            _guard()
            AppSession._moe_viz_guarded = True


def _guard() -> None:
    take = AppSession.handle_backmsg
    ask, start, create = AppSession.request_rerun, AppSession._create_scriptrunner, SafeSessionState.__init__
    begin, finish = SafeSessionState.on_script_will_rerun, SafeSessionState.on_script_finished
    flush = AppSession.flush_browser_queue

    @wraps(take)
    def handle_backmsg(session: AppSession, message: BackMsg) -> None:
        if is_wanted(message):
            take(session, message)
        else:
            logs.event(log, "message_refused", logging.WARNING, kind=str(message.WhichOneof("type")))

    @wraps(ask)
    def request_rerun(session: AppSession, client_state: ClientState | None) -> None:
        fragment = client_state.fragment_id if client_state is not None else ""
        if fragment and not session.has_fragment(fragment):
            return  # as Streamlit does; here, so that its presses do not wait for a run that never comes
        desk = session._moe_viz_desk = _desk(session._session_state)
        if desk.ask(client_state, session._scriptrunner, _line(session), session._session_state):
            ask(session, client_state)

    @wraps(flush)
    def flush_browser_queue(session: AppSession) -> list[ForwardMsg]:
        flight, line = _desk(session._session_state).in_flight, _line(session)
        messages = flush(session)
        for message in messages:
            if message.HasField("new_session"):
                flight.begin(line)
            if (number := picture(message)) is not None:
                flight.send(number, line)
        return messages

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

    AppSession.handle_backmsg = handle_backmsg
    AppSession.request_rerun = request_rerun
    AppSession.flush_browser_queue = flush_browser_queue
    AppSession._create_scriptrunner = create_scriptrunner
    SafeSessionState.__init__ = one_lock
    SafeSessionState.on_script_will_rerun = on_script_will_rerun
    SafeSessionState.on_script_finished = on_script_finished

"""The checks put before every message, request and run of every session: the one place where methods of Streamlit are replaced."""

from __future__ import annotations

import logging
import threading
from functools import wraps
from typing import Any

from streamlit import runtime
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.state.common import RegisterWidgetResult, WidgetMetadata
from streamlit.runtime.state.safe_session_state import SafeSessionState

from moe_viz import logs
from moe_viz.ui.server.streamlit_patches.files import remove_orphaned_files
from moe_viz.ui.server.streamlit_patches.requests import as_sent, picture, requests_of, runner_of, stopped

log = logging.getLogger(__name__)

SOON_S = 0.005
"""Until a request for a part that came at the end of a run is tried again."""
MESSAGES = frozenset({"rerun_script", "stop_script", "app_heartbeat", "file_urls_request"})
"""What a page of ours may ask of the server. Streamlit would also empty its caches for everybody (`clear_cache`), run git, and watch files, for
whoever has the address: before `app.py` runs, so before a passphrase is asked."""
OPERATIONS = frozenset({"deferred_file", "dataframe_chunk"})
"""The same of its `backend_operation_request`, which would also write files into the project (`install_skills`)."""


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
            _put(AppSession, _moe_viz_guarded=True)


def _put(owner: type, **parts: Any) -> None:
    """Put these in the place of what one of Streamlit's classes has under their names."""
    for name, part in parts.items():
        setattr(owner, name, part)


def _guard() -> None:
    take = AppSession.handle_backmsg
    ask, start, create = AppSession.request_rerun, AppSession._create_scriptrunner, SafeSessionState.__init__
    begin, finish = SafeSessionState.on_script_will_rerun, SafeSessionState.on_script_finished
    flush, register = AppSession.flush_browser_queue, SafeSessionState.register_widget

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
        requests = vars(session)["_moe_viz_requests"] = requests_of(session._session_state)
        if requests.ask(client_state, session._scriptrunner, _line(session), session._session_state):
            ask(session, client_state)

    @wraps(flush)
    def flush_browser_queue(session: AppSession) -> list[ForwardMsg]:
        flight, line = requests_of(session._session_state).in_flight, _line(session)
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
            session._event_loop.call_later(
                SOON_S, again, session, asked, requests_of(session._session_state).last_request
            )
            return
        start(session, asked)

    def again(session: AppSession, waited: RerunData, number: int) -> None:
        asked = requests_of(session._session_state).later(waited, number)
        if asked is None or session._state == AppSessionState.SHUTDOWN_REQUESTED:
            return
        if session.has_fragment(asked.fragment_id or "") and (
            session._scriptrunner is None or not session._scriptrunner.request_rerun(asked)
        ):
            session._create_scriptrunner(asked)

    @wraps(create)
    def one_lock(state: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        create(state, *args, **kwargs)
        object.__setattr__(state, "_moe_viz_requests", requests_of(state._state))
        object.__setattr__(state, "_lock", state._moe_viz_requests.state)

    @wraps(begin)
    def on_script_will_rerun(state: SafeSessionState, fresh: WidgetStates | None, **kwargs: Any) -> None:
        with state._lock:
            requests_of(state._state).hear(state, fresh)
            stop = state._yield_callback
            object.__setattr__(state, "_yield_callback", lambda: None)  # what a press calls is not left half done
            try:
                begin(state, fresh, **kwargs)
            finally:
                object.__setattr__(state, "_yield_callback", stop)

    @wraps(finish)
    def on_script_finished(state: SafeSessionState, *args: Any, **kwargs: Any) -> None:
        with state._lock:
            if not stopped(runner_of(state)):  # or it would forget the presses that the next run has not looked at yet
                finish(state, *args, **kwargs)

    @wraps(register)
    def register_widget(
        state: SafeSessionState, metadata: WidgetMetadata[Any], user_key: str | None
    ) -> RegisterWidgetResult[Any]:
        result = register(state, metadata, user_key)
        said = as_sent(metadata, result.value) if result.value_changed else None
        if said is not None:
            requests_of(state._state).tell(said)
        return result

    MediaFileManager.remove_orphaned_files = remove_orphaned_files
    _put(
        AppSession,
        handle_backmsg=handle_backmsg,
        request_rerun=request_rerun,
        flush_browser_queue=flush_browser_queue,
        _create_scriptrunner=create_scriptrunner,
    )
    _put(
        SafeSessionState,
        __init__=one_lock,
        on_script_will_rerun=on_script_will_rerun,
        on_script_finished=on_script_finished,
        register_widget=register_widget,
    )

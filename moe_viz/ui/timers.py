"""Keep a page's own ticks from undoing what the reader clicked: two races of Streamlit 1.67, closed where requests come in.

A fragment's timer may fire between a click and its effect. Between a click on another page and that page's arrival, it asks for a run of the *old*
page; the server has still to forget that page's fragments, so it accepts, declares the old page current again, and the browser empties the new one (a
blank page, or "Bad delta path index"). Between the press of a button and the request that carries it, the timer's request carries the press too, which
then counts twice: Pause, then Play. There is no setting for either.
"""

from __future__ import annotations

from functools import wraps

import streamlit as st
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

TRIGGERS = ("trigger_value", "string_trigger_value", "json_trigger_value", "chat_input_value")
"""Kinds of widget state that say that something was pressed, rather than what is chosen."""


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


def repeats_a_press(request: ClientState | None) -> bool:
    """Whether a timer's request carries a press: the request that belongs to the press is on its way and draws more than the timer would."""
    if request is None or not request.is_auto_rerun:
        return False
    return any(state.WhichOneof("value") in TRIGGERS for state in request.widget_states.widgets)


@st.cache_resource(show_spinner=False)
def guard() -> bool:
    """Put the checks before every request of every session, once for the whole server."""
    ask = AppSession.request_rerun

    @wraps(ask)
    def request_rerun(session: AppSession, client_state: ClientState | None) -> None:
        whereabouts = session.__dict__.setdefault("_moe_viz_whereabouts", Whereabouts())
        if whereabouts.accepts(client_state) and not repeats_a_press(client_state):
            ask(session, client_state)

    AppSession.request_rerun = request_rerun
    return True

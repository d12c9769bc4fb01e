"""Leaving a page for good: its last ticks must not call the reader back.

A fragment's timer that fires between the click on another page and that page's arrival asks Streamlit 1.67 for a run of the *old* page. The server
has still to forget that page's fragments, so it accepts, declares the old page current again, and the browser empties the new one: a blank page, or
"Bad delta path index". There is no setting for it, so requests of fragments on the page just left are dropped where they come in.
"""

from __future__ import annotations

from functools import wraps

import streamlit as st
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession


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


@st.cache_resource(show_spinner=False)
def guard() -> bool:
    """Put the check before every request of every session, once for the whole server."""
    ask = AppSession.request_rerun

    @wraps(ask)
    def request_rerun(session: AppSession, client_state: ClientState | None) -> None:
        whereabouts = session.__dict__.setdefault("_moe_viz_whereabouts", Whereabouts())
        if whereabouts.accepts(client_state):
            ask(session, client_state)

    AppSession.request_rerun = request_rerun
    return True

"""What a reader sees where a page fails: one calm sentence. The traceback goes to the server's log, never to the page."""

from __future__ import annotations

import logging

import streamlit as st

from moe_viz.logs import event
from moe_viz.ui.i18n import _

log = logging.getLogger(__name__)


def say(error: Exception) -> bool:
    """Streamlit's `on_script_error`: log an uncaught error of a page and show a sentence in its place (True: nothing else is shown)."""
    event(log, "page_failed", logging.ERROR, error, kind=type(error).__name__)
    st.error(
        _("This part of the page could not be drawn. Your run is not affected; reload the page to go on."),
        icon=":material/error:",
    )
    return True

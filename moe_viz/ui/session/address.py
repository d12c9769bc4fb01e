"""The browser's address: what page, which run, which settings. A reload and a shared link bring the same back, Back and Forward what was before.

Each page writes it as it is drawn (`write`); which of these writings are entries of their own in the browser's history, assets/history.js says.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from moe_viz.ui import i18n
from moe_viz.ui.server import streamlit_patches

PRESENT, PRESENTS = "present", "presents"
"""The word of an address, and of the session's state, for a page that is shown on a big screen (`widgets.present`)."""


def read() -> dict[str, str]:
    """The words of the address with which the page was asked for."""
    return st.query_params.to_dict()


def gone_to() -> dict[str, str] | None:
    """The same where the reader went Back or Forward to it, which asks for what it says; None where the page is drawn for any other reason."""
    params = read() if streamlit_patches.went_through_history() else {}
    return params if "v" in params else None


def write(params: Mapping[str, str]) -> None:
    """Keep the address bar in step."""
    if st.session_state.get(PRESENTS):
        params = {**params, PRESENT: "1"}
    if read() != params:
        st.query_params.from_dict(params)


def follow() -> None:
    """Back and Forward change language and presentation, too, before anything of the page is written; a link brings the latter along."""
    gone = gone_to()
    if (wanted := (gone or {}).get("lang")) in i18n.LANGUAGES:
        st.session_state[i18n.CHOSEN] = wanted
    if gone is not None or PRESENTS not in st.session_state:
        st.session_state[PRESENTS] = read().get(PRESENT) == "1"

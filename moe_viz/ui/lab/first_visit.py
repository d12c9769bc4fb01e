"""A first visit opens calm: with a recorded run that has learned already, until the reader's own has come as far or the reader presses something."""

from __future__ import annotations

import streamlit as st

from moe_viz.ui.lab.first_presses import first_presses
from moe_viz.ui.session import address
from moe_viz.ui.session import run as session_run
from moe_viz.ui.session.permalink import is_bare
from moe_viz.ui.session.recorded import recorded
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_cookie import remembered

STATE = "opens_calm"


def arrive() -> None:
    """To be called before the session has a run: whether this is a first visit by a bare address."""
    if STATE not in st.session_state:
        is_first = session_run.STATE not in st.session_state and not remembered().runs
        st.session_state[STATE] = is_first and is_bare(address.read())


def is_calm(run: SessionRun) -> bool:
    """Whether the recording is still what the page speaks of; once it is not, it never is again."""
    if not st.session_state.get(STATE):
        return False
    behind = run.latest is None or run.latest.snapshot.step < recorded().snapshot.step
    calm = st.session_state[STATE] = behind and run.n_actions == 0 and first_presses(run).pressed is None
    return calm

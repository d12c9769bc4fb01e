"""Which runs are this browser's: there are no accounts, so their ids lie in a cookie of the browser that opened them.

The ids are the keys to the runs; the cookie goes to this server alone and to no other site. A session reads it once, when it begins, and
keeps its own account from then on; a small script writes what changes back, so that several tabs do not undo each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.components.bundle import bundle

STATE, COOKIE = "remembered_runs", "moe_viz_runs"
MOST = 60
"""A cookie holds 4 kB."""
ENTRY = re.compile(r"([!~]?)([A-Za-z0-9_-]{16,64})")
"""An id; "!" before it: opened by a link, so others have it too; "~": one that My runs does not list, such as the first of runs in lock-step."""
_mount = component("moe_viz_remember", js=bundle("remember"))


@dataclass
class Remembered:
    """runs: id -> whether this browser began it (otherwise it was opened by a link), newest first. add, drop: for the cookie."""

    runs: dict[str, bool]
    add: dict[str, bool] = field(default_factory=dict)
    drop: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    """First runs of the groups, and runs that My runs does not list, that this browser has begun or has been told that others have, too."""

    def keep(self, run_id: str, own: bool) -> None:
        """Remember a run; one of ours stays ours."""
        own = own or self.runs.get(run_id, False)
        self.add = {run_id: own} | {other: is_own for other, is_own in self.add.items() if other != run_id}
        self.runs = {run_id: own} | {other: is_own for other, is_own in self.runs.items() if other != run_id}
        self.drop.discard(run_id)

    def know_group(self, first: str) -> None:
        """Remember a group by the id of its first run."""
        self.groups.add(first)

    def forget(self, run_id: str) -> None:
        """Forget a run."""
        self.add.pop(run_id, None)
        self.runs.pop(run_id, None)
        self.drop.add(run_id)


def remembered() -> Remembered:
    """This session's account of its browser's runs."""
    if STATE not in st.session_state:
        cookie = st.context.cookies.get(COOKIE, "")
        st.session_state[STATE] = Remembered(read(cookie), groups=set(read(cookie, groups=True)))
    return st.session_state[STATE]


def read(cookie: str, groups: bool = False) -> dict[str, bool]:
    """The runs that a cookie names, or its groups; whatever else it holds is passed over."""
    matches = (ENTRY.fullmatch(part) for part in cookie[:8192].split(".")[:MOST])
    return {match[2]: not match[1] for match in matches if match and (match[1] == "~") == groups}


def is_id(text: str) -> bool:
    """Whether a text can be a run's id at all."""
    return bool(match := ENTRY.fullmatch(text)) and not match[1]


def write_back() -> None:
    """Let the browser know what has changed in this session. Draws nothing; to be called once per page run."""
    known = remembered()
    if known.add or known.drop or known.groups:
        add = [run if own else f"!{run}" for run, own in known.add.items()]
        add += [f"~{first}" for first in sorted(known.groups)]
        with st.container(key="remember"):
            _mount(key="remember_runs", data={"add": add[:MOST], "drop": sorted(known.drop)[-MOST:], "most": MOST})

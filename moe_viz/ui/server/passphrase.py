"""The class passphrase: where the operator has set one, nothing of the lab is shown or started before it was given.

Asked once per session; a reload asks again, because nothing is stored in the browser that another page could use. A wrong guess makes the
session wait, and many of them everybody who is still outside: those who are inside never notice.
"""

from __future__ import annotations

import hmac
import math
import threading
import time
import unicodedata
from collections.abc import Callable
from hashlib import sha256

import streamlit as st

from moe_viz.settings import settings
from moe_viz.ui.i18n import _, picker

STATE = "door"
FIELD = "passphrase"
LONGEST = 200


class Guard:
    """How long a guess must wait. `free` wrong ones cost nothing, then each doubles the wait up to `longest_s`; one is forgiven every `forgive_s`."""

    def __init__(
        self, free: int, longest_s: float, forgive_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free, self._longest, self._forgive, self._clock = free, longest_s, forgive_s, clock
        self._wrong, self._last, self._open_at = 0.0, clock(), -math.inf
        self._lock = threading.Lock()

    def attempt(self) -> float:
        """Seconds until the next guess is looked at; 0: this one is, and counts as wrong until `right` is called."""
        with self._lock:
            now = self._clock()
            if now < self._open_at:
                return self._open_at - now
            self._wrong = max(self._wrong - (now - self._last) / self._forgive, 0.0) + 1
            self._last = now
            beyond = self._wrong - self._free
            if beyond > 0:
                self._open_at = now + min(2.0 ** min(beyond - 1, 30), self._longest)
            return 0.0

    def right(self) -> None:
        """The last guess was not wrong after all."""
        with self._lock:
            self._wrong, self._open_at = max(self._wrong - 1, 0.0), -math.inf


def own_guard() -> Guard:
    """Of one session: three typing errors, then 1 s, 2 s, ... up to a minute."""
    return Guard(free=3, longest_s=60.0, forgive_s=30.0)


EVERYBODY = Guard(free=40, longest_s=4.0, forgive_s=3.0)
"""Of the whole server, since a guesser can open new sessions: a class mistypes freely, a guesser gets one guess every four seconds."""


def is_right(given: str, wanted: str) -> bool:
    """Compare two passphrases in a time that says nothing about where they differ. Forms of the same letter and outer spaces do not count."""
    one, two = (
        sha256(unicodedata.normalize("NFKC", text).strip().encode(errors="surrogatepass")).digest()
        for text in (given, wanted)
    )
    return hmac.compare_digest(one, two)


def ask() -> None:
    """Return where there is no passphrase or this session has given it; otherwise draw the field and end the script run."""
    secret = settings().passphrase
    if secret is None or st.session_state.get(STATE) is True:
        return
    guard = st.session_state.setdefault(STATE, own_guard())
    with st.container(key="door", width=380):
        st.markdown("#### " + _("This lab asks for the class passphrase"))
        with st.form("door_form", border=False):
            given = st.text_input(_("Passphrase"), type="password", key=FIELD, max_chars=LONGEST)
            pressed = st.form_submit_button(_("Enter"), key="enter", type="primary")
        if pressed and (said := _try(given, secret.get_secret_value(), guard)):
            st.error(said, icon=":material/lock:")
    picker()
    st.stop()


def _try(given: str, wanted: str, guard: Guard) -> str:
    """Look at one guess; what is wrong with it. The right one opens the page."""
    for gate in (guard, EVERYBODY):
        if wait := gate.attempt():
            return _("Too many wrong tries. Try again in {n} s.").format(n=math.ceil(wait))
    if not is_right(given, wanted):
        return _("That is not the passphrase.")
    EVERYBODY.right()
    st.session_state[STATE] = True
    st.rerun()

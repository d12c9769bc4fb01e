"""Language of the page. Catalogues are gettext .po files, read directly: no build step, so a translation is never stale."""

from __future__ import annotations

import gettext
import io
import json
from functools import cache

import streamlit as st
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from moe_viz import paths

LOCALE = paths.ASSETS / "locale"
LANGUAGES = {"en": "English", "ru": "Русский"}
"""Code -> the language's own name."""
CHOSEN = "chosen_language"


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The translations of one language; English is the language of the source."""
    path = LOCALE / language / "LC_MESSAGES" / "moe_viz.po"
    if language not in LANGUAGES or not path.exists():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def language() -> str:
    """The session's language: chosen by the reader, else named in the link, else English."""
    chosen = st.session_state.get(CHOSEN) or st.query_params.get("lang", "en")
    return chosen if chosen in LANGUAGES else "en"


def picker() -> None:
    """Draw the choice of language at the foot of the sidebar, on every page. A language named in the link outlives it: other pages have none."""
    st.session_state["lang"] = st.session_state[CHOSEN] = language()
    with st.container(key="page_language"):  # a choice made here reaches a page that has long been served
        st.html(
            f"<script>document.documentElement.lang = {json.dumps(language())}</script>", unsafe_allow_javascript=True
        )
    st.sidebar.selectbox(
        _("Language"), list(LANGUAGES), format_func=LANGUAGES.__getitem__, key="lang", on_change=_choose
    )


def _choose() -> None:
    """Keep the choice beside the widget: a widget's own state ends with the page it stands on."""
    st.session_state[CHOSEN] = st.session_state["lang"]


def _(text: str | None) -> str:
    """Translate one text into the session's language."""
    return catalogue(language()).gettext(text) if text else ""


def is_ours(text: str) -> bool:
    """Whether a text is one of the program's own, which a translation proves; anything else may hold what somebody typed."""
    return any(catalogue(known).gettext(text) != text for known in LANGUAGES)

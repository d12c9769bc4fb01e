"""The map of the glossary: the words of each topic as buttons, with lines between those that belong together.

A press chooses a word; what it means the page shows beside the map. The drawing is in assets/components/word_map; the page's list of all words
is its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.spec.knobs import N_

LABELS: dict[str, str] = {
    "name": N_("Map of the words"),
    "near": N_("belongs to the chosen word"),
}
_VERSION, _SOURCE = view_script("word_map")
_mount = component(
    "moe_viz_word_map", js=loader(), html='<div class="mv notranslate" translate="no" style="min-height: 30rem"></div>'
)


def pack_words(
    topics: Mapping[str, Sequence[tuple[str, str]]], near: Mapping[str, Sequence[str]], chosen: str
) -> dict[str, Any]:
    """What the map is drawn from, JSON-ready; each line once, whichever way it is declared.

    topics: title of each topic -> (id, name) of its words;  near: id -> ids of its neighbours.
    """
    lines = sorted({tuple(sorted((word, other))) for word, others in near.items() for other in others})
    return {
        "topics": [
            {"title": title, "words": [{"id": id_, "name": name} for id_, name in words]}
            for title, words in topics.items()
        ],
        "lines": lines,
        "chosen": chosen,
    }


def word_map(data: Mapping[str, Any], *, key: str, labels: Mapping[str, str], on_word: Callable[[], None]) -> None:
    """Draw the map that `pack_words` has packed. on_word: a word was pressed; `pressed_word` says which. labels: translated `LABELS`."""
    held = st.session_state.get(key) or {}
    script = {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE}
    sent = as_bytes({**data, "labels": dict(labels), "script": script})
    _mount(key=key, data=sent, default={"script": ""}, on_script_change=_ignore, on_word_change=on_word)


def pressed_word(key: str) -> Any:
    """What the browser says was pressed; anybody can send anything in its place."""
    return (st.session_state.get(key) or {}).get("word")


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

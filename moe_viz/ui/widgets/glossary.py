"""Words of the field on a page: where one stands, its definition opens on hover, on focus and on a tap.

A word is a link in Markdown, whose definition the view `components.glossary` shows. `mark` finds the words of a text by itself; `words` names
those of pictures, in which no text can be a link.
"""

from __future__ import annotations

import re

import streamlit as st

from moe_viz.components.glossary import LINK, definitions
from moe_viz.lessons.glossary import glossary
from moe_viz.ui.i18n import _, language
from moe_viz.ui.widgets import present

KEY = "glossary"
OF_KNOBS = {
    "router": "gate",
    "n_experts": "expert",
    "k": "top_k",
    "capacity_factor": "capacity",
    "drop_policy": "dropped",
    "balance_coef": "balancing_loss",
    "z_coef": "z_loss",
    "batch_tokens": "batch",
    "freeze_router": "router",
    "grad_ledger": "gradient",
    "seed": "seed",
}
"""Word of a knob -> the word of the field that its control explains."""
_LEAVE = re.compile(r"`[^`]*`|\$[^$]*\$|!?\[[^\]]*\]\([^)]*\)|:[a-z-]+\[[^\]]*\]|:[a-z]+/[a-z_]+:|\\.|<[^>]*>")
"""Parts of Markdown that are no text, or are a link already."""


def draw() -> None:
    """Have the definitions at hand on this page; once, outside of what ticks."""
    with st.container(key=KEY):
        definitions(
            {name: (term.name, term.text) for name, term in glossary(language()).items()}, key="glossary_definitions"
        )


def mark(text: str) -> str:
    """Markdown with a link at the first place of each word. Text of others must be escaped before; it stays so."""
    left = [found.span() for found in _LEAVE.finditer(text)]
    parts, at, seen = [], 0, set()
    for begin, end, name in glossary(language()).find(text):
        if name in seen or any(begin < until and end > since for since, until in left):
            continue
        seen.add(name)
        parts += [text[at:begin], _link(name, text[begin:end])]
        at = end
    return "".join([*parts, text[at:]])


def words(*names: str, key: str) -> None:
    """One line with the words of the pictures beside it; none on the big screen. names: their ids."""
    if present.is_on():
        return
    known = glossary(language())
    with st.container(key=f"words_{key}"):
        st.caption(_("Words here: {words}").format(words=" · ".join(_link(name, known[name].name) for name in names)))


def explained(word: str, text: str) -> str:
    """The help of a knob, and below it the definition of the word that it sets."""
    term = glossary(language()).get(OF_KNOBS.get(word, ""))
    return text if term is None else f"{text}\n\n**{term.name}**: {term.text}"


def _link(name: str, text: str) -> str:
    return f"[{text}]({LINK}{name})"

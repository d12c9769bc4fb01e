"""Definitions that open at a word of the page: a link to `#word-<id>` shows the definition of that word while the pointer is on it, while
it has the keyboard's focus, or when it is tapped.

Mounted once for a whole page, outside of what ticks, so that no update closes what is open. The code is in assets/components/glossary.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamlit.components.v2 import component

from moe_viz.components.bundle import ASSETS, bundle

LINK = "#word-"
"""Begin of what a link names."""
_mount = component(
    "moe_viz_glossary",
    html='<div class="moe-viz-words"></div>',
    css=(ASSETS / "glossary" / "glossary.css").read_text(encoding="utf-8"),
    js=bundle("glossary"),
    isolate_styles=False,  # the links are those of the page
)


def definitions(terms: Mapping[str, tuple[str, str]], *, key: str) -> None:
    """Have these definitions at hand. terms: id -> (name, definition), both shown as plain text."""
    _mount(key=key, data={"terms": [[name, *shown] for name, shown in terms.items()]})

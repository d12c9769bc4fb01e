"""Text from outside (a link, a file, a typed value) made harmless before Streamlit sees it.

Streamlit reads nearly every text as Markdown: toasts, errors, captions, labels. HTML is escaped there, but links, pictures that the
browser fetches, formulas, colours and emoji codes are not. `clean` is for places that show text as it is, `escape_markdown` for Markdown.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 200
"""Characters of a text from outside that are shown."""
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that are not seen or reorder what is seen: controls, bidi overrides, zero-width, surrogates, line separators."""
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")
_ENTICING = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=\S)|(?<=[-<>])(?=[-=>])", re.IGNORECASE)
_JOINER = "\u2060"
"""Invisible and without width: Markdown finds no address behind "www", "@" or a colon that it follows, and no arrow in "->"."""


def clean(text: object, longest: int = LONGEST) -> str:
    """One line of visible characters, cut to `longest`. What cannot be seen is replaced by U+FFFD, white space by a space."""
    text = str(text)
    cut = text if len(text) <= longest else text[:longest] + "…"
    return "".join(" " if c in "\n\r\t" else "\ufffd" if unicodedata.category(c) in UNSEEN else c for c in cut)


def escape_markdown(text: object, longest: int = LONGEST) -> str:
    """Markdown that shows exactly `clean(text)`: no links, pictures, formulas, HTML, colours, icons or emoji codes."""
    return _MARKUP.sub(r"\\\1", _ENTICING.sub(_JOINER, clean(text, longest)))

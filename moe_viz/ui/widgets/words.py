"""What the engine says, in the reader's language."""

from __future__ import annotations

from typing import Any

from moe_viz.engine.protocol import EngineError
from moe_viz.spec.sentence import Knobs, Sentence
from moe_viz.ui.widgets.escape import inert
from moe_viz.ui.widgets.i18n import _, is_ours

LONGEST_SENTENCE = 500
"""Characters of a refusal that are shown."""


def in_words(said: EngineError | Sentence | str) -> str:
    """What the engine said as Markdown in the reader's language: errors and sentences carry a template and its values.

    Only a template with values is ours alone; everything else may hold what somebody typed, so nothing in it is interpreted.
    """
    values = getattr(said, "values", None)
    if values:
        shown = {name: _in_words(value) for name, value in values.items()}
        return _(said.template).format(**shown)
    text = getattr(said, "template", None) or str(said)
    return _(text) if is_ours(text) else inert(text, LONGEST_SENTENCE)


def _in_words(value: Any) -> Any:
    if isinstance(value, Knobs):
        return ", ".join(
            Knobs.write(_(title), *(_(value) if is_ours(value) else inert(value) for value in values))
            for title, *values in value.parts
        )
    if isinstance(value, Sentence):
        return in_words(value)
    return inert(value) if isinstance(value, str) else value

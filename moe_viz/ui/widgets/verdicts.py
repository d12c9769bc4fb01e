"""What a page says of its run: the calm sentence of each layer, and the badge on the tab of a layer that is not shown but in trouble."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import streamlit as st

from moe_viz.engine.protocol import Update
from moe_viz.records.metrics import WINDOW
from moe_viz.records.narration import Story
from moe_viz.records.verdict import Verdicts, in_trouble
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.glossary import mark

STATE = "verdicts"
ANNOUNCED = "announced"
SIGNS = {"good": ":green[●]", "info": ":blue[●]", "warning": ":orange[▲]", "bad": ":red[■]"}
"""Severity -> a mark whose shape differs as well as its colour."""
BADGES = {"warning": "▲", "bad": "■"}


def stories(page: str, run_id: str | None, shown: Update) -> list[Story]:
    """One story per layer of the run that `page` shows; another run, or a restart, begins with nothing said."""
    kept = st.session_state.setdefault(STATE, {})
    of = (run_id, shown.epoch)
    if page not in kept or kept[page][0] != of:
        kept[page] = (of, Verdicts())
    return kept[page][1].feed(time.monotonic(), shown.snapshot, shown.history)


def layer_names(told: list[Story], shown: int) -> Callable[[int], str]:
    """Layer (from 0) -> what stands on its tab: "Layer 2", or "Layer 2 ▲" where it is in trouble and not the one that the page speaks of."""
    troubled = in_trouble(told, shown)

    def name(layer: int) -> str:
        text = _("Layer {n}").format(n=layer + 1)
        return f"{text} {BADGES[told[layer].severity]}" if layer in troubled else text

    return name


def sentence(story: Story, n_layers: int) -> None:
    """The sentence about the layer that is shown, of which steps it speaks, its severity as a mark in front, and the rule that chose it on demand."""
    _announce(story)
    parts = [_("Layer {n}").format(n=story.layer + 1)] if n_layers > 1 and story.layer is not None else []
    if "{share}" in story.template:  # a number that the picture beside it, of one batch, does not have
        parts.append(_("last {n} steps").format(n=WINDOW))
    where = ", ".join(parts)
    where = f"**{where[:1].upper()}{where[1:]}.** " if where else ""
    st.markdown(f"{SIGNS[story.severity]} {where}{mark(unbroken(story.text(_)))}", help=unbroken(story.reason(_)))


def _announce(story: Story) -> None:
    """A screen reader hears of another kind of sentence, as it was when it came up, and not of each tick's numbers."""
    kind, old = (story.layer, story.kind), st.session_state.get(ANNOUNCED)
    if old is None or old[0] != kind:  # whoever has just come reads the page itself
        st.session_state[ANNOUNCED] = kind, unbroken(story.text(_)) if old is not None else ""


def announced() -> str:
    """What is to be heard of the run's sentence: the first of its kind, "" before it has changed."""
    return st.session_state.get(ANNOUNCED, (None, ""))[1]


def unbroken(text: str) -> str:
    """The text with narrow spaces that no line ends at inside its numbers: "26 %", "2.1 ×", and between thousands."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)|(?<=\d) (?=[%×])", "\u202f", text)


def shown_layer(key: str, held: int, n_layers: int) -> int:
    """The layer that the picker `key` stands on; `held` before it has been drawn once."""
    picked = st.session_state.get(key)
    return min(held if picked is None else picked, n_layers - 1)

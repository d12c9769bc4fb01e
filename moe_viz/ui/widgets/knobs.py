"""Controls made from `spec`: which widget a knob gets follows from its declaration. The widget's key is the knob's word.

The run's config is the truth: before a widget is drawn, its state is set from the config, and a callback turns the knob.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, Config, RunConfig, causality_of
from moe_viz.spec.describe import bounds, choices
from moe_viz.spec.knobs import N_, declared, is_live
from moe_viz.spec.routers import OFFERED
from moe_viz.spec.routers.base import CHOOSERS
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.glossary import explained
from moe_viz.ui.words import show

RESTARTS = N_("↻ restarts")
"""Stands beside the name of a knob, so that eyes and screen readers know it before they touch it."""


def control(word: str, config: Config, turn: Callable[[str], None], key: str | None = None) -> None:
    """Draw the control of one knob. `turn(word)` is called after the reader changed it; key: of the widget, where it is not the word."""
    key = key or word
    info = config.fields()[word]
    value = config.flat()[word]
    extra = declared(info)
    label, text = _(info.title or word), _(info.description or "")
    if extra.get("unit") and word != "speed":
        label = f"{label} ({_(extra['unit'])})"
    if not is_live(info):
        label, text = f"{label} {_(RESTARTS)}", f"{text} {_('Changing it restarts the run.')}"
    text = explained(word, text)
    options = _options(word, config, value, extra.get("stops"))
    common: dict[str, Any] = {"key": key, "help": text, "on_change": turn, "args": (word,)}
    st.session_state[key] = value
    if choices(info) == [False, True]:
        st.toggle(label, **common)
    elif options is not None and (word in ("task", "router") or choices(info) is not None):
        st.selectbox(label, options, format_func=lambda v: show(word, v), **common)
        if word == "router":
            facts = ROUTER_OPTIONS[value].facts
            published = _("As published ({year}): {idea}").format(year=facts.year, idea=_(facts.idea))
            st.caption(f"**{_(CHOOSERS[facts.chooser])}.** {published}")  # buffers and k are as the knobs say
            if isinstance(config, RunConfig) and config.task.causal and (found := causality_of(config)).source:
                st.caption(":orange[▲] " + _("Not causal: {reason}").format(reason=_(found.reason)))
    elif options is not None and len(options) > 1:
        st.select_slider(label, options, format_func=lambda v: show(word, v), **common)
    elif options is not None:
        st.select_slider(label, [*options, options[0]], format_func=lambda v: show(word, v), disabled=True, **common)
    elif isinstance(value, str):
        st.text_input(label, **common)
    else:
        low, high = bounds(info)
        whole = isinstance(value, int)
        kind = int if whole else float
        st.number_input(
            label,
            min_value=None if low is None else kind(low),
            max_value=None if high is None else kind(high),
            step=1 if whole else None,
            format=None if whole else "%g",
            **common,
        )


def _options(word: str, config: Config, value: Any, stops: list[Any] | None) -> list[Any] | None:
    """The values a control offers: those of the declaration, and the present one if it is not among them."""
    if word == "task":
        return list(TASK_OPTIONS)
    if word == "router":
        return OFFERED
    info = config.fields()[word]
    if choices(info) is not None:
        return choices(info)
    if word == "k":
        low, high = bounds(info)
        n_experts = config.flat()["n_experts"]
        most = n_experts if high is None else min(int(high), n_experts)
        stops = list(range(int(low or 1), most + 1))
    if stops is None:
        return None
    if value in stops:
        return stops
    numbers = sorted({v for v in stops if isinstance(v, int | float)} | {value})
    return [v for v in stops if v is None] + numbers + [v for v in stops if isinstance(v, str)]


def words(config: Config, level: str) -> list[str]:
    """The words of one level ("basic" or "more"), in the order of their declaration."""
    fields = config.fields()
    return [word for word, info in fields.items() if declared(info).get("level") == level]

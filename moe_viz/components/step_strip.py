"""The strip of One step: a token's way through one training step as seven stations, each a small picture of the step's own numbers.

It stands above the cards that it leads to, shows which of them is being read, and goes to a card at a press. The drawing is in
assets/components/step_strip; the cards, with every number written out, are its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from moe_viz.charts.palette import COLORS
from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.records.step_story import StepStory
from moe_viz.spec.knobs import N_

LABELS: dict[str, str] = {
    "name": N_("Stations of this step"),
    "token": N_("Token"),
    "scores": N_("Scores"),
    "choice": N_("Choice"),
    "slot": N_("Slot"),
    "expert": N_("Expert"),
    "sum": N_("Sum"),
    "gradient": N_("Gradient"),
}
CARDS = {"loss": "gradient", "gradient": "gradient", "row": "gradient"}
"""Card -> the station that is lit while it is read, where it is not the one of the same name."""
MOST_RANKED = 8
"""Experts in the picture of the choice: the highest ranked, and the chosen ones wherever they rank."""
MOST_ROUTES = 3
"""Routes with a row of their own in the pictures of slot and expert."""

_VERSION, _SOURCE = view_script("step_strip")
_mount = component(
    "moe_viz_step_strip", js=loader(), html='<div class="mv notranslate" translate="no" style="min-height: 6rem"></div>'
)


def pack_story(story: StepStory, hidden: bool = False) -> dict[str, dict[str, Any]]:
    """Station -> what its picture is drawn from, JSON-ready. Experts count from 0.

    hidden: the reader works the results out: nothing that the cards hide then is in it.

    token     bars [D]: what arrives, x
    scores    bars [E]: gates p (hidden: logits; none where the router has no scores);  experts [E];  chosen
    choice    order: experts by what the choice goes by, from the highest;  chosen;  more: others are left out
    slot      queues: expert, place (from 0) and asked of each route, kept, and capacity (None: dropless, or hidden)
    expert    parts: expert and share of its hidden units that answer
    sum       parts: expert and combine weight (Soft MoE: share of the output);  bars [D]: y.  Hidden: neither
    gradient  bars [E]: dL/d logit (none where no gradient reaches the scores);  experts [E];  chosen
    """
    routes = story.routes
    chosen = [route.expert for route in routes]
    experts = list(range(story.n_experts))
    scores = None if story.logits is None else story.logits if hidden else story.probs
    blends = [(e, float(share)) for e, share in enumerate(story.probs)]
    weights = [(route.expert, route.weight) for route in routes if route.kept] if routes else blends
    ranked = _ranked(story, chosen)
    return {
        "token": {"bars": _numbers(story.x)},
        "scores": {"bars": _numbers(scores), "experts": experts, "chosen": chosen},
        "choice": {"order": ranked, "chosen": chosen, "more": bool(ranked) and len(ranked) < story.n_experts},
        "slot": {
            "queues": [
                {
                    "expert": route.expert,
                    "place": route.place,
                    "asked": route.asked_of,
                    "kept": route.kept,
                    "capacity": None if hidden else story.capacity,
                }
                for route in routes[:MOST_ROUTES]
            ]
        },
        "expert": {
            "parts": [{"expert": route.expert, "share": route.active / route.hidden} for route in routes[:MOST_ROUTES]]
        },
        "sum": {
            "parts": [] if hidden else [{"expert": e, "share": _short(weight)} for e, weight in weights],
            "bars": [] if hidden else _numbers(story.y),
        },
        "gradient": {"bars": _numbers(story.dlogits), "experts": experts, "chosen": chosen},
    }


def step_strip(
    story: StepStory,
    *,
    key: str,
    figures: Mapping[str, str],
    cards: Mapping[str, str],
    hidden: bool = False,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Draw the strip.

    figures: station -> its number in a few words, in the reader's language.  cards: name -> title of each card on the page, in its order;
    the card `name` stands in a container with the key `panel_<name>`.  labels: translated `LABELS`.
    """
    held = st.session_state.get(key) or {}
    said = {**LABELS, **(labels or {})}
    packed = pack_story(story, hidden)
    data = {
        "stations": [
            {"name": name, "title": said[name], "figure": figures[name], **picture} for name, picture in packed.items()
        ],
        "cards": [
            {"name": name, "title": title, "station": CARDS.get(name, name if name in packed else None)}
            for name, title in cards.items()
        ],
        "colours": COLORS,
        "name": said["name"],
        "script": {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE},
    }
    _mount(key=key, data=as_bytes(data), default={"script": ""}, on_script_change=_ignore)


def translated(translate: Callable[[str], str]) -> dict[str, str]:
    """All labels, each passed through `translate`."""
    return {name: translate(text) for name, text in LABELS.items()}


def _ranked(story: StepStory, chosen: Sequence[int]) -> list[int]:
    """Experts from the highest ranked on; just the chosen ones where no ranking by scores led to them."""
    if story.ranking is None or story.logits is None:
        return list(chosen)
    order = np.argsort(-story.ranking, kind="stable").tolist()
    others = [expert for expert in order if expert not in chosen]
    shown = {*chosen, *others[: max(0, MOST_RANKED - len(chosen))]}
    return [expert for expert in order if expert in shown]


def _numbers(values: np.ndarray | None) -> list[float]:
    """Four digits that count; what is not finite has no bar."""
    return [] if values is None else [_short(value) for value in np.nan_to_num(values, posinf=0, neginf=0)]


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

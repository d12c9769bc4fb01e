"""Be the router: tokens that a reader drags to the slots of experts, and what that costs by the losses that were measured.

The game is in assets/components/be_router; the page's table of gates and losses is its twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.charts.palette import COLORS
from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.records.assignment import AssignmentLosses
from moe_viz.spec.knobs import N_

LABELS: dict[str, str] = {
    "help": N_("Drag each token to a slot, or tap it and then a slot; by keyboard: its expert's number, 0 takes it out. Each expert has {slots} slots. The bars are the gates: how much the router would trust each expert with this token."),
    "left_out": N_("Left out: no expert"),
    "all_placed": N_("Every token has a slot."),
    "judge": N_("What does it cost?"),
    "reveal": N_("Show all losses"),
    "hide": N_("Hide the losses"),
    "empty": N_("Take all out"),
    "gate": N_("expert {expert} {share}"),
    "at": N_("expert {expert}, slot {slot}"),
    "out": N_("left out"),
    "expert": N_("Expert {n}: {filled} of {slots} slots taken"),
    "full": N_("Expert {n} is full. Drop the token on the one that shall make room."),
    "sent": N_("{token} is with expert {expert}, slot {slot}."),
    "taken_out": N_("{token} is left out."),
    "picked": N_("{token} is picked: tap a slot."),
    "result": N_("Your mean loss is {loss}: {score} of the way from chance to the best that is possible."),
    "scale": N_("The line is chance: the mean over all ways to fill the slots. The right end is the best of all, found exactly. Figures: part of the way, and mean loss."),
    "you": N_("You"),
    "matrix": N_("Loss of each token through each expert alone. Outlined: where it is now; ★: its lowest, were there room."),
    "token": N_("token"),
    "none": N_("none"),
}  # fmt: skip
RIVALS: dict[str, str] = {
    "best": N_("The best possible"),
    "by_gate": N_("Largest sum of gates (BASE)"),
    "next_best": N_("Next best expert with room"),
    "model": N_("The model: first come, first served"),
    "untrained": N_("The same router before training"),
}
_VERSION, _SOURCE = view_script("be_router")
_mount = component(
    "moe_viz_be_router", js=loader(), html='<div class="mv notranslate" translate="no" style="min-height: 34rem"></div>'
)


def pack_game(game: AssignmentLosses, rivals: Mapping[str, str]) -> dict[str, Any]:
    """What the game is played with, JSON-ready. Experts count from 0. rivals: translated `RIVALS`."""
    chosen = game.rivals()
    return {
        "id": f"{game.seed}-{game.step}-{game.deal}",
        "tokens": game.tokens.tolist(),
        "n_experts": game.n_experts,
        "n_slots": game.slots,
        "probs": [[float(f"{p:.4g}") for p in row] for row in game.probs.tolist()],
        "losses": game.losses.tolist(),
        "random": game.random,
        "best": game.loss(chosen["best"]),
        "rivals": [
            {"title": rivals[name], "loss": game.loss(experts), "score": game.score(experts)}
            for name, experts in chosen.items()
        ],
        "colours": COLORS,
    }


def be_router(data: Mapping[str, Any], *, key: str, labels: Mapping[str, str]) -> None:
    """Draw what `pack_game` has packed. labels: translated `LABELS`."""
    held = st.session_state.get(key) or {}
    script = {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE}
    sent = as_bytes({**data, "labels": dict(labels), "script": script})
    _mount(key=key, data=sent, default={"script": ""}, on_script_change=_ignore)


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

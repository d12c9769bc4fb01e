"""The gate map: the plane in the colours of the experts that own it, the data on top, the gate's probabilities under the cursor, and a
brush to paint other data.

One component is mounted per key and redrawn in place; the drawing is in assets/components/gate_map. What the reader painted comes back
as a text that `spec.points` reads, and is checked here again before anybody sees it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from moe_viz.charts.palette import COLORS, PATTERNS
from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.components.events import finite
from moe_viz.records.gate_map import GateMap
from moe_viz.spec.knobs import N_
from moe_viz.spec.points import GRID, LETTERS, MOST_POINTS, N_CLASSES, decode_points, encode_points

LABELS: dict[str, str] = {
    "name": N_("Gate map"),
    "title": N_("Gate map, step {step}, layer {layer}"),
    "expert": N_("Expert {n}"),
    "nobody": N_("No expert"),
    "place": N_("x {x}, y {y}"),
    "predicts": N_("predicts {letter}"),
    "predicts_nothing": N_("no answer: dropped"),
    "others": N_("{n} others"),
    "hint": N_("Point at a place, or use the arrow keys, to see the gate's probabilities there."),
    "cursor": N_("Place on the map, moved by the arrow keys"),
    "owner": N_("colour: the owner; strength: its probability, 0 to 1"),
    "class": N_("points: class {letter}"),
    "answers": N_("Predicted classes"),
    "answers_legend": N_("dotted: the predicted class changes"),
    "paint": N_("Paint data"),
    "brush": N_("Brush {letter}"),
    "erase": N_("Erase"),
    "clear": N_("Clear"),
    "count": N_("{n} of {most} points"),
    "full": N_("{most} points is the most."),
    "painting": N_(
        "Each stroke restarts the run on what is painted. Space: a point at the cursor; Delete: erase there."
    ),
    "empty": N_("Nothing is painted yet: the run keeps its data."),
}

_VERSION, _SOURCE = view_script("gate_map")
_mount = component(
    "moe_viz_gate_map", js=loader(), html='<div class="mv notranslate" translate="no" style="min-height: 34rem"></div>'
)


def pack_map(gate_map: GateMap) -> dict[str, Any]:
    """Payload of one map, JSON-ready; about 100 kB for 64 × 64 places and 8 experts.

    Flat lists are row-major from below, base64 of bytes: `owner` [R*R] from 1, 0 = none; `prediction` [R*R] the same for classes; `probs`
    [E*R*R], expert by expert, two bytes each (low, high), in steps of `unit`: fine enough that nearly equal gates make no ragged borders.  points: flat x, y,
    class, x, y, class, on the grid of `spec.points`.  follows: the owner is the most probable expert everywhere, so that borders can be
    drawn between the places of the grid.
    """
    probs = np.nan_to_num(gate_map.probs.astype(np.float32)).clip(min=0)
    top = float(probs.max(initial=0)) or 1.0
    shown = np.rint((gate_map.points + 1) * (GRID - 1) / 2).clip(0, GRID - 1).astype(int)
    return {
        "step": int(gate_map.step),
        "layer": int(gate_map.layer),
        "resolution": gate_map.resolution,
        "n_experts": gate_map.n_experts,
        "owner": _bytes(gate_map.owner + 1, "u1"),
        "prediction": _bytes(gate_map.prediction + 1, "u1"),
        "probs": _bytes(np.rint(np.moveaxis(probs, 2, 0) * 65535 / top), "<u2"),
        "unit": top / 65535,
        "follows": _follows(gate_map),
        "points": np.concatenate([shown, gate_map.classes[:, None]], axis=1).reshape(-1).tolist(),
    }


def gate_map_view(
    gate_map: GateMap,
    *,
    key: str,
    summary: str,
    painted: str = "",
    labels: Mapping[str, str] | None = None,
    height: int = 520,
    motion: bool = True,
) -> None:
    """Draw the map. summary: the picture in one sentence, for readers who do not see it.  painted: the run's own `points`.

    What the reader paints is `asked_points(key)`.  labels: translated `LABELS`.  motion: False stops the moving of borders.
    """
    held = st.session_state.get(key) or {}
    data = pack_map(gate_map) | {
        "look": {"colours": COLORS, "patterns": PATTERNS},
        "labels": {**LABELS, **(labels or {})},
        "letters": LETTERS[:N_CLASSES],
        "grid": GRID,
        "most": MOST_POINTS,
        "painted": painted,
        "summary": summary,
        "height": height,
        "motion": motion,
        "script": {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE},
    }
    _mount(
        key=key,
        data=as_bytes(data),
        default={"painted": None, "script": ""},
        on_painted_change=_ignore,
        on_script_change=_ignore,
    )


def asked_points(key: str) -> tuple[str, float] | None:
    """(points, stamp) that the reader painted last; the stamp differs from stroke to stroke. None before the first.

    Raises ValueError, saying what is allowed, where the page sends anything that is not painted points.
    """
    sent = (st.session_state.get(key) or {}).get("painted")
    if sent is None:
        return None
    if not isinstance(sent, dict) or not isinstance(sent.get("points"), str):
        raise ValueError(f"painted points must be a text, not {type(sent).__name__}")
    return encode_points(decode_points(sent["points"])), finite(sent.get("stamp"), "the stamp of the painted points")


def translated(translate: Callable[[str], str]) -> dict[str, str]:
    """All labels, each passed through `translate`."""
    return {name: translate(text) for name, text in LABELS.items()}


def _follows(gate_map: GateMap) -> bool:
    """Whether each owner is the most probable expert there."""
    own = np.take_along_axis(gate_map.probs, np.maximum(gate_map.owner, 0)[..., None].astype(np.int64), 2)[..., 0]
    return bool((gate_map.owner >= 0).all() and (own + 1e-6 >= gate_map.probs.max(2)).all())


def _bytes(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode()


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

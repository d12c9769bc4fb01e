"""A mixture while it is fitted: points, experts' lines with their spread, the blend between them, and whom the gate would ask along x.

One component is mounted per key and redrawn in place; the drawing is in assets/components/mixture. What the reader moved or painted comes back as a
text that `spec.points` reads, which iteration is to be seen as a number; both are checked here again before anybody sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from moe_viz.charts.palette import COLORS, PATTERNS
from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.components.events import finite
from moe_viz.records.mixture import MixturePicture
from moe_viz.spec.knobs import N_
from moe_viz.spec.points import GRID, MOST_POINTS, decode_points, encode_points

LABELS: dict[str, str] = {
    "name": N_("Mixture"),
    "title": N_("Iteration {step}"),
    "facts": N_("{n} points, {experts} experts"),
    "expert": N_("expert {n}"),
    "place": N_("x = {x}, y = {y}"),
    "prior": N_("prior: asked before y is seen"),
    "posterior": N_("posterior: answers for it"),
    "pull": N_("share of the pull on the experts"),
    "error": N_("squared error, in parts of the variance"),
    "asked": N_("whom the gate asks along x"),
    "line": N_("an expert's answer: stronger where it is asked"),
    "ribbon": N_("± its spread"),
    "blend": N_("the blend of all"),
    "point": N_("data, coloured by who answers for it"),
    "hint": N_("Choose a point to see what it says of each expert."),
    "cursor": N_("The data: arrow keys choose a point, Enter takes it up and puts it down, Delete rubs it out"),
    "held": N_("Taken up: arrow keys move it."),
    "move": N_("Move points"),
    "paint": N_("Paint points"),
    "erase": N_("Erase"),
    "back": N_("Back to the data"),
    "move_note": N_("Drag a point: the fit goes on with it where you leave it."),
    "paint_note": N_("Paint: the fit goes on with what is there."),
    "erase_note": N_("Rub points out: the fit goes on without them."),
    "full": N_("{most} points is the most."),
    "moment": N_("Look back"),
    "iteration": N_("iteration {step} of {newest}"),
    "tree": N_("The tree of gates: each box shows along x how likely the first branch is"),
}

_VERSION, _SOURCE = view_script("mixture")
_mount = component(
    "moe_viz_mixture", js=loader(), html='<div class="mv notranslate" translate="no" style="min-height: 34rem"></div>'
)


def pack(picture: MixturePicture) -> dict[str, Any]:
    """Payload of one moment, JSON-ready; about 20 kB for 270 points and two experts."""
    return {
        "step": int(picture.step),
        "newest": int(picture.newest),
        "x": _rounded(picture.x),
        "y": _rounded(picture.y),
        "places": picture.places.reshape(-1).tolist(),
        "limits": list(picture.limits),
        "along": _rounded(picture.grid),
        "lines": [_rounded(row) for row in picture.lines],
        "spread": [_rounded(row) for row in picture.spread],
        "gate": [np.round(row, 3).tolist() for row in picture.gate],
        "blend": _rounded(picture.blend),
        "splits": [np.round(row, 3).tolist() for row in picture.splits],
        **{
            name: np.round(getattr(picture, name).reshape(-1), 3).tolist()
            for name in ("prior", "posterior", "pull", "error")
        },
    }


def mixture_view(
    picture: MixturePicture,
    *,
    key: str,
    axis: tuple[str, str],
    summary: str,
    painted: str = "",
    selected: int = 0,
    ribbons: bool = True,
    strip: bool = True,
    labels: Mapping[str, str] | None = None,
    height: int = 560,
    motion: bool = True,
) -> None:
    """Draw one moment. axis: what x and y are;  summary: the picture in one sentence;  painted: the run's own `points`;  selected: the point chosen at
    first;  ribbons: experts have a spread of their own;  strip: draw whom the gate asks;  labels: translated `LABELS`;  motion: False stops gliding.

    What the reader moves or paints is `asked_points(key)`, the iteration to be seen `asked_moment(key)`.
    """
    held = st.session_state.get(key) or {}
    data = pack(picture) | {
        "axis": {"x": axis[0], "y": axis[1]},
        "look": {"colours": COLORS, "patterns": PATTERNS},
        "labels": {**LABELS, **(labels or {})},
        "grid": GRID,
        "most": MOST_POINTS,
        "painted": painted,
        "selected": selected,
        "ribbons": ribbons,
        "strip": strip,
        "summary": summary,
        "height": height,
        "motion": motion,
        "script": {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE},
    }
    _mount(
        key=key,
        data=as_bytes(data),
        default={"painted": None, "at": None, "script": ""},
        on_painted_change=_ignore,
        on_at_change=_ignore,
        on_script_change=_ignore,
    )


def asked_points(key: str) -> tuple[str, float] | None:
    """(points, stamp) that the reader left last, "" for those of the data; the stamp differs from time to time. None before the first.

    Raises ValueError, saying what is allowed, where the page sends anything that is not points.
    """
    sent = (st.session_state.get(key) or {}).get("painted")
    if sent is None:
        return None
    if not isinstance(sent, dict) or not isinstance(sent.get("points"), str):
        raise ValueError(f"painted points must be a text, not {type(sent).__name__}")
    return encode_points(decode_points(sent["points"])), finite(sent.get("stamp"), "the stamp of the painted points")


def asked_moment(key: str) -> tuple[int | None, float] | None:
    """(iteration, stamp) that the reader went back to, None as iteration for the newest. None before the first, and for anything that the page
    cannot have sent."""
    sent = (st.session_state.get(key) or {}).get("at")
    if not isinstance(sent, dict):
        return None
    try:
        step = None if sent.get("step") is None else int(finite(sent["step"], "step"))
        return step, finite(sent.get("stamp"), "stamp")
    except ValueError:
        return None


def translated(translate: Callable[[str], str]) -> dict[str, str]:
    """All labels, each passed through `translate`."""
    return {name: translate(text) for name, text in LABELS.items()}


def _rounded(values: np.ndarray) -> list[float]:
    """Five digits that count: more cannot be seen."""
    return [float(f"{value:.5g}") for value in np.asarray(values, np.float64).tolist()]


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

"""The routing view: the probe batch on the left, the experts and their buffers on the right, linked by hover, focus and tap.

One component is mounted per key and redrawn in place with each snapshot. Its data is `pack(trace)`; the drawing is in
assets/components/routing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from moe_viz.charts.palette import COLORS, PATTERNS
from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.components.labels import LABELS
from moe_viz.components.pack import pack
from moe_viz.records.metrics import requested_counts
from moe_viz.records.trace import RoutingTrace

# Streamlit sends a component's script with every update. Registered is only the loader; the view itself travels in the data until
# the page has answered that it holds it, which makes an update six times smaller.
VERSION, SOURCE = view_script("routing")
HTML = '<div class="mv notranslate" translate="no" style="min-height: 29rem"></div>'
LANGUAGES = {"English": "en", "Russian": "ru", "Python": "en", "Your text": ""}
"""Group -> the language of its tokens, for voices and fonts; "": any. Numbers, images and points are read in that of the page."""
_mount = component("moe_viz_routing", js=loader(), html=HTML)


def routing_view(
    traces: Sequence[RoutingTrace],
    *,
    layer: int,
    key: str,
    selected: Mapping[str, Any] | None = None,
    **look: Any,
) -> Any:
    """Draw how `traces[layer]` routed its batch; the result's `selected` is what the reader pinned, or None.

    selected: {"kind": "token" | "expert", "index": int}, given here to pin from outside, returned when pinned in the view.
    look: see `picture`.
    Raises ValueError where there is no such layer.
    """
    data: dict[str, Any] = picture(traces, layer=layer, **look) | {
        "selected": None if selected is None else dict(selected)
    }
    held = st.session_state.get(key) or {}
    data["script"] = {"version": VERSION, "source": None if held.get("script") == VERSION else SOURCE}
    if "images" in data:
        _only_once(data["images"], held.get("pictures"))
    return _mount(
        key=key,
        data=as_bytes(data),
        default={"selected": data["selected"], "script": "", "pictures": ""},
        on_selected_change=_ignore,
        on_script_change=_ignore,
        on_pictures_change=_ignore,
    )


def picture(
    traces: Sequence[RoutingTrace],
    *,
    layer: int,
    recorded: bool = False,
    images: np.ndarray | None = None,
    points: np.ndarray | None = None,
    dead: Sequence[bool] | None = None,
    height: int = 480,
    labels: Mapping[str, str] | None = None,
    group_name: Callable[[str], str] = str,
    motion: bool = True,
    filling: bool = False,
    lit: Sequence[int] | None = None,
    peers: Sequence[RoutingTrace] = (),
    title: str = "",
) -> dict[str, Any]:
    """What the view's script draws of `traces[layer]`, JSON-ready, with nothing pinned.

    images, points, dead: see `pack`.  height: pixels of the side-by-side layout; narrow screens stack and take what they need.
    labels: translated `LABELS`; missing ones stay English.  group_name: how a group is called on screen.
    motion: False stops tweening whatever the browser prefers.
    filling: replay the filling of the buffers, slot after slot, whenever the step changes (for paused or single steps).
    peers: traces whose views stand beside this one: the bars of all are drawn to one scale.
    title: what tells this view's pictures from those of another one on the same page.
    lit: the tokens (by index) that stand out while nothing is hovered or pinned; None: all alike.
    Raises ValueError where there is no such layer.
    """
    if not 0 <= layer < len(traces):
        raise ValueError(f"layer {layer} is not one of the {len(traces)} layers of the trace (0 to {len(traces) - 1})")
    data = pack(traces[layer], images=images, points=points, dead=dead)
    return data | {
        "languages": [LANGUAGES.get(name) for name in data["groups"]],
        "groups": [group_name(name) for name in data["groups"]],
        "look": {"colours": COLORS, "patterns": PATTERNS},
        "labels": {**LABELS, **(labels or {})},
        "recorded": recorded,
        "height": height,
        "motion": motion,
        "filling": filling,
        "selected": None,
        "title": title,
        "peak": max((_peak(trace) for trace in peers), default=0.0),
        "lit": None if lit is None else [int(token) for token in lit],
    }


def _peak(trace: RoutingTrace) -> float:
    """The largest load of an expert, in multiples of the fair share."""
    counts = requested_counts(trace)
    return float(counts.max(initial=0) * len(counts) / max(counts.sum(), 1))


def _only_once(images: dict[str, Any], held: str | None) -> None:
    """Leave the pixels out once the page has answered that it holds these pictures: six photographs are as large as ten updates."""
    images["n"] = len(images["pixels"])
    images["id"] = hashlib.sha256("".join(images["pixels"]).encode()).hexdigest()[:12]
    if images["id"] == held:
        images["pixels"] = None


def _ignore() -> None:
    """Streamlit returns only those values that have a callback; the page reads `selected` from the result instead."""

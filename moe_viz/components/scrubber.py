"""The scrubber: a track over a run's steps with the kept moments, the checkpoints and two pins on it; drag it, use the arrow keys, or let it
play back and forth.

Streamlit's own sliders wait a fifth of a second before they answer; this one asks at once, for one moment at a time. The drawing is in
assets/components/scrubber.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.components.bundle import ASSETS, bundle
from moe_viz.components.events import finite
from moe_viz.spec.knobs import N_

LABELS = {
    "step": N_("step {step}"),
    "track": N_("Moment of the run"),
    "back": N_("Play backwards"),
    "forth": N_("Play forwards"),
    "stop": N_("Stop"),
}
_HTML = (
    '<div class="scrub notranslate" translate="no"><div class="row"><button type="button" class="back"></button>'
    '<button type="button" class="forth"></button><output></output></div>'
    '<div class="track"><div class="marks" aria-hidden="true"></div><input type="range" step="1"></div></div>'
)
_mount = component(
    "moe_viz_scrubber",
    html=_HTML,
    css=(ASSETS / "scrubber" / "scrubber.css").read_text(encoding="utf-8"),
    js=bundle("scrubber"),
)


def scrubber(
    steps: Sequence[int],
    shown: int,
    *,
    key: str,
    span: tuple[int, int],
    checkpoints: Sequence[int] = (),
    events: Sequence[int] = (),
    pins: Mapping[str, int | None] | None = None,
    axes: Sequence[tuple[int, int]] = (),
    labels: Mapping[str, str] | None = None,
) -> None:
    """Draw the track. steps: the kept moments, rising;  shown: the one on screen;  events: where something was done;  span: first and last step of the time axis below it.

    axes: first and last step of each chart in the container with the key `strips`; a line on each of them moves with the track.

    What the reader asks for next is `asked(key)`; it is there before the script runs, so a page can draw that moment in the same run.
    """
    _mount(
        key=key,
        data={
            "steps": list(steps),
            "shown": shown,
            "first": span[0],
            "last": span[1],
            "checkpoints": list(checkpoints),
            "events": sorted(set(events)),
            "pins": dict(pins or {}),
            "axes": [list(axis) for axis in axes],
            "labels": {**LABELS, **(labels or {})},
        },
        default={"at": None},
        on_at_change=_ignore,
    )


def asked(key: str) -> tuple[int, float] | None:
    """(step, stamp) of the reader's last move on the track; the stamp differs from move to move. None before the first, and for anything
    that the track cannot have sent."""
    at = (st.session_state.get(key) or {}).get("at")
    if not isinstance(at, dict):
        return None
    try:
        return int(finite(at.get("step"), "step")), finite(at.get("stamp"), "stamp")
    except ValueError:
        return None


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

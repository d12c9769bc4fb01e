"""The pictures on the page as files: a list of all that is drawn there, each with a button for SVG and one for PNG.

The files are made in the browser from what is on screen at the click: charts are copied, canvas views draw themselves once more as vectors, so
that one mechanism serves them all and nothing has to be drawn a second way on the server. The code is in assets/components/picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from moe_viz.components.bundle import as_bytes, loader, view_script
from moe_viz.spec.knobs import N_

LABELS = {"none": N_("There is no picture on this page now.")}
_VERSION, _SOURCE = view_script("picture")
_mount = component("moe_viz_picture", js=loader(), html='<div class="mv notranslate" translate="no"></div>')


def picture_list(about: Mapping[str, Any], name: str, *, key: str, labels: Mapping[str, str] | None = None) -> None:
    """Draw the list. about: JSON-ready, goes into each file, `stamp` (one line; "{step}" is the picture's own step) is also written below it.

    name: the middle part of the files' names.  labels: translated `LABELS`.
    """
    held = st.session_state.get(key) or {}
    data = {
        "about": dict(about),
        "name": name,
        "labels": {**LABELS, **(labels or {})},
        "script": {"version": _VERSION, "source": None if held.get("script") == _VERSION else _SOURCE},
    }
    _mount(key=key, data=as_bytes(data), default={"script": ""}, on_script_change=_ignore)


def _ignore() -> None:
    """Streamlit hands over only those values that have a callback."""

"""Gates: every router on a card, and up to four of them trained side by side."""

import streamlit as st

from moe_viz.ui import gallery, gates, style
from moe_viz.ui.comparison import comparison
from moe_viz.ui.i18n import _

style.apply()
st.html("<style>.st-key-part { margin-top: 0.9rem; }</style>")
found = comparison()
part = st.segmented_control(
    _("Part"),
    ["compare", "gallery"],
    default="compare",
    format_func={"compare": _("Compare live"), "gallery": _("All gates")}.get,
    key="part",
    label_visibility="collapsed",
    required=True,
)
if part == "gallery":
    gallery.gallery(found)
else:
    gates.rail(found)
    gates.live(found)

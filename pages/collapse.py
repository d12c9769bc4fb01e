"""Collapse and rescue: a real run is driven into collapse and brought back, and the page says what was measured."""

import streamlit as st

from moe_viz.ui import collapse, style
from moe_viz.ui.i18n import _
from moe_viz.ui.scene_run import scene_run

run = scene_run()
style.apply()
collapse.rail(run)
st.markdown("#### " + _("Collapse and rescue"))
collapse.acts(run)
collapse.live(run)
collapse.explanation()

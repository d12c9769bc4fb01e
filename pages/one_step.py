"""One step: the next training step of the lab's run in slow motion, as one token meets it."""

import streamlit as st

from moe_viz.ui import one_step, style
from moe_viz.ui.i18n import _
from moe_viz.ui.rail import rail
from moe_viz.ui.session import current, write_link

run = current()
style.apply()
rail(run)
st.markdown("#### " + _("One step in slow motion"))
one_step.head(run)
one_step.chooser(run)
one_step.panels()
write_link()

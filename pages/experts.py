"""Experts: what they specialise in, and how much of it the router has learned."""

from moe_viz.ui import style
from moe_viz.ui.experts import experts
from moe_viz.ui.notices import explain_link
from moe_viz.ui.rail import rail
from moe_viz.ui.session import current, write_link

run = current()
style.apply()
rail(run)
explain_link(run)
experts(run)
write_link()

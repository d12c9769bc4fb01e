"""The lab: a real Mixture-of-Experts trains while its knobs are turned."""

from moe_viz.ui import style
from moe_viz.ui.live import live
from moe_viz.ui.notices import explain_link
from moe_viz.ui.rail import rail
from moe_viz.ui.session import current, write_link

run = current()
style.apply()
rail(run)
explain_link(run)
live(run)
write_link()

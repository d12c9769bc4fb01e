"""Gate map: the plane in the colours of the experts that own it, while borders move; paint other data with the mouse."""

from moe_viz.ui import gate_map, style
from moe_viz.ui.notices import explain_link
from moe_viz.ui.session import write_link

run = gate_map.plane_run()
style.apply()
gate_map.rail(run)
explain_link(run)
gate_map.live(run)
write_link(run)

"""Gate map: the plane in the colours of the experts that own it, while borders move; paint other data with the mouse."""

from moe_viz.ui.gate_map.page import draw

draw()

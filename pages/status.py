"""For whoever runs the server: who is here, what trains, how fast, and what is left of memory and disk."""

from moe_viz.ui.status.page import draw

draw()

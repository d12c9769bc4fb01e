"""The lab: a real Mixture-of-Experts trains while its knobs are turned."""

from moe_viz.ui.lab.page import draw

draw()

"""Experts: what they specialise in, and how much of it the router has learned."""

from moe_viz.ui.experts.page import draw

draw()

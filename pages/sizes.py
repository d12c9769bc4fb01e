"""Sizes: how large the published systems are, what they cost, and a reader's own."""

from moe_viz.ui.sizes.page import draw

draw()

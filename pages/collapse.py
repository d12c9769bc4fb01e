"""Collapse and rescue: a real run is driven into collapse and brought back, and the page says what was measured."""

from moe_viz.ui.collapse.page import draw

draw()

"""Gates: every router on a card, and up to four of them trained side by side."""

from moe_viz.ui.gates.page import draw

draw()

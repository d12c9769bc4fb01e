"""Local experts: two answers to one question, and which error lets two experts give them."""

from moe_viz.ui.local_experts.page import draw

draw()

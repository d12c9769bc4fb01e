"""One step: the next training step of the lab's run in slow motion, as one token meets it."""

from moe_viz.ui.one_step.page import draw

draw()

"""Course: lessons whose exercises are checked by real training."""

from moe_viz.ui.course.page import draw

draw()

"""Twin runs: the same seed and data, one knob different, trained in lock-step."""

from moe_viz.ui.twins.page import draw

draw()

"""Twin runs: the same seed and data, one knob different, trained in lock-step."""

from moe_viz.ui import style, twins

style.apply()
twins.controls()
twins.live()

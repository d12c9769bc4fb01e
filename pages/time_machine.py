"""Time machine: play a run back and forth, compare two of its moments, and branch off from one with a changed knob."""

from moe_viz.ui.time_machine.page import draw

draw()

"""Time machine: play a run back and forth, compare two of its moments, and branch off from one with a changed knob."""

from moe_viz.ui import looking_back, style, time_machine

style.apply()
time_machine.live()
looking_back.compare()
looking_back.fork()

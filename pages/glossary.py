"""Glossary: every word of the lab, what it means, and where it can be seen live."""

from moe_viz.ui.glossary.page import draw

draw()

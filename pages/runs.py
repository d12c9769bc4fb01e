"""My runs: what this browser has started or opened; each can be opened again, named, pinned, taken away as a file, or deleted."""

from moe_viz.ui.my_runs.page import draw

draw()

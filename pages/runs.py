"""My runs: what this browser has started or opened; each can be opened again, named, pinned, taken away as a file, or deleted."""

from moe_viz.ui import my_runs, style

style.apply()
my_runs.listing()
my_runs.importing()

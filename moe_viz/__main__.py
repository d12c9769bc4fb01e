"""`python -m moe_viz`: the lab without a browser."""

import sys

from moe_viz.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m moe_viz`: the lab, and what it does without a browser."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (an older Python would stop at its first import with a riddle)
    sys.exit("moe_viz needs Python 3.11 or newer; this is Python " + sys.version.split()[0])

from moe_viz.cli import main

if __name__ == "__main__":
    sys.exit(main())

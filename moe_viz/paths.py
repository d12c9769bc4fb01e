"""Where the files that come with moe_viz are, in a checkout and in an installed wheel. Nobody else knows."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CODE = PACKAGE.parent
"""The folder that `moe_viz` is imported from."""
_INSTALLED = PACKAGE / "_app"
ROOT = _INSTALLED if _INSTALLED.is_dir() else CODE
"""The folder of `app.py`, `pages`, `assets` and `requirements.txt`: a checkout, or the part of an installed package that holds them."""
ASSETS = ROOT / "assets"

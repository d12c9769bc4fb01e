"""Where the files that come with moe_viz are. Nobody else knows."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder of `moe_viz`: a checkout."""
ASSETS = ROOT / "assets"

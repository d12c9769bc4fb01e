"""The scripts of the views. Their sources are ES modules in assets/components, `make bundles` makes one file of each view's in
assets/components/built; only these are read here, so running the lab needs no node."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from moe_viz import paths

ASSETS = paths.ASSETS / "components"
BUILT = ASSETS / "built"


def bundle(name: str) -> str:
    """The script of one view: an ES module with a default export, its stylesheets inside."""
    return (BUILT / f"{name}.js").read_text(encoding="utf-8")


def view_script(name: str) -> tuple[str, str]:
    """Version and source of a view. The version is a hash of the source."""
    source = bundle(name)
    return hashlib.sha256(source.encode()).hexdigest()[:12], source


def loader() -> str:
    """The script that is registered with Streamlit in place of the view's own, see loader.js."""
    return (ASSETS / "loader.js").read_text(encoding="utf-8")


def as_bytes(data: dict[str, Any]) -> bytes:
    """A view's data as `loader` expects it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

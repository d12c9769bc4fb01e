"""Writing a file so that a reader, or a crash at any moment, finds the old one or the new one, never half of it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PART = ".part"
"""How the names of unfinished files end; those that a killed process left may be removed at any time."""


@contextmanager
def atomically(path: str | Path) -> Generator[Path, None, None]:
    """A draft to write, beside `path`; when the block ends well it is on disk for certain and takes the place of `path`.

    Its name begins with a dot, as those of all unfinished files do.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        yield draft
        with open(draft, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a whole file at once. Raises OSError, leaving what was there."""
    with atomically(path) as draft:
        draft.write_bytes(data)

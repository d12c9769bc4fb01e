"""The data files that each task reads, and their SHA-256: part of what a run stood on. Tasks whose points are drawn from a seed read none."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256

from moe_viz.tasks.base import DATA

FILES: dict[str, tuple[str, ...]] = {
    "domains": ("debian_faq/*.txt", "udhr/*.txt", "python/*.gz", "tables/*.csv"),
    "digits": ("digits/*.gz",),
    "photo": ("photo/*.jpg",),
    "clusters": (),
    "plane": (),
    "faithful": ("faithful/*.csv",),
    "nile": ("nile/*.csv",),
    "engel": ("engel/*.csv",),
    "pieces": (),
    "clumps": (),
    "sides": (),
}
"""Task, or data set of a mixture -> patterns below `assets/data`."""


def data_hashes(tasks: Iterable[str]) -> dict[str, str]:
    """`folder/file` -> SHA-256 of each file that these tasks read, by name. KeyError for a task that is not known."""
    hashes: dict[str, str] = {}
    for task in tasks:
        hashes |= _hashes(task)
    return dict(sorted(hashes.items()))


@cache
def _hashes(task: str) -> dict[str, str]:
    paths = (path for pattern in FILES[task] for path in DATA.glob(pattern))
    return {path.relative_to(DATA).as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths}

"""What makes the same settings another run than in an earlier version: a link that is older says so when it is opened.

Only what changes a run belongs here (its data, its arithmetic, its random streams), not what a page looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moe_viz.spec.knobs import N_
from moe_viz.spec.run import RunConfig


@dataclass(frozen=True)
class Change:
    """version: the first one with it;  concerns: whether runs of these settings are others since;  what: one sentence, marked for translation."""

    version: str
    concerns: Callable[[RunConfig], bool]
    what: str


CHANGES = (
    Change(
        "0.2.0",
        lambda config: config.task.name == "domains",
        N_("The Python text is a fixed one (that of CPython 3.11.7) whatever Python the server runs; under another Python this was another run."),
    ),
)  # fmt: skip
"""Oldest first."""


def changes_since(version: str, config: RunConfig) -> list[str]:
    """What has changed for runs of these settings since `version` ("" where a link is too old to say), as sentences marked for translation."""
    return [
        change.what for change in CHANGES if _numbers(version) < _numbers(change.version) and change.concerns(config)
    ]


def _numbers(version: str) -> tuple[int, ...]:
    """A version to compare by; what is none is older than all."""
    parts = version.split(".")[:4]
    return (
        tuple(int(part) for part in parts)
        if all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts)
        else ()
    )

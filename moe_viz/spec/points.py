"""Painted points as one word of a config: three bytes each (x, y, class) in base64url, so that they travel in a link like any other knob.

x and y are places on a grid of 256 × 256, x to the right and y upwards; classes are 0 to 3.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

MOST_POINTS = 400
GRID = 256
N_CLASSES = 4
LETTERS = "ABCD"
"""Names of the classes: letters, because experts already carry the numbers."""
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

Point = tuple[int, int, int]


def encode_points(points: Iterable[Point]) -> str:
    """(x, y, class) of each point -> four characters each. ValueError for a point off the grid, a class that is not there, too many."""
    points = list(points)
    if len(points) > MOST_POINTS:
        raise ValueError(f"{len(points)} points are too many: {MOST_POINTS} is the most")
    for x, y, label in points:
        _check(x, y, label)
    return base64.urlsafe_b64encode(bytes(value for point in points for value in point)).decode()


def decode_points(text: str) -> list[Point]:
    """The reverse of `encode_points`. ValueError, saying what is allowed, for anything that it does not write."""
    if len(text) > 4 * MOST_POINTS:
        raise ValueError(f"painted points are at most {MOST_POINTS}, so {4 * MOST_POINTS} characters, not {len(text)}")
    if len(text) % 4:
        raise ValueError(f"painted points take four characters each, so their number cannot be {len(text)}")
    if strange := set(text) - _ALPHABET:
        raise ValueError(f"painted points are written in letters, digits, '-' and '_', not {min(strange)!r}")
    values = base64.urlsafe_b64decode(text)
    points = list(zip(values[0::3], values[1::3], values[2::3], strict=True))
    for x, y, label in points:
        _check(x, y, label)
    return points


def _check(x: int, y: int, label: int) -> None:
    if not (0 <= x < GRID and 0 <= y < GRID):
        raise ValueError(f"point ({x}, {y}) is off the grid: x and y are 0 to {GRID - 1}")
    if not 0 <= label < N_CLASSES:
        raise ValueError(f"class {label} of point ({x}, {y}) is not 0 to {N_CLASSES - 1}")

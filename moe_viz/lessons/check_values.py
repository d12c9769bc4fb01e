"""Values of a check: one for every row, or the same at all of them; and what the language does with two of them.

A value is `Same`, or an array with one entry per row: float64 (NaN: unknown), bool, or objects (None: unknown; otherwise JSON). Nothing here
raises, whatever the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CLOSE = 1e-9
"""Numbers that differ by no more than this are equal."""
DEEPEST = 64
"""What is nested deeper than this in the data is unknown."""


@dataclass(frozen=True)
class Same:
    """The same at every row. None: unknown."""

    value: Any


Value = Same | np.ndarray


def plain(value: Any) -> Any:
    """A number of Python, a text, a bool, a list or mapping of such; None for a blank and for all else."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, bool | str | dict | list):
        return value
    if isinstance(value, tuple):
        return list(value)
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def column(values: Any) -> np.ndarray:
    """A column of a table as float64, bool or objects."""
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        return array.astype(float)
    if array.dtype.kind == "b":
        return array
    return of_items([plain(value) for value in array.astype(object).tolist()])


def of_items(items: list[Any]) -> np.ndarray:
    """One plain value per row, as numbers where all of them are."""
    if all(item is None or isinstance(item, float) for item in items):
        return np.array([math.nan if item is None else item for item in items], float)
    array = np.empty(len(items), object)
    array[:] = items
    return array


def items_of(value: Value, n: int) -> list[Any]:
    """One plain value per row."""
    if isinstance(value, Same):
        return [value.value] * n
    if value.dtype.kind == "f":
        return [None if item != item else item for item in value.tolist()]
    return value.tolist()


def number(value: Any) -> float:
    """NaN for what is no number."""
    if isinstance(value, bool | float):
        return float(value)
    value = plain(value) if isinstance(value, int) else None
    return math.nan if value is None else float(value)


def numbers(value: Value) -> Any:
    """As floats: one, or one per row."""
    if isinstance(value, Same):
        return number(value.value)
    if value.dtype.kind == "O":
        return np.array([number(item) for item in value.tolist()], float)
    return value.astype(float)


def of_numbers(values: Any) -> Value:
    return values if isinstance(values, np.ndarray) else Same(plain(float(values)))


def holds(value: Value) -> Any:
    """Where a condition holds: a bool, or one per row."""
    if isinstance(value, Same):
        return value.value is True
    if value.dtype.kind == "b":
        return value
    if value.dtype.kind == "f":
        return np.zeros(len(value), bool)
    return np.array([item is True for item in value.tolist()], bool)


def of_truths(values: Any) -> Value:
    return values if isinstance(values, np.ndarray) else Same(bool(values))


def rows_of(value: Value, n: int) -> np.ndarray:
    """An array with one entry per row."""
    if isinstance(value, np.ndarray):
        return value
    return of_items([plain(value.value)] * n) if not isinstance(value.value, bool) else np.full(n, value.value)


def each(function: Callable[..., Any], n: int, *values: Value) -> Value:
    """A function of plain values, once per row; once where all are the same at every row."""
    if all(isinstance(value, Same) for value in values):
        return Same(plain(function(*(value.value for value in values if isinstance(value, Same)))))
    return of_items([plain(function(*items)) for items in zip(*(items_of(value, n) for value in values))])


# -- two values ------------------------------------------------------------------------------------------------------------


def equal(one: Any, other: Any, depth: int = 0) -> bool | None:
    """None where something that is compared is unknown."""
    one, other = plain(one), plain(other)
    if one is None or other is None or depth > DEEPEST:
        return None
    if isinstance(one, bool | float) and isinstance(other, bool | float):
        return one == other or abs(one - other) <= CLOSE
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return False
        return _all(equal(a, b, depth + 1) for a, b in zip(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        mine, theirs = ({str(key): item for key, item in mapping.items()} for mapping in (one, other))
        if mine.keys() != theirs.keys():
            return False
        return _all(equal(mine[key], theirs[key], depth + 1) for key in mine)
    return False


def _all(answers: Any) -> bool | None:
    answers = list(answers)
    return False if False in answers else None if None in answers else True


def among(one: Any, many: Any) -> bool | None:
    """Whether a list has an item equal to `one`; None where that is unknown, or there is no list."""
    if plain(one) is None or not isinstance(many, list):
        return None
    answers = [equal(one, item) for item in many]
    return True if True in answers else None if None in answers else False


def agree(one: Any, other: Any, within: float, depth: int = 0) -> bool:
    """One shape, numbers at most `within` apart, all else equal."""
    one, other = plain(one), plain(other)
    if isinstance(one, list) and isinstance(other, list):
        same = len(one) == len(other) and depth < DEEPEST
        return same and all(agree(a, b, within, depth + 1) for a, b in zip(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        mine, theirs = ({str(key): item for key, item in mapping.items()} for mapping in (one, other))
        same = mine.keys() == theirs.keys() and depth < DEEPEST
        return same and all(agree(mine[key], theirs[key], within, depth + 1) for key in mine)
    if isinstance(one, bool | float) and isinstance(other, bool | float):
        if isinstance(one, bool) and isinstance(other, bool):
            return one == other
        return one == other or abs(one - other) <= within + CLOSE
    return equal(one, other) is True


def item(base: Any, key: Any) -> Any:
    """An item of a list by its number from 0, of a mapping by its text; None where there is none."""
    key = plain(key)
    if isinstance(base, list):
        place = number(key)
        whole = place >= 0 and place < len(base) and place == int(place)
        return plain(base[int(place)]) if whole else None
    if isinstance(base, dict) and key is not None:
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, str | int | float):
            found = base.get(key) if key in base else base.get(str(key))
            return plain(found)
    return None


# -- functions within a row --------------------------------------------------------------------------------------------------


def _list_of(*values: Any) -> list[float] | None:
    """The numbers of a list, or of several values; None where one is unknown or no number."""
    items = values[0] if len(values) == 1 else list(values)
    if not isinstance(items, list):
        return None
    found = [number(plain(one)) for one in items]
    return None if any(math.isnan(one) for one in found) else found


def total(*values: Any) -> float | None:
    found = _list_of(*values)
    return None if found is None else float(sum(found))


def extreme(best: Callable[[list[float]], float], *values: Any) -> float | None:
    found = _list_of(*values)
    return best(found) if found else None


def place_of(best: Callable[[list[float]], float], *values: Any) -> Any:
    """Place from 0 of the extreme, or its key in a mapping; the first among equals."""
    if len(values) == 1 and isinstance(values[0], dict):
        found = _list_of(list(values[0].values()))
        return str(list(values[0])[found.index(best(found))]) if found else None
    found = _list_of(*values)
    return float(found.index(best(found))) if found else None


def length(value: Any) -> float | None:
    return float(len(value)) if isinstance(value, str | list | dict) else None


def dot(one: Any, other: Any) -> float | None:
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        return None
    mine, theirs = _list_of(one), _list_of(other)
    return None if mine is None or theirs is None else float(sum(a * b for a, b in zip(mine, theirs)))

"""Checks: whether an exercise is solved, from the rows of a run's history; and which of its terms are true, with their present values.

The language is read in `check_parser`; what its values are stands in `check_values`. Everything is computed for all rows at once, and nothing
here raises for what the data hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.lessons import check_values as v
from moe_viz.lessons.check_parser import Node, read_check
from moe_viz.lessons.check_values import Same, Value

FACTORS = np.arange(50, 801) / 100
"""Capacity factors that `needed_factor` tries."""
LOST_AT_MOST = 0.01
_ASKED = re.compile(r"asked\.(\d{1,6})\.(\d{1,6})")


def check(expression: str, history: pd.DataFrame, snapshot: Mapping[str, Any] | None, given: Any = None) -> np.ndarray:
    """[N] bool: whether the check is true at each row of `history` (one row where it has none).

    history  a row per training step of the exercise, columns `steps`, `step`, `loss`, `dead_experts.0`, `load.0.3`, `knob.k`, ...
    snapshot  metrics by name that fill what the newest row lacks, or None;  given  JSON: answer, edit, truth, twin, paused
    Raises `CheckError` for an expression that is none, and for nothing else.
    """
    rows = Rows(history, snapshot, given)
    return rows.truths(read_check(expression))


def solved(
    expression: str,
    history: pd.DataFrame,
    snapshot: Mapping[str, Any] | None,
    deadline: float,
    given: Any = None,
) -> int | None:
    """The `steps` of the first row up to the deadline at which the check is true; None where there is none. Raises as `check` does."""
    rows = Rows(history, snapshot, given)
    true = rows.truths(read_check(expression))
    steps = rows.column("steps")
    if rows.n == 1 and np.isnan(steps[0]):
        steps = np.zeros(1)  # nothing was trained: a task on paper
    in_time = np.flatnonzero(true & (steps <= deadline))
    return int(steps[in_time[0]]) if len(in_time) else None


class Rows:
    """The rows that a check is read against, with the newest one's blanks filled from the snapshot."""

    def __init__(self, history: pd.DataFrame, snapshot: Mapping[str, Any] | None, given: Any):
        self.history = history
        self.n = max(len(history), 1)
        self._snapshot = snapshot if isinstance(snapshot, Mapping) else {}
        self._given_values = given if isinstance(given, Mapping) else {}
        self._columns: dict[str, np.ndarray] = {}

    def truths(self, node: Node) -> np.ndarray:
        """[N] bool"""
        with np.errstate(all="ignore"):
            return np.array(np.broadcast_to(v.holds(self.value(node)), self.n))

    def present(self, node: Node) -> Any:
        """The newest row's value, None where it is unknown."""
        with np.errstate(all="ignore"):
            return v.items_of(self.value(node), self.n)[-1]

    def column(self, name: str, index: tuple[int, ...] = ()) -> np.ndarray:
        """[N] numbers of one column, NaN where they are blank."""
        numbers = v.numbers(self._column(name, index))
        return numbers if isinstance(numbers, np.ndarray) else np.full(self.n, numbers)

    def value(self, node: Node) -> Value:
        """What a part of the check is at every row."""
        return getattr(self, f"_{node.kind}")(node)

    # -- what stands in the data -------------------------------------------------------------------------------------------

    def _column(self, name: str | Node, index: tuple[int, ...] = ()) -> np.ndarray:
        if isinstance(name, Node):
            name, index = name.name, name.index
        key = ".".join([name, *map(str, index)])
        if key not in self._columns:
            values = self._stored(key)
            last = v.items_of(values, self.n)[-1]
            if last is None and name in self._snapshot:
                found: Any = v.plain(self._snapshot[name])
                for place in index:
                    found = v.item(found, place)
                if found is not None:
                    values = v.of_items([*v.items_of(values, self.n)[:-1], v.plain(found)])
            self._columns[key] = values
        return self._columns[key]

    def _stored(self, key: str) -> np.ndarray:
        if key not in self.history or not len(self.history):
            return np.full(self.n, math.nan)
        values = self.history[key]
        return v.column(values.iloc[:, 0] if isinstance(values, pd.DataFrame) else values)

    def _knob(self, node: Node) -> Value:
        return self._stored(f"knob.{node.name}")

    def _given(self, node: Node) -> Value:
        return Same(v.plain(self._given_values.get(node.name)))

    def _constant(self, node: Node) -> Value:
        return Same(node.value)

    def _list(self, node: Node) -> Value:
        return v.each(lambda *items: list(items), self.n, *map(self.value, node.parts)) if node.parts else Same([])

    def _item(self, node: Node) -> Value:
        base, *keys = node.parts
        found = self.value(base)
        for key in keys:
            found = v.each(v.item, self.n, found, self.value(key))
        return found

    # -- arithmetic and conditions -----------------------------------------------------------------------------------------

    def _minus(self, node: Node) -> Value:
        return v.of_numbers(-v.numbers(self.value(node.parts[0])))

    def _sum(self, node: Node) -> Value:
        return self._chain(node)

    def _product(self, node: Node) -> Value:
        return self._chain(node)

    def _chain(self, node: Node) -> Value:
        total: Any = v.numbers(self.value(node.parts[0]))
        for sign, part in zip(node.operators, node.parts[1:]):
            other = v.numbers(self.value(part))
            if sign == "/":
                other = np.where(np.equal(other, 0), math.nan, other)
            total = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[sign](total, other)
        return v.of_numbers(total if np.ndim(total) else float(total))

    def _not(self, node: Node) -> Value:
        return v.of_truths(np.logical_not(v.holds(self.value(node.parts[0]))))

    def _and(self, node: Node) -> Value:
        return v.of_truths(np.logical_and.reduce(self._all_truths(node)))

    def _or(self, node: Node) -> Value:
        return v.of_truths(np.logical_or.reduce(self._all_truths(node)))

    def _all_truths(self, node: Node) -> np.ndarray:
        return np.stack([np.broadcast_to(v.holds(self.value(part)), self.n) for part in node.parts])

    def _compare(self, node: Node) -> Value:
        values = [self.value(part) for part in node.parts]
        pairs = zip(node.operators, values, values[1:])
        found = [np.broadcast_to(v.holds(self._pair(*pair)), self.n) for pair in pairs]
        return v.of_truths(np.logical_and.reduce(np.stack(found)))

    def _pair(self, operator: str, one: Value, other: Value) -> Value:
        if operator in ("in", "not in"):
            wanted = operator == "in"
            return v.each(lambda a, b: v.among(a, b) is wanted, self.n, one, other)
        if operator in ("==", "!="):
            wanted = operator == "=="
            if _is_numeric(one) and _is_numeric(other):
                a, b = v.numbers(one), v.numbers(other)
                same = np.equal(a, b) | (np.abs(np.subtract(a, b)) <= v.CLOSE)
                return v.of_truths((same == wanted) & ~np.isnan(a) & ~np.isnan(b))
            return v.each(lambda a, b: v.equal(a, b) is wanted, self.n, one, other)
        test = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[operator]
        return v.of_truths(test(v.numbers(one), v.numbers(other)))

    # -- functions ---------------------------------------------------------------------------------------------------------

    def _call(self, node: Node) -> Value:
        name = node.name
        if name in _WITHIN:
            return v.each(_WITHIN[name], self.n, *map(self.value, node.parts))
        if name == "abs":
            return v.of_numbers(np.abs(v.numbers(self.value(node.parts[0]))))
        if name == "routes_lost":
            return self._routes_lost(node.rows)
        if name == "needed_factor":
            return self._needed_factor(node.rows)
        first = self.value(node.parts[0])
        if name == "last":
            return _latest_known(v.rows_of(first, self.n))
        if name == "mean":
            numbers = np.array(np.broadcast_to(v.numbers(first), self.n), float)
            return _over_last(numbers, node.rows) / node.rows
        true = np.array(np.broadcast_to(v.holds(first), self.n))
        if name == "ever":
            return np.logical_or.accumulate(true)
        if name == "always":
            return np.logical_and.accumulate(true)
        if name == "held":
            return run_length(true) >= node.rows
        return self._first(true, v.rows_of(self.value(node.parts[1]), self.n))

    def _first(self, true: np.ndarray, values: np.ndarray) -> Value:
        """The value at the first row where it is true, at that row and all after it."""
        where = np.flatnonzero(true)
        items: list[Any] = [None] * self.n
        if len(where):
            items[where[0] :] = [v.items_of(values, self.n)[where[0]]] * (self.n - where[0])
        return v.of_items(items)

    def _asked(self) -> np.ndarray:
        """[N, layers, E] routes that asked for each expert; NaN where a row does not know."""
        places = [
            tuple(map(int, found.groups())) for name in self.history.columns if (found := _ASKED.fullmatch(str(name)))
        ]
        if not places:
            return np.full((self.n, 1, 1), math.nan)
        layers, experts = sorted({layer for layer, _ in places}), sorted({expert for _, expert in places})
        asked = np.zeros((self.n, len(layers), len(experts)))
        for layer, expert in places:
            asked[:, layers.index(layer), experts.index(expert)] = self.column("asked", (layer, expert))
        return asked

    def _routes_lost(self, n: int) -> Value:
        """Exact for every policy that only chooses who loses a slot; where routes look for another expert it is unknown."""
        asked = self._asked()
        policy = v.items_of(self._stored("knob.drop_policy"), self.n)
        factor = np.array(np.broadcast_to(v.numbers(self._stored("knob.capacity_factor")), self.n), float)
        lost = _lost(asked, np.where(np.isnan(factor), np.inf, factor))
        lost[[word == "reroute" for word in policy]] = math.nan
        return _over_last(lost, n) / _over_last(asked.sum((1, 2)), n)

    def _needed_factor(self, n: int) -> Value:
        """The least of `FACTORS`, for each row by bisection: more room never loses more."""
        asked = self._asked()
        routes = _over_last(asked.sum((1, 2)), n)
        enough: dict[int, np.ndarray] = {}

        def is_enough(place: int) -> np.ndarray:
            if place not in enough:
                enough[place] = _over_last(_lost(asked, np.full(self.n, FACTORS[place])), n) / routes < LOST_AT_MOST
            return enough[place]

        low, high = np.zeros(self.n, int), np.full(self.n, len(FACTORS))
        while (open_ := low < high).any():
            middle = (low + high) // 2
            for place in np.unique(middle[open_]):
                here = open_ & (middle == place)
                good = is_enough(int(place))
                high = np.where(here & good, place, high)
                low = np.where(here & ~good, place + 1, low)
        found = np.append(FACTORS, math.nan)[low]
        return np.where(np.isnan(routes), math.nan, found)


def _is_numeric(value: Value) -> bool:
    return value.dtype.kind in "fb" if isinstance(value, np.ndarray) else isinstance(value.value, bool | float)


def _lost(asked: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """[N] routes that find no slot where each expert has ceil(factor * routes / E) of them. asked [N, layers, E]; factor [N]"""
    fair = asked.sum(2, keepdims=True) / asked.shape[2]
    # the small number keeps 1.1 * 10 from rounding up to 12 in binary
    slots = np.where(np.isinf(factor)[:, None, None], np.inf, np.ceil(factor[:, None, None] * fair - 1e-9))
    return np.where(np.isnan(asked), math.nan, np.maximum(asked - slots, 0)).sum((1, 2))


def _over_last(values: np.ndarray, n: int) -> np.ndarray:
    """[N] sum over each row and the n - 1 before it; NaN where there are fewer, or one of them is unknown."""
    total, width, done = np.zeros(len(values)), 1, 0
    doubled = values.astype(float)
    while n >> (width.bit_length() - 1):  # sums of 1, 2, 4, ... rows, joined as the bits of n say: exact as pairs are
        if n & width:
            total += _moved(doubled, done)
            done += width
        doubled = doubled + _moved(doubled, width)
        width *= 2
    return total


def _moved(values: np.ndarray, by: int) -> np.ndarray:
    """[N] the values `by` rows before, NaN where there is no such row."""
    if not by:
        return values
    moved = np.full(len(values), math.nan)
    moved[by:] = values[:-by] if by < len(values) else values[:0]
    return moved


def run_length(true: np.ndarray) -> np.ndarray:
    """[N] how many rows up to each one it has been true without a break."""
    rows = np.arange(1, len(true) + 1)
    return rows - np.maximum.accumulate(np.where(true, 0, rows))


def _latest_known(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "b":
        return values
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.array([one is not None for one in values.tolist()])
    latest = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    return values[latest]


_WITHIN = {
    "sum": v.total,
    "max": lambda *values: v.extreme(max, *values),
    "min": lambda *values: v.extreme(min, *values),
    "argmax": lambda *values: v.place_of(max, *values),
    "argmin": lambda *values: v.place_of(min, *values),
    "len": v.length,
    "dot": v.dot,
    "agree": lambda one, other, within: v.agree(one, other, v.number(within)) if v.number(within) >= 0 else False,
}

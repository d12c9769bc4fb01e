"""What a check still lacks: its terms, which of them are true now, and the present values that they speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.lessons.check_parser import Node, read_check, terms_of
from moe_viz.lessons.checks import Rows, run_length

_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Quantity:
    """A number of the run inside a term: `dead_experts` of layer 0 is 5, wanted `>=` 4.

    name     column, or `knob.<word>`, or the text of an expression;  index: layer (and expert), from 0
    present  its value now, None where it is unknown;  operator, wanted: what it is compared with, None where with nothing
    true     whether that comparison holds now
    """

    name: str
    index: tuple[int, ...]
    present: Any
    operator: str | None
    wanted: Any
    true: bool


@dataclass(frozen=True)
class Term:
    """One term of a check at the newest row.

    text    as it is written;  true: whether it holds now
    quantities  what it speaks of, with present values
    rows    of `held(c, n)`: for how many rows c has held without a break, and n; None for other terms
    over_rows  "ever", "always" or "held" where the term looks back
    """

    text: str
    true: bool
    quantities: tuple[Quantity, ...]
    rows: tuple[int, int] | None = None
    over_rows: str | None = None


def terms(expression: str, history: pd.DataFrame, snapshot: Mapping[str, Any] | None, given: Any = None) -> list[Term]:
    """The terms of a check as they stand at the newest row, in the order in which they are written. Raises `CheckError`."""
    rows = Rows(history, snapshot, given)
    return [_term(expression, node, rows) for node in terms_of(read_check(expression))]


def _term(text: str, node: Node, rows: Rows) -> Term:
    held = over = None
    if node.kind == "call" and node.name in ("ever", "always", "held"):
        over = node.name
        if over == "held":
            held = (int(run_length(rows.truths(node.parts[0]))[-1]), node.rows)
    true = bool(rows.truths(node)[-1])
    return Term(text[node.begin : node.end], true, tuple(_quantities(text, node, rows)), held, over)


def _quantities(text: str, node: Node, rows: Rows) -> list[Quantity]:
    """Those of the comparisons inside; columns that are compared with nothing stand by themselves."""
    found: list[Quantity] = []
    if node.kind == "compare":
        for operator, one, other in zip(node.operators, node.parts, node.parts[1:]):
            pair = Node("compare", one.begin, other.end, parts=(one, other), operators=(operator,))
            true = bool(rows.truths(pair)[-1])
            if one.kind == "constant" and operator in _TURNED:
                one, other, operator = other, one, _TURNED[operator]
            if one.kind != "constant":
                name, index = _name(text, one)
                found.append(Quantity(name, index, _shown(rows, one), operator, _shown(rows, other), true))
        return found
    if node.kind == "column":
        return [Quantity(node.name, node.index, _shown(rows, node), None, None, False)]
    for part in node.parts:
        found += _quantities(text, part, rows)
    return found


def _name(text: str, node: Node) -> tuple[str, tuple[int, ...]]:
    """A column behind `last` is that column."""
    if node.kind == "call" and node.name == "last" and node.parts[0].kind == "column":
        node = node.parts[0]
    if node.kind == "column":
        return node.name, node.index
    return (f"knob.{node.name}" if node.kind == "knob" else text[node.begin : node.end]), ()


def _shown(rows: Rows, node: Node) -> Any:
    """Counts as whole numbers."""
    value = rows.present(node)
    return int(value) if isinstance(value, float) and np.isfinite(value) and value.is_integer() else value

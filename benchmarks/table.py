"""How every benchmark prints: a name, what was measured with its unit, and the ratio that is judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line. `ratio` is against whatever the table's title names; at most 1.00 is good unless the title says otherwise."""

    name: str
    value: float
    unit: str
    ratio: float


def show(title: str, rows: list[Row]) -> None:
    """Print a table."""
    print(f"\n{title}")
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"  {row.name:<{width}}  {row.value:10.3f} {row.unit:<5} ratio {row.ratio:6.2f}")

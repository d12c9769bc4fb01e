"""How every benchmark prints: a name, what was measured with its unit, and the ratio that is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line. `ratio` is against whatever the table's title names; at most 1.00 is good unless the title says otherwise.

    value, ratio: None where this run was too short or had too little to measure it: a dash. Raises ValueError for NaN and infinity.
    """

    name: str
    value: float | None
    unit: str
    ratio: float | None

    def __post_init__(self) -> None:
        for figure in (self.value, self.ratio):
            if figure is not None and not math.isfinite(figure):
                raise ValueError(f"{self.name}: {figure} is no figure")


def show(title: str, rows: list[Row]) -> None:
    """Print a table. Raises ValueError where there is nothing to print."""
    if not rows:
        raise ValueError(f"nothing was measured for {title!r}")
    print(f"\n{title}")
    width = max(len(row.name) for row in rows)
    for row in rows:
        value, ratio = _written(row.value, "10.3f"), _written(row.ratio, "6.2f")
        print(f"  {row.name:<{width}}  {value} {row.unit:<5} ratio {ratio}")


def _written(figure: float | None, form: str) -> str:
    return f"{'–':>{form.partition('.')[0]}}" if figure is None else format(figure, form)

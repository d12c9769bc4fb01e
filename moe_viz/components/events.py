"""What a component's JavaScript sends back. Anybody can send anything in its place, so every value is checked before it is used."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any, what: str) -> float:
    """A finite number. Raises ValueError, naming `what`, for anything else: texts, truth values, NaN, whole numbers beyond a float."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError(
        f"{what} must be a finite number, not {str(value)[:40] if isinstance(value, float) else type(value).__name__}"
    )

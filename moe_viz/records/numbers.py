"""Numbers as people read them, on every page and in every picture. Files for machines keep plain ASCII."""

from __future__ import annotations

import math

MISSING = "–"
MINUS, THIN = "\u2212", "\u202f"


def number(value: float | None, form: str = ".4g") -> str:
    """A number in a format of Python's: a real minus (also in an exponent), none before zero, a thin space between thousands.

    A dash where there is none.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = format(value, form)
    if text.startswith("-") and not any(digit in text for digit in "123456789"):
        text = ("+" if form.startswith("+") else "") + text[1:]
    return text.replace("-", MINUS).replace(",", THIN)

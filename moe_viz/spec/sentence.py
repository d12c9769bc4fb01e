"""Texts for the reader that are made where nobody knows the language, and can still be translated on the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Sentence(str):
    """English text that remembers its `template` (marked with `N_`) and `values`: a page shows `_(s.template).format(**s.values)`."""

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, **values: Any) -> Sentence:
        sentence = super().__new__(cls, template.format(**values))
        sentence.template, sentence.values = template, values
        return sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.template, self.values)


class Knobs(str):
    """Names and values of knobs inside a sentence: (title,), (title, value) or (title, old value, new value) each; a page translates the titles."""

    parts: tuple[tuple[str, ...], ...]

    def __new__(cls, parts: Iterable[tuple[str, ...]]) -> Knobs:
        parts = tuple(parts)
        text = super().__new__(cls, ", ".join(cls.write(title, *values) for title, *values in parts))
        text.parts = parts
        return text

    @staticmethod
    def write(title: str, *values: str) -> str:
        return f"{title} = {values[0]}" if len(values) == 1 else " ".join([title, " → ".join(values)]).strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return Knobs, (self.parts,)


class Refused(ValueError):
    """A refusal that remembers its `template` (marked with `N_`) and `values`, as `Sentence` does."""

    def __init__(self, template: str, **values: Any):
        super().__init__(template.format(**values))
        self.template, self.values = template, values


def _again(template: str, values: dict[str, Any]) -> Sentence:
    return Sentence(template, **values)

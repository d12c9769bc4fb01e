"""Texts for the reader that are made where nobody knows the language, and can still be translated on the page."""

from __future__ import annotations

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


class Refused(ValueError):
    """A refusal that remembers its `template` (marked with `N_`) and `values`, as `Sentence` does."""

    def __init__(self, template: str, **values: Any):
        super().__init__(template.format(**values))
        self.template, self.values = template, values


def _again(template: str, values: dict[str, Any]) -> Sentence:
    return Sentence(template, **values)

"""The glossary: each word of the field and its definition, one file per language (assets/lessons/<language>/glossary.yaml), one schema.

A file that is not as it should be is refused with its name and the line. Pages and lessons use the same words: `Glossary.find` tells where
they stand in a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from moe_viz import paths

LESSONS = paths.ASSETS / "lessons"
LONGEST = 240
"""Characters of a definition: more would not be read where it opens."""
MORE_LETTERS = 3
"""Letters that a `*` at the end of a form stands for, at most."""
ID = re.compile(r"[a-z][a-z_]*")


class GlossaryError(ValueError):
    """A glossary file that is not as it should be: file, line and what is wrong."""

    def __init__(self, path: Path, line: int, what: str):
        super().__init__(f"{path}, line {line}: {what}")


class Term(BaseModel):
    """One word. name: as a heading has it;  text: its definition, plain text;  simple: the same in simple words;  forms: spellings by which it
    is found in texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=40)
    text: str = Field(min_length=10, max_length=LONGEST)
    simple: str = Field(min_length=5, max_length=LONGEST)
    forms: tuple[str, ...]

    @field_validator("name", "text", "simple")
    @classmethod
    def _is_one_line(cls, text: str) -> str:
        if text != " ".join(text.split()):
            raise ValueError("must be one line without spaces at its ends")
        return text

    @field_validator("forms")
    @classmethod
    def _are_words(cls, forms: tuple[str, ...]) -> tuple[str, ...]:
        for form in forms:
            if not re.fullmatch(r"\w+(?:[- ]\w+)*\*?", form):
                raise ValueError(f"{form!r} must be words, with a * at most at the end")
        return forms


class Glossary(Mapping[str, Term]):
    """The words of one language, by their ids."""

    def __init__(self, terms: Mapping[str, Term]):
        self._terms = dict(terms)

    def __getitem__(self, name: str) -> Term:
        return self._terms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def __len__(self) -> int:
        return len(self._terms)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """All forms, the longest first, so that "balancing loss" is not taken for "loss"."""
        forms = sorted(
            ((form, name) for name, term in self._terms.items() for form in term.forms), key=lambda f: -len(f[0])
        )
        self._names = [name for _, name in forms]
        spelled = (
            re.escape(form.rstrip("*")) + (rf"\w{{0,{MORE_LETTERS}}}" if form[-1] == "*" else "") for form, _ in forms
        )
        return re.compile(rf"(?<!\w)(?:{'|'.join(f'({one})' for one in spelled)})(?!\w)", re.IGNORECASE)

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(begin, end, id) of every word in a text, from left to right; they do not overlap."""
        if any(term.forms for term in self._terms.values()):
            for found in self._pattern.finditer(text):
                yield found.start(), found.end(), self._names[(found.lastindex or 0) - 1]


@cache
def glossary(language: str) -> Glossary:
    """The glossary of one language; where it has none yet, the English one, as with all untranslated texts. Raises `GlossaryError`."""
    path = LESSONS / language / "glossary.yaml"
    return read_glossary(path if path.exists() else LESSONS / "en" / "glossary.yaml")


def read_glossary(path: Path) -> Glossary:
    """Read one file. Raises `GlossaryError` with file and line for anything that is not as the schema has it."""
    return Glossary({name: _term(path, name, node) for name, node in read_entries(path)})


def read_entries(path: Path) -> Iterator[tuple[str, yaml.Node]]:
    """Id and content of each entry of a file. Raises `GlossaryError`."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise GlossaryError(path, mark.line + 1 if mark else 1, error.problem or "is no YAML") from None
    if not isinstance(root, yaml.MappingNode):
        raise GlossaryError(path, 1, "must be a mapping of ids to what is said of them")
    yield from _entries(path, root)


def _entries(path: Path, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values of a mapping; a key that stands there twice is refused, which YAML itself lets pass."""
    seen = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not ID.fullmatch(key.value):
            raise GlossaryError(path, line, f"{key.value!r} must be small Latin letters and underscores")
        if key.value in seen:
            raise GlossaryError(path, line, f"{key.value!r} stands here twice")
        seen.add(key.value)
        yield key.value, value


def _term(path: Path, name: str, node: yaml.Node) -> Term:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise GlossaryError(path, line, f"{name!r} must have name, text, simple and forms")
    fields = dict(_entries(path, node))
    try:
        return Term(**{key: _plain(value) for key, value in fields.items()})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        line = fields[field].start_mark.line + 1 if field in fields else line
        raise GlossaryError(path, line, f"{name!r}, {field}: {first['msg'].removeprefix('Value error, ')}") from None


def _plain(node: yaml.Node) -> Any:
    """Texts as they are written: a bare `no` or `1` is a word here."""
    return [_plain(each) for each in node.value] if isinstance(node, yaml.SequenceNode) else node.value


SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:null": lambda _text: None,
}


def typed(node: yaml.Node) -> Any:
    """Mappings, lists, numbers, null and texts as YAML has them; all else is a text."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: typed(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [typed(each) for each in node.value]
    return SCALARS.get(node.tag, str)(node.value)

"""Reading a lesson file: YAML between two lines `---`, and Markdown in sections whose headings are ids (`## simple`, `## 1.2`).

Files come with the package. YAML is read node by node, so that whatever is wrong can be named by its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 300_000
HEADING = re.compile(r"^## ([a-z]+|\d+\.\d+)\s*$")
_YES_NO = {"true": True, "false": False}


class LessonError(ValueError):
    """A lesson file that is not as it should be: file, line and what is wrong."""

    def __init__(self, path: Path, line: int, what: str):
        super().__init__(f"{path}, line {line}: {what}")
        self.path, self.line, self.what = path, line, what


@dataclass(frozen=True)
class LessonFile:
    """values: of the front matter, plain;  sections: id -> Markdown;  lines: where each section begins."""

    path: Path
    root: yaml.Node
    values: dict[str, Any]
    sections: dict[str, str]
    lines: dict[str, int]

    def line_of(self, place: Sequence[Any]) -> int:
        """The line of an item of the front matter, or of what is nearest to it."""
        node, line = self.root, 2
        for key in place:
            found = _below(node, key)
            if found is None:
                break
            node, line = found
        return line

    def refuse(self, place: Sequence[Any], what: str) -> LessonError:
        return LessonError(self.path, self.line_of(place), what)


def read_lesson_file(path: Path) -> LessonFile:
    """Raises `LessonError` for whatever is not such a file."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LessonError(path, 1, f"is larger than {MOST_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LessonError(path, 1, f"cannot be read: {error}") from None
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines) if number and line == "---"), None)
    if lines[0] != "---" or end is None:
        raise LessonError(path, 1, "must begin with front matter between two lines ---")
    try:
        # one empty line for the first ---, so that YAML counts lines as the file does
        root = yaml.compose("\n" + "\n".join(lines[1:end]), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise LessonError(path, mark.line + 1 if mark else 1, error.problem or "is no YAML") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise LessonError(path, 1, str(error)[:200]) from None
    if not isinstance(root, yaml.MappingNode):
        raise LessonError(path, 2, "the front matter must be a mapping")
    sections, begins = _sections(path, lines, end + 1)
    return LessonFile(path, root, _plain(path, root), sections, begins)


def _sections(path: Path, lines: list[str], start: int) -> tuple[dict[str, str], dict[str, int]]:
    parts: dict[str, list[str]] = {}
    begins: dict[str, int] = {}
    name = None
    for number, line in enumerate(lines[start:], start + 1):
        heading = HEADING.match(line)
        if heading:
            name = heading.group(1)
            if name in parts:
                raise LessonError(path, number, f"the section {name!r} stands here twice")
            parts[name], begins[name] = [], number
        elif line.startswith("## "):
            raise LessonError(path, number, f"{line[:60]!r}: a section is simple, student, deep or an exercise's id")
        elif name is not None:
            parts[name].append(line)
        elif line.strip():
            raise LessonError(path, number, "text before the first section (## simple)")
    return {name: "\n".join(part).strip() for name, part in parts.items()}, begins


def _below(node: yaml.Node, key: Any) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == str(key):
                return value, name.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line + 1
    return None


def _plain(path: Path, node: yaml.Node, depth: int = 0) -> Any:
    if depth > 12:
        raise LessonError(path, node.start_mark.line + 1, "nested too deep")
    if isinstance(node, yaml.MappingNode):
        return {key: _plain(path, value, depth + 1) for key, value in _entries(path, node)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, value, depth + 1) for value in node.value]
    return _scalar(path, node)


def _entries(path: Path, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values; a key that stands there twice is refused, which YAML itself lets pass."""
    seen = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise LessonError(path, line, "a key must be a word")
        if key.value in seen:
            raise LessonError(path, line, f"{key.value!r} stands here twice")
        seen.add(key.value)
        yield key.value, value


def _scalar(path: Path, node: yaml.Node) -> Any:
    """Numbers, true, false and null where they stand without quotes; all else is text: a bare `no` is a word here."""
    text, kind = node.value, node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in _YES_NO:
        return _YES_NO[text.lower()]
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise LessonError(path, node.start_mark.line + 1, f"{text[:40]!r} is not a number") from None
    return text

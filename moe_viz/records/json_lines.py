"""JSON read with care: refuses repeated words and numbers that are not finite, and says on which line of the text a value stands."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused

_SPACE = re.compile(r"[ \t\r\n]*")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_OTHER = re.compile(r"[^\s,:\[\]{}]+")


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises `Refused`, naming the line, for anything else."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_not_finite)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            raise Refused(_CUT, line=error.lineno) from error
        excerpt = text[error.pos : error.pos + 20].splitlines()[:1] or [""]
        raise Refused(_BROKEN, line=error.lineno, found=excerpt[0], why=error.msg) from error
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(_BAD, why=str(error)[:100]) from error


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where what the pattern finds at `at` ends; there is something, for the text is sound JSON."""
    found = pattern.match(text, at)
    assert found is not None
    return found.end()


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line, from 1, of the value that `path` (keys and positions) leads to in a sound JSON text; of the innermost found where it ends early."""
    at = _after(_SPACE, text, 0)
    for step in path:
        inside = _enter(text, at, step)
        if inside is None:
            break
        at = inside
    return text.count("\n", 0, at) + 1


def _enter(text: str, at: int, step: str | int) -> int | None:
    """Where the member `step` of the list or object that begins at `at` begins; None where there is no such member."""
    if at >= len(text) or text[at] not in "[{":
        return None
    is_object, at, index = text[at] == "{", _after(_SPACE, text, at + 1), 0
    while at < len(text) and text[at] not in "]}":
        key: str | int = index
        if is_object:
            end = _after(_TEXT, text, at)
            key = json.loads(text[at:end])
            at = _after(_SPACE, text, _after(_SPACE, text, end) + 1)
        if key == step:
            return at
        at = _after(_SPACE, text, _end(text, at))
        if text[at] == ",":
            at = _after(_SPACE, text, at + 1)
        index += 1
    return None


def _end(text: str, at: int) -> int:
    """Where the value that begins at `at` ends."""
    depth = 0
    while True:
        if text[at] in "[{":
            depth, at = depth + 1, at + 1
        elif text[at] in "]}":
            depth, at = depth - 1, at + 1
        elif text[at] in ",:":
            at += 1
        else:
            at = _after(_TEXT if text[at] == '"' else _OTHER, text, at)
        if depth == 0:
            return at
        at = _after(_SPACE, text, at)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        words = [word for word, _ in pairs]
        raise Refused(_TWICE, word=next(word for word in words if words.count(word) > 1)[:60])
    return result


def _not_finite(word: str) -> None:
    raise Refused(_BAD, why=word)


_CUT = N_("line {line}: the file ends in the middle")
_BROKEN = N_("line {line}: {found!r} is not JSON ({why})")
_TWICE = N_("{word!r} stands twice in one object")
_BAD = N_("the file is not JSON ({why})")

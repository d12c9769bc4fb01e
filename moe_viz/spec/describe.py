"""A knob's value in words: what it allows, how it is written in a link or on a command line, how it is read back."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused

Translate = Callable[[str], str]

PLAIN_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def is_plain_number(text: str) -> bool:
    """Whether this is a number as people write it. Python reads more (1_0, digits of other scripts, nan, spaces), which nobody means."""
    return PLAIN_NUMBER.fullmatch(text) is not None


def choices(info: FieldInfo) -> list[Any] | None:
    """The finite list of values a Literal (or bool) knob has, else None."""
    kinds = _members(info.annotation)
    if kinds == [bool]:
        return [False, True]
    if all(get_origin(kind) is Literal for kind in kinds):
        return [value for kind in kinds for value in get_args(kind)]
    return None


def optional(info: FieldInfo) -> bool:
    """Whether None is a value of this knob."""
    return NoneType in _members(info.annotation)


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """(lowest, highest) of a numeric knob; None where it has no bound. Open bounds count as bounds."""
    low = high = None
    for rule in _rules(info):
        low = getattr(rule, "ge", None) if getattr(rule, "ge", None) is not None else getattr(rule, "gt", low)
        high = getattr(rule, "le", None) if getattr(rule, "le", None) is not None else getattr(rule, "lt", high)
    return low, high


def allowed(info: FieldInfo, translate: Translate = str) -> str:
    """The allowed values in a few words: '1 to 64', 'ceil, floor, round', '0.05 to 16, or none'. Words that are values stay as they are."""
    values = choices(info)
    if values is not None:
        return ", ".join(write(value) for value in values)
    if _members(info.annotation) == [str]:
        longest = next((rule.max_length for rule in _rules(info) if getattr(rule, "max_length", None)), None)
        if longest is None:
            return translate(N_("text"))
        return translate(N_("text of at most {n} characters")).format(n=longest)
    low, high = bounds(info)
    is_open = any(getattr(rule, "gt", None) is not None for rule in _rules(info))
    span = translate(N_("above {low} to {high}")) if is_open else translate(N_("{low} to {high}"))
    text = span.format(low=write(low), high=write(high))
    multiple = next((rule.multiple_of for rule in _rules(info) if getattr(rule, "multiple_of", None)), None)
    if multiple:
        text += ", " + translate(N_("a multiple of {n}")).format(n=multiple)
    words = [write(v) for kind in _members(info.annotation) if get_origin(kind) is Literal for v in get_args(kind)]
    words += ["none"] if optional(info) else []
    either = " " + translate(N_("or")) + " "
    return f"{text},{either}{either.join(words)}" if words else text


def write(value: Any) -> str:
    """A value as it stands in a link: none, 0/1, plain numbers, words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def read(text: Any) -> Any:
    """The reverse of `write` for one word; numbers stay text, which the models parse and check by their own types."""
    return None if text == "none" else text


def problems(error: ValidationError, translate: Translate = str) -> list[tuple[str, Any, str]]:
    """(word, value, what is wrong) of each validation problem, in plain words for a page or a terminal."""
    described = []
    for e in error.errors():
        cause = e.get("ctx", {}).get("error")
        what = _said(cause, translate) if isinstance(cause, Refused) else e["msg"].removeprefix("Value error, ")
        described.append((str(e["loc"][-1]) if e["loc"] else "", e.get("input"), what))
    return described


def plain(error: ValueError, translate: Translate = str) -> str:
    """A refusal in one line: which word, which value, what is wrong with it."""
    if not isinstance(error, ValidationError):
        return " ".join(_said(error, translate).split())
    rules = problems(error, translate)
    return "; ".join(f"{word} = {value!r}: {what}" if word else what for word, value, what in rules)


def _said(error: Exception, translate: Translate) -> str:
    return translate(error.template).format(**error.values) if isinstance(error, Refused) else str(error)


def is_number(info: FieldInfo) -> bool:
    """Whether a knob takes numbers (or none), and nothing that is written in words."""
    kinds = {kind for kind in _members(info.annotation) if kind is not NoneType}
    return bool(kinds) and kinds <= {int, float}


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _rules(info: FieldInfo) -> list[Any]:
    rules = list(info.metadata)

    def inside(annotation: Any) -> None:
        if get_origin(annotation) is Annotated:
            for extra in get_args(annotation)[1:]:
                rules.extend(extra.metadata if isinstance(extra, FieldInfo) else [extra])
            inside(get_args(annotation)[0])
        elif get_origin(annotation) in (Union, UnionType):
            for part in get_args(annotation):
                inside(part)

    inside(info.annotation)
    return rules

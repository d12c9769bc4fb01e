"""A reader's own system: field by field as typed, or pasted as YAML. What cannot be used is answered in words, with the field's name.

YAML is read event by event: a mapping of words to words, numbers and lists of numbers, and nothing else of the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from moe_viz.spec.describe import allowed, choices
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused
from moe_viz.systems.count import count
from moe_viz.systems.system import System
from moe_viz.systems.table import NO, YES, numbers

Translate = Callable[[str], str]
LONGEST = 10_000
"""Characters of a pasted text that are read."""
SHOWN = 40
"""Characters of a bad value that are said back."""
LISTS = ("mla", "experts_per_layer")
FLAGS = tuple(
    name for name, info in System.model_fields.items() if choices(info) == [False, True] or name == "dense_gated"
)
_TRUE, _FALSE = (YES, "true", "1"), (NO, "false", "0")


def texts_of(system: System) -> dict[str, str]:
    """Field -> what would be typed for it; "" where nothing is said."""
    return {name: _text(getattr(system, name)) for name in System.model_fields}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return YES if value else NO
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def system_of(texts: Mapping[str, str], translate: Translate = str) -> tuple[System | None, dict[str, str]]:
    """The system of typed texts ("" = the field's default), and what is wrong: field -> sentence. None while anything is."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, typed in texts.items():
        text = typed.strip()
        if name not in System.model_fields:
            wrong[name] = translate(N_("{field!r} is not a field of a system")).format(field=name[:SHOWN])
        elif text:
            try:
                values[name] = _value(name, text)
            except ValueError:
                wrong[name] = _sentence(name, text, translate)
    try:
        system = System(**values)
    except ValidationError as error:
        for each in error.errors():
            cause, field = each.get("ctx", {}).get("error"), str(each["loc"][0]) if each["loc"] else ""
            if isinstance(cause, Refused):
                wrong.setdefault(cause.values["field"], translate(cause.template).format(**cause.values))
            elif each["type"] == "missing" and len(each["loc"]) == 1:
                wrong.setdefault(field, translate(N_("{field} is missing")).format(field=field))
            else:
                wrong.setdefault(field, _sentence(field, texts.get(field, ""), translate))
        return None, wrong
    try:
        count(system)
    except Refused as refused:
        wrong.setdefault("extra", translate(refused.template).format(**refused.values))
    return (None if wrong else system), wrong


def _value(name: str, text: str) -> Any:
    if name in LISTS:
        return numbers(text.replace(" ", "").strip("[]()"))
    if name in FLAGS:
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    if name in ("norm", "attention"):
        return text
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def rule(name: str, translate: Translate = str) -> str:
    """What a field allows, in words."""
    if name in FLAGS:
        return f"{YES}, {NO}"
    if name == "mla":
        return translate(N_("five whole numbers, with commas between"))
    if name == "experts_per_layer":
        return translate(N_("whole numbers with commas between; 64x10 stands for ten times 64"))
    return allowed(System.model_fields[name], translate)


def _sentence(name: str, text: str, translate: Translate) -> str:
    text = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    words = translate(N_("{field} = {value!r} is not possible; allowed: {rule}"))
    return words.format(field=name, value=text.strip(), rule=rule(name, translate))


def write_yaml(system: System) -> str:
    """The system as text that `read_yaml` reads back: every field that is not at its default."""
    lines: list[str] = []
    for name, text in texts_of(system).items():
        info = System.model_fields[name]
        if text and (info.is_required() or getattr(system, name) != info.default):
            lines.append(f"{name}: [{text}]" if name in LISTS else f"{name}: {text}")
    return "\n".join(lines) + "\n"


def read_yaml(text: str) -> dict[str, str]:
    """Field -> what is written for it. Raises ValueError that names the line for anything but a flat mapping."""
    if len(text) > LONGEST:
        raise Refused(N_("the text has {n} characters; at most {most} are read"), n=len(text), most=LONGEST)
    try:
        return _mapping(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refused(mark, N_("line {line} is no YAML: {problem}"), problem=str(error.problem)[:100]) from None
    except yaml.YAMLError:
        raise Refused(N_("the text holds characters that YAML does not allow")) from None


def _mapping(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name: str | None = None
    items: list[str] | None = None
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused(event.start_mark, N_("line {line}: anchors and aliases are not read"))
        if isinstance(event, yaml.MappingStartEvent):
            depth += 1
            if depth > 1:
                raise _refused(event.start_mark, N_("line {line}: a field holds a word, a number or a list of numbers"))
        elif isinstance(event, yaml.SequenceStartEvent):
            if name is None or items is not None:
                raise _refused(event.start_mark, N_("line {line}: a list stands where a field's name belongs"))
            items = []
        elif isinstance(event, yaml.SequenceEndEvent):
            found[str(name)], name, items = ",".join(items or []), None, None
        elif isinstance(event, yaml.ScalarEvent):
            if depth == 0:
                raise _refused(event.start_mark, N_("line {line}: a system is lines of the form `layers: 32`"))
            if items is not None:
                items.append(event.value)
            elif name is None:
                name = event.value
                if name in found:
                    raise _refused(event.start_mark, N_("line {line}: {field!r} stands here twice"), field=name[:SHOWN])
            else:
                found[name], name = "" if event.value in ("null", "~", "none") else event.value, None
    if not found:
        raise Refused(N_("the text holds no field of a system"))
    return found


def _refused(mark: yaml.Mark | None, template: str, **values: Any) -> Refused:
    return Refused(template, line=mark.line + 1 if mark else 1, **values)

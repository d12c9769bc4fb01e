"""A script as a file, `NAME.script.json`: written so that people can read it, read so that a refusal names line and value.

The reader's own data stand apart under their SHA-256, so that their content can be held back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from moe_viz.records.json_lines import line_of, read_json
from moe_viz.records.script import MOST_EVENTS, SCHEMA, Misplaced, Script, refused_knobs, short
from moe_viz.spec import KINDS, config_of
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused, Sentence

MOST_BYTES = 64_000_000
OWN = ("points",)
"""Knobs whose value is the reader's own data."""
HELD_BACK = "sha256:"
"""How such a value is written where its content stands apart, or is held back."""


def write_script(script: Script, own: bool = True) -> str:
    """The text of its file. own: with the content of the reader's own data; otherwise these are named by their SHA-256 alone."""
    data = script.model_dump(mode="json", by_alias=True, exclude_none=False)
    kept: dict[str, str | None] = dict.fromkeys(script.missing)
    for values in (data["config"], *(event["what"] for event in data["events"])):
        for word in OWN:
            if isinstance(values, dict) and values.get(word):
                key = sha256(values[word].encode()).hexdigest()
                kept[key], values[word] = values[word] if own else None, HELD_BACK + key
    data["own"] = kept
    data["events"] = [
        {key: value for key, value in event.items() if value is not None or key == "what"} for event in data["events"]
    ]
    lines = [f"{_word(key)}: {_laid_out(key, value)}" for key, value in data.items() if value is not None]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_script(data: bytes | str, own: Iterable[str] = ()) -> Script:
    """The script of a file's content; `own`: contents that it may have held back.

    Raises `Refused`, naming line and value, for anything that is not one that this version can play.
    """
    if len(data) > MOST_BYTES:
        raise Refused(_LARGE, size=len(data) // 1_000_000, most=MOST_BYTES // 1_000_000)
    try:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(_NOT_TEXT, place=error.start) from error
    raw = read_json(text)
    return script_of(raw, own, text)


def script_of(raw: Any, own: Iterable[str] = (), text: str = "") -> Script:
    """The script of a JSON value. text: where it stands, so that a refusal can name the line. Raises as `read_script` does."""
    if not isinstance(raw, dict) or "schema" not in raw or "events" not in raw:
        raise Refused(_NOT_A_SCRIPT)
    try:
        if isinstance(raw["schema"], int) and raw["schema"] > SCHEMA:
            raise Misplaced(("schema",), _NEWER, schema=raw["schema"], known=SCHEMA)
        if isinstance(raw["events"], list) and len(raw["events"]) > MOST_EVENTS:
            raise Misplaced(("events",), _MANY, count=len(raw["events"]), most=MOST_EVENTS)
        script = _checked(_with_own(raw, own))
        for _ in script.moments():
            pass
    except Misplaced as error:
        raise _on_line(error, text) from error
    return script


def _checked(raw: dict[str, Any]) -> Script:
    if isinstance(raw.get("config"), dict):
        try:
            config = config_of(raw["config"])
        except (ValueError, TypeError) as error:
            raise refused_knobs(error, ("config",), raw["config"]) from error
        if raw.get("kind", config.kind) in KINDS and raw.get("kind", config.kind) != config.kind:
            raise Misplaced(("kind",), _KIND, kind=raw["kind"], settings=config.kind)
        raw = raw | {"config": config}
    try:
        return Script.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(part for part in first["loc"] if not (isinstance(part, str) and part.endswith(("]", "str"))))
        raise Misplaced(path, _FIELD, word=".".join(map(str, path)), value=short(first["input"]),
                         why=first["msg"].removeprefix("Value error, ")) from error  # fmt: skip


def _on_line(error: Misplaced, text: str) -> Refused:
    if not text:
        return Refused(error.template, **error.values)
    return Refused(_LINE, line=line_of(text, error.path), what=Sentence(error.template, **error.values))


def _with_own(raw: dict[str, Any], given: Iterable[str]) -> dict[str, Any]:
    """The reader's own data put back where their hashes stand; what is not here leaves the word empty."""
    own_data = raw.get("own")
    kept: dict[str, Any] = own_data if isinstance(own_data, dict) else {}
    at_hand = {sha256(content.encode()).hexdigest(): content for content in given}
    own = {}
    for key, content in kept.items():
        own[key] = at_hand.get(key) if content is None else content
        if isinstance(own[key], str) and sha256(own[key].encode()).hexdigest() != key:
            raise Misplaced(("own", key), _NOT_ITS_HASH, key=key[:12])

    def put_back(values: Any, path: tuple[str | int, ...]) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for word in OWN:
            if isinstance(values.get(word), str) and values[word].startswith(HELD_BACK):
                key = values[word].removeprefix(HELD_BACK)
                if key not in own:
                    raise Misplaced((*path, word), _NO_SUCH_OWN, key=key[:12])
                values[word] = own[key] or ""
        return values

    events = raw["events"]
    if isinstance(events, list):
        events = [
            event | {"what": put_back(event.get("what"), ("events", number, "what"))}
            if isinstance(event, dict)
            else event
            for number, event in enumerate(events)
        ]
    held_back = {key: content for key, content in own.items() if content is None}
    return raw | {"config": put_back(raw.get("config"), ("config",)), "events": events, "own": held_back}


def _word(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _laid_out(key: str, value: Any) -> str:
    """A value of the file: members of objects and lists each on a line of their own, one level deep."""
    if key == "figures":
        rows = ",\n".join(f"  {json.dumps(row)}" for row in value["rows"])
        return f'{{"columns": {json.dumps(value["columns"])}, "rows": [\n{rows}\n]}}'
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in value) + "\n]"
    if isinstance(value, dict) and value and key != "end":
        inner = (f"  {_word(word)}: {json.dumps(item, ensure_ascii=False)}" for word, item in value.items())
        return "{\n" + ",\n".join(inner) + "\n}"
    return json.dumps(value, ensure_ascii=False)


_LINE = N_("line {line}: {what}")
_LARGE = N_("the file has {size} MB; a script has at most {most} MB")
_NOT_TEXT = N_("the file is not text (its byte {place} is no UTF-8)")
_NOT_A_SCRIPT = N_("this is not a script of moe_viz: it has no “schema” or no “events”")
_NEWER = N_("schema = {schema}: written by a newer version of moe_viz; this one reads schema {known}")
_MANY = N_("{count} events; a script has at most {most}")
_FIELD = "{word} = {value}: {why}"
_KIND = N_("kind = {kind!r}, but its settings are those of a {settings}")
_NOT_ITS_HASH = N_("the content of the reader's own data {key}… does not have this hash")
_NO_SUCH_OWN = N_("{key}… is not among the reader's own data of this script")

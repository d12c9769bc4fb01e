"""A receipt: what a finished exercise leaves behind, a small JSON file that anybody can check by playing it again.

It holds the run's script, the student's answers and what was measured, and a hash of all of it; no name, no date. `moe-viz verify` replays it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
from pydantic import Field, ValidationError

from moe_viz import __version__
from moe_viz.lessons.check_parser import LOOKED_AT
from moe_viz.lessons.model import Exercise
from moe_viz.records.json_lines import read_json
from moe_viz.records.script import Hash, Script
from moe_viz.records.script_file import script_of, write_script
from moe_viz.spec.knobs import N_, Spec
from moe_viz.spec.sentence import Refused

SCHEMA = 1
MOST_BYTES = 4_000_000
HEAD = '{"receipt": '
"""How a receipt's file begins: what tells it from a script."""
_COLUMNS = tuple(f"{name}." for name in LOOKED_AT) + LOOKED_AT


class Look(Spec):
    """What was looked at when: column of the history -> value, after `step` steps of an `epoch`."""

    epoch: int = Field(strict=True, ge=0)
    step: int = Field(strict=True, ge=0)
    values: dict[str, float | None] = Field(max_length=64)


class Figures(Spec):
    """What was measured. solved: steps at which the check came true;  looks: in order;  given: what the page measured (truth, twin, paused)."""

    solved: int = Field(strict=True, ge=0)
    looks: tuple[Look, ...] = Field((), max_length=4096)
    given: dict[str, Any] = {}


class Receipt(Spec):
    """See the module's text. begin: (epoch, step) at which the exercise began;  answers: `answer`, `edit`;  script: None on paper."""

    receipt: Literal[1] = SCHEMA
    lesson: int = Field(strict=True, ge=1, le=99)
    exercise: str = Field(pattern=r"^\d{1,2}\.\d{1,2}$")
    version: str
    prediction: int | None = None
    answers: dict[str, Any] = {}
    begin: tuple[int, int] = (0, 0)
    figures: Figures
    script: dict[str, Any] | None = None
    hash: Hash

    @property
    def played(self) -> Script | None:
        """The run's script. Raises `Refused` for one that is none."""
        return None if self.script is None else script_of(self.script)


def write_receipt(
    exercise: Exercise,
    solved: int,
    given: Mapping[str, Any],
    script: Script | None = None,
    begin: tuple[int, int] = (0, 0),
    history: pd.DataFrame | None = None,
    metrics: Mapping[str, Any] | None = None,
    prediction: int | None = None,
) -> str:
    """The text of a receipt's file.

    given  as the check reads it;  script  with figures, see `Run.script_with_figures`;  history, metrics  what was looked at, as `check` has them
    """
    script_value = None if script is None else json.loads(write_script(script))
    at = begin if script is None else (script.end.epoch, script.end.step)
    body = {
        "receipt": SCHEMA,
        "lesson": int(exercise.id.split(".")[0]),
        "exercise": exercise.id,
        "version": __version__,
        "prediction": prediction,
        "answers": {word: given[word] for word in ("answer", "edit") if word in given},
        "begin": list(begin),
        "figures": {
            "solved": solved,
            "looks": _looks(history, exercise, begin, metrics, at),
            "given": {word: given[word] for word in ("truth", "twin", "paused") if word in given},
        },
        "script": script_value,
    }
    body["hash"] = hash_of(body)
    return json.dumps(body, ensure_ascii=False) + "\n"


def hash_of(body: Mapping[str, Any]) -> str:
    """SHA-256 of everything but the hash, keys in order."""
    rest = {key: value for key, value in body.items() if key != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_receipt(data: bytes) -> tuple[Receipt, bool]:
    """The receipt, and whether its hash is that of its content. Raises `Refused` for anything else."""
    if len(data) > MOST_BYTES:
        raise Refused(_LARGE, size=len(data) // 1_000_000, most=MOST_BYTES // 1_000_000)
    try:
        raw = read_json(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Refused(_NOT_TEXT) from error
    if not isinstance(raw, dict) or "receipt" not in raw:
        raise Refused(_NONE)
    if raw["receipt"] != SCHEMA:
        raise Refused(_NEWER, schema=str(raw["receipt"])[:20])
    try:
        receipt = Receipt(**raw)
    except (ValidationError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": ("",), "msg": str(error)}
        raise Refused(_BROKEN, word=".".join(map(str, first["loc"]))[:80], why=str(first["msg"])[:200]) from error
    return receipt, receipt.hash == hash_of(raw)


def is_receipt(head: bytes) -> bool:
    """Whether a file that begins like this is a receipt."""
    return head.startswith(HEAD.encode())


def _looks(
    history: pd.DataFrame | None,
    exercise: Exercise,
    begin: tuple[int, int],
    metrics: Mapping[str, Any] | None,
    at: tuple[int, int],
) -> list[dict[str, Any]]:
    """The rows since the beginning at which something was looked at, and what was looked at last."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    if history is not None and len(history):
        names = [
            name
            for name in map(str, history.columns)
            if name.startswith(_COLUMNS) and name.split(".")[0] in exercise.looked_at
        ]
        for number in range(len(history)):
            row = history.iloc[number]
            place = (int(row["epoch"]), int(row["step"]))
            values = {name: float(row[name]) for name in names if pd.notna(row[name])}
            if values and place > begin:
                found[place] = values
    last = columns_of({name: value for name, value in (metrics or {}).items() if name in exercise.looked_at})
    if last and at not in found:
        found[at] = last
    return [{"epoch": epoch, "step": step, "values": found[epoch, step]} for epoch, step in sorted(found)]


def columns_of(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Looked-at quantities by column: lists and mappings become `name.0`, `name.16`."""
    found: dict[str, float | None] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            found |= columns_of({f"{name}.{key}": item for key, item in value.items()})
        elif isinstance(value, list):
            found |= columns_of({f"{name}.{key}": item for key, item in enumerate(value)})
        else:
            found[name] = None if value is None else float(value)
    return found


_LARGE = N_("the receipt has {size} MB; it may have {most} at most")
_NOT_TEXT = N_("the receipt is no text in UTF-8")
_NONE = N_("this is no receipt of an exercise")
_NEWER = N_("the receipt is of another kind ({schema}) than this version reads")
_BROKEN = N_("the receipt's “{word}”: {why}")

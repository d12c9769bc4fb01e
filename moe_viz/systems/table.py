"""The published systems: assets/systems/systems.tsv, read once. Figures of ours are never in it; `count` makes those.

Texts of the table have their translations beside it (assets/systems/<language>.tsv), for it is data and no source that is collected.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from moe_viz import paths
from moe_viz.systems.system import MOST_LAYERS, System

FOLDER = paths.ASSETS / "systems"
YES, NO = "yes", "no"
NAMES = {"ru": "russian"}
"""Languages that the texts of the tables are translated into -> their column."""


@dataclass(frozen=True)
class Published:
    """What was published of a system.

    total_b, active_b: the published figures in billions, None where there is none;  convention: which one the active figure follows, "" where
    there is none;  gate: our router that chooses and weights as it does, "" where none fits;  shared_experts: how many its configuration names;
    released: whether weights are public;  instruct: whether an instruction-tuned version is.
    """

    name: str
    system: System
    year: int
    total_b: float | None
    active_b: float | None
    convention: str
    shared_experts: int
    gate: str
    trick: str
    licence: str
    instruct: bool
    source: str
    note: str
    claim: str = ""
    """What its publishers say it achieves, in our words: theirs, never a measurement of ours."""
    claim_source: str = ""

    @property
    def released(self) -> bool:
        return self.licence != "not released"


@dataclass(frozen=True)
class Accelerator:
    """One kind of card. gigabytes: its memory as its maker states it, taken as 10^9 bytes."""

    name: str
    gigabytes: int
    source: str


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> text) of each row of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in rows:
            yield rows.line_num, row


def read_table(path: Path, claims: Mapping[str, Mapping[str, str]]) -> dict[str, Published]:
    """The systems of a table, in its order. claims: name -> row of the table of claims.

    Raises ValueError with file and line for a row that is no system.
    """
    found: dict[str, Published] = {}
    for line, row in _rows(path):
        try:
            one = _row(row, claims.get(row["name"], {}))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
        found[one.name] = one
    return found


def _row(row: Mapping[str, str], claim: Mapping[str, str]) -> Published:
    fields: dict[str, Any] = {}
    for name in System.model_fields.keys() & row.keys():
        if row[name]:
            fields[name] = value(row[name])
    for part in filter(None, row["fields"].split("; ")):
        name, _, text = part.partition("=")
        fields[name] = numbers(text) if name in ("mla", "experts_per_layer") else value(text)
    if fields.get("experts_per_layer"):
        fields.setdefault("moe_layers", len(fields["experts_per_layer"]))
    return Published(
        name=row["name"],
        system=System(**fields),
        year=int(row["year"]),
        total_b=float(row["total_B"]) if row["total_B"] else None,
        active_b=float(row["active_B"]) if row["active_B"] else None,
        convention=row["convention"],
        shared_experts=int(row["shared_experts"]),
        gate=row["gate"],
        trick=row["trick"],
        licence=row["licence"],
        instruct=row["instruct"] == YES,
        source=row["source"],
        note=row["note"],
        claim=claim.get("claim", ""),
        claim_source=claim.get("source", ""),
    )


def value(text: str) -> int | bool | str:
    """A word, a number, yes or no."""
    if text in (YES, NO):
        return text == YES
    return int(text) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() else text


def numbers(text: str) -> tuple[int, ...]:
    """A list: `1536,512,128,64,128`, or with repeats: `64x10,128x2`. Raises ValueError for anything else."""
    found: list[int] = []
    for part in text.split(","):
        each, repeated, times = part.partition("x")
        n = int(times) if repeated else 1
        if not 0 < n <= MOST_LAYERS - len(found):
            raise ValueError(f"{part!r} makes more than {MOST_LAYERS} numbers, or none")
        found += [int(each)] * n
    return tuple(found)


@cache
def translations(language: str) -> Mapping[str, str]:
    """English text of the tables -> the same in a language; empty where they have none."""
    if language not in NAMES:
        return MappingProxyType({})
    path = FOLDER / f"{language}.tsv"
    return MappingProxyType({row["english"]: row[NAMES[language]] for _, row in _rows(path)})


def translator(language: str) -> Callable[[str], str]:
    """What turns a text of the table into a language; one that has no translation stays English."""
    known = translations(language)
    return lambda text: known.get(text, text)


CLAIMS: Mapping[str, Mapping[str, str]] = {row["name"]: row for _, row in _rows(FOLDER / "claims.tsv")}
PUBLISHED: Mapping[str, Published] = MappingProxyType(read_table(FOLDER / "systems.tsv", CLAIMS))
"""Name -> what was published."""
SYSTEMS: Mapping[str, System] = MappingProxyType({name: one.system for name, one in PUBLISHED.items()})
"""Name -> its shape."""
ACCELERATORS = tuple(
    Accelerator(row["name"], int(row["memory_GB"]), row["source"]) for _, row in _rows(FOLDER / "accelerators.tsv")
)
"""From small to large within a maker, as the table has them."""

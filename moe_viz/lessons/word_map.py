"""How the words of the glossary hang together: topic, neighbours, formula and where each can be seen live (assets/lessons/map.yaml).

The same in every language; the words themselves are in `lessons.glossary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from moe_viz.lessons.glossary import LESSONS, GlossaryError, read_entries, typed
from moe_viz.spec import RunConfig

Topic = Literal["computing", "learning", "layer", "buffers", "balance", "training", "record"]
AROUND: tuple[Topic, ...] = ("computing", "learning")
"""Topics of what one needs before, and of what lies around it: no picture of the lab needs their words."""


class Live(BaseModel):
    """Where a word can be seen. page: its name in the address ("" is the lab);  look: what to look at there;  knobs: flat words it opens with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page: str
    look: str
    knobs: dict[str, Any] = {}

    @field_validator("knobs")
    @classmethod
    def _make_a_run(cls, knobs: dict[str, Any]) -> dict[str, Any]:
        RunConfig.from_flat(knobs)
        return knobs


class Place(BaseModel):
    """A word's place in the map. near: its neighbours, of both directions, in the order of the file;  formula: LaTeX ("" where it has none)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic
    near: tuple[str, ...]
    formula: str = ""
    see: Live | None = None


@cache
def word_map() -> Mapping[str, Place]:
    """Place of every word, in the order in which words are shown. Raises `GlossaryError`."""
    return read_map(LESSONS / "map.yaml")


def read_map(path: Path) -> Mapping[str, Place]:
    """Read one file. Raises `GlossaryError` with file, line and reason: a wrong field, a neighbour that is not there, a word beside itself."""
    entries = dict(read_entries(path))
    places: dict[str, Place] = {}
    for name, node in entries.items():
        line = node.start_mark.line + 1
        try:
            places[name] = Place.model_validate(typed(node))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "place"
            raise GlossaryError(
                path, line, f"{name!r}, {field}: {first['msg'].removeprefix('Value error, ')}"
            ) from None
        if wrong := [near for near in places[name].near if near not in entries or near == name]:
            raise GlossaryError(path, line, f"{name!r}, near: there is no other word {wrong[0]!r}")
    return {name: place.model_copy(update={"near": _neighbours(places, name)}) for name, place in places.items()}


def _neighbours(places: Mapping[str, Place], name: str) -> tuple[str, ...]:
    return tuple(other for other in places if other in places[name].near or name in places[other].near)

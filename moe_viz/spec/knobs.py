"""How a knob is declared: one pydantic field that carries its title, help, unit and whether it is live.

Controls, permalinks, the command line and validation are all generated from these declarations, so a knob is
written down exactly once. Texts are marked with `N_` for the translation catalogue and translated where they are shown.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


def N_(text: str) -> str:
    """Mark a text for translation without translating it (gettext's usual no-op)."""
    return text


def Knob(
    default: Any = PydanticUndefined,
    *,
    title: str,
    help: str,
    live: bool,
    level: str = "more",
    unit: str = "",
    stops: list[Any] | None = None,
    **bounds: Any,
) -> Any:
    """A pydantic `Field` with what a control needs.

    live: takes effect at the next step; otherwise the run restarts.  level: "basic" (always in view) or "more".
    stops: the values a slider offers (the field still accepts everything within its bounds).  unit: shown after the value.
    """
    extra: dict[str, Any] = {"live": live, "level": level, "unit": unit}
    if stops is not None:
        extra["stops"] = stops
    return Field(default, title=title, description=help, json_schema_extra=extra, **bounds)


class Spec(BaseModel):
    """Base of every declared thing: immutable, refuses unknown names, refuses NaN and infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=False)


def declared(field: FieldInfo) -> dict[str, Any]:
    """What `Knob` noted beside the bounds: `live`, `level`, `unit` and, where there are any, `stops`; empty for a plain field."""
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def is_live(field: FieldInfo) -> bool:
    """Whether a pydantic field declared with `Knob` can be changed without a restart."""
    return bool(declared(field).get("live", False))

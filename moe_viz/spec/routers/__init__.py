"""Every router's declaration: what it is (title, year, paper, idea, flags) and its options with ranges.

One pydantic model per router, one family a file; `ROUTER_OPTIONS` maps the registry name to it. The torch modules that do
what is declared here live in `moe_viz/moe/routers/`. Defaults are neutral (dropless, no noise); a paper's own choices are in `PRESETS`.
"""

from __future__ import annotations

from typing import Any

from moe_viz.spec.routers import fixed, token_choice
from moe_viz.spec.routers.base import Facts, RouterOptions, TokenChoice

ROUTER_OPTIONS: dict[str, type[RouterOptions]] = {
    cls.model_fields["name"].default: cls
    for cls in (
        fixed.Dense,
        fixed.Hard,
        token_choice.TopK,
        token_choice.Switch,
        token_choice.Mixtral,
        fixed.Hash,
    )
}
"""Registry name -> options model, in the order in which they are offered."""

PRESETS: dict[str, dict[str, Any]] = {
    "switch_paper": {
        "name": "switch",
        "capacity_factor": 1.25,
        "jitter": 0.01,
        "min_capacity": 4,
        "capacity_rounding": "floor",
    },
}
"""A paper's or implementation's own choice of options."""


def router_options(name: str, **options: Any) -> RouterOptions:
    """Validated options of one router. Raises ValueError with the known names for an unknown `name`, and on any bad option."""
    if name not in ROUTER_OPTIONS:
        raise ValueError(f"unknown router {name!r}; known: {', '.join(ROUTER_OPTIONS)}")
    return ROUTER_OPTIONS[name](name=name, **options)


__all__ = ["PRESETS", "ROUTER_OPTIONS", "Facts", "RouterOptions", "TokenChoice", "router_options"]

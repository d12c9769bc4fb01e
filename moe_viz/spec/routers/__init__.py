"""Every router's declaration: what it is (title, year, paper, idea, flags) and its options with ranges.

One pydantic model per router, one family a file; `ROUTER_OPTIONS` maps the registry name to it. The torch modules that do
what is declared here live in `moe_viz/moe/routers/`. Defaults are neutral (dropless, no noise); a paper's own choices are in `PRESETS`.
May import: nothing of moe_viz but `spec`. Must not know: torch, or how a router does what it declares.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from pydantic import ValidationError

from moe_viz.spec.describe import plain
from moe_viz.spec.routers import (
    assignment,
    cosine,
    expert_side,
    fine_grained,
    fixed,
    learned,
    noisy,
    second_expert,
    token_choice,
    two_branches,
)
from moe_viz.spec.routers.base import CHOOSERS, Facts, RouterOptions, TokenChoice
from moe_viz.spec.routers.presets import PRESETS

ROUTER_OPTIONS: dict[str, type[RouterOptions]] = {
    cls.model_fields["name"].default: cls
    for cls in (
        fixed.Dense,
        fixed.Hard,
        token_choice.TopK,
        noisy.NoisyTopK,
        token_choice.Switch,
        second_expert.GShard,
        second_expert.STMoE,
        token_choice.Mixtral,
        fine_grained.DBRX,
        fine_grained.OLMoE,
        fine_grained.DeepSeekV3,
        second_expert.NLLB,
        noisy.VMoE,
        cosine.Cosine,
        two_branches.Hierarchical,
        two_branches.Residual,
        expert_side.ExpertChoice,
        expert_side.Soft,
        assignment.Base,
        assignment.Sinkhorn,
        learned.ReMoE,
        learned.Reinforce,
        learned.KMeans,
        fixed.Hash,
        learned.Random,
    )
}
"""Registry name -> options model."""
FAMILIES: dict[str, list[str]] = {
    chooser: [name for name, options in ROUTER_OPTIONS.items() if options.facts.chooser == chooser]
    for chooser in CHOOSERS
}
"""Who chooses -> registry names."""
OFFERED = list(chain(*FAMILIES.values()))
"""Registry names in the order in which they are offered."""


def router_options(name: str, **options: Any) -> RouterOptions:
    """Validated options of one router. Raises ValueError with the known names for an unknown `name`, and on any bad option."""
    if name not in ROUTER_OPTIONS:
        raise ValueError(f"unknown router {name!r}; known: {', '.join(ROUTER_OPTIONS)}")
    try:
        return ROUTER_OPTIONS[name](name=name, **options)
    except ValidationError as error:
        raise ValueError(f"{name}: {plain(error)}") from None


__all__ = ["PRESETS", "ROUTER_OPTIONS", "Facts", "RouterOptions", "TokenChoice", "router_options"]

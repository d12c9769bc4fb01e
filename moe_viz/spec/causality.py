"""Whether a router's setting is causal: does a token's output depend on that token and earlier ones alone, for texts of any length?

Computed from the gate, the number of choices and experts, the capacity rule and the drop policy, never declared: a gate that chooses for
each token by itself is no longer causal once its experts' buffers can be full. Of training; at evaluation some gates look at one token alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from moe_viz.spec.knobs import N_
from moe_viz.spec.routers import ROUTER_OPTIONS, RouterOptions, TokenChoice
from moe_viz.spec.run import RunConfig

POLICY = {
    "probability": N_("A full expert keeps its likeliest tokens, so a later token can take an earlier one's slot."),
    "batch_priority": N_("The surest tokens of all are served first, so a later token can take an earlier one's slot."),
    "random": N_("The slots of a full expert are drawn among all tokens that ask for it, later ones included."),
    "reroute": N_(
        "A token whose expert is full tries its next one only after all tokens, later ones included, have tried theirs."
    ),
}
"""Drop policy that does not serve tokens in their order -> why later tokens matter."""
ORDER = N_("All first choices are served before any second one, so later tokens take slots that earlier ones ask for.")
SIZE = N_("Buffers grow with the text, so tokens that come later decide whether an earlier one finds a slot.")


@dataclass(frozen=True)
class Causality:
    """causal, and where it is not: `reason`, one sentence to be translated, and `source`, what looks ahead.

    gate    the choice itself, whatever the buffers
    policy  full buffers, whose slots do not go by the tokens' order
    order   full buffers, in which later first choices come before earlier second ones
    size    full buffers, served in order: only how much text follows matters, not which
    """

    source: Literal["", "gate", "policy", "order", "size"] = ""
    reason: str = ""

    @property
    def causal(self) -> bool:
        return not self.source

    def __bool__(self) -> bool:
        return self.causal


def causality(router: RouterOptions, n_experts: int) -> Causality:
    """Of one router's options."""
    if reason := router.looks_ahead(n_experts):
        return Causality("gate", reason)
    if not isinstance(router, TokenChoice) or never_full(router, n_experts):
        return Causality()
    # With one expert all gates are 1, so every policy serves tokens as they come.
    if router.drop_policy in POLICY and n_experts > 1:
        return Causality("policy", POLICY[router.drop_policy])
    return Causality("order", ORDER) if router.choices > 1 else Causality("size", SIZE)


def never_full(router: TokenChoice, n_experts: int) -> bool:
    """Whether no buffer can overflow, however many tokens there are: each token asks an expert at most once."""
    factor = router.capacity_factor
    return factor is None or round(router.choices * factor / n_experts, 9) >= 1


def causality_of(config: RunConfig | Mapping[str, Any]) -> Causality:
    """Of a run's config, or of its flat form as snapshots have it."""
    if isinstance(config, RunConfig):
        return causality(config.router, config.n_experts)
    options = ROUTER_OPTIONS[config["router"]]
    known = {word: config[word] for word in options.model_fields if word != "name" and word in config}
    return causality(options(name=config["router"], **known), config["n_experts"])

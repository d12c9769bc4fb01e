"""Routers in which the experts do the choosing (expert choice), or in which nobody chooses and tokens are blended (soft)."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RouterOptions


class ExpertChoice(RouterOptions):
    facts = Facts(
        chooser="expert",
        title=N_("Expert choice"),
        year=2022,
        paper="Zhou et al., Mixture-of-Experts with Expert Choice Routing, arXiv:2202.09368",
        idea=N_("Each expert picks its favourite tokens, the same number for each; a token may get none or many."),
        formula=r"S=\mathrm{softmax}(XW_g),\quad I_i=\mathrm{top}_C(S_{\cdot i}),\ C=\frac{cT}{E},\quad "
        r"y_t=\sum_{i:\,t\in I_i}S_{ti}f_i(x_t)",
        used_by=N_("Vision models, flaxformer"),
        cost=N_("On average c experts per token; no balancing loss, no padding."),
        fails=N_("An expert sees the whole group before it chooses: a language model would look into its own future."),
        per_sequence=True,
        dropless=False,
        fixed_load=True,
    )
    name: Literal["expert_choice"] = "expert_choice"

    def looks_ahead(self, n_experts: int) -> str:
        if self.capacity_factor >= n_experts:  # every expert takes every token
            return ""
        return N_("Each expert compares all tokens before it chooses, so a later token can push an earlier one out.")

    capacity_factor: float = Knob(
        2.0,
        ge=0.05,
        le=16,
        live=True,
        level="basic",
        stops=[0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0],
        title=N_("Experts per token, on average"),
        help=N_("Each expert takes this times tokens / experts, rounded, and at least one token."),
    )


class Soft(RouterOptions):
    facts = Facts(
        chooser="nobody",
        title="Soft MoE",
        year=2023,
        paper="Puigcerver et al., From Sparse to Soft Mixtures of Experts, arXiv:2308.00951",
        idea=N_(
            "No choice at all: each expert slot processes a weighted average of all tokens, and tokens average all slots."
        ),
        formula=r"L=s\,\bar X\bar\Phi,\quad D=\mathrm{softmax}_{t}(L),\ Q=\mathrm{softmax}_{slots}(L),\quad Y=Q\,f(D^{\top}X)",
        used_by=N_("Vision models"),
        cost=N_("As many expert calls as there are slots, however many tokens; mixing costs tokens x slots."),
        fails=N_("Every output depends on every token of the group, so it cannot predict the next token."),
        per_sequence=True,
        fixed_load=True,
    )
    name: Literal["soft"] = "soft"

    def looks_ahead(self, n_experts: int) -> str:
        return N_("What an expert works on is a blend of all tokens, later ones included.")

    slots_per_expert: int = Knob(
        4,
        ge=1,
        le=512,
        live=False,
        level="basic",
        stops=[1, 2, 4, 8, 16, 32, 64],
        title=N_("Slots per expert"),
        unit=N_("slots"),
        help=N_("Blends of tokens that each expert processes, per group of tokens."),
    )
    capacity_factor: float | None = Knob(
        None,
        ge=0.05,
        le=16,
        live=True,
        stops=[None, 0.25, 0.5, 1.0, 2.0],
        title=N_("Capacity factor"),
        help=N_(
            "Use only this times tokens / experts of the slots, rounded, at least one and at most all. None: all of them."
        ),
    )
    noise: float = Knob(
        0.0,
        ge=0,
        le=10,
        live=True,
        title=N_("Noise"),
        help=N_("Standard deviation of Gaussian noise added to the scores, in training only."),
    )

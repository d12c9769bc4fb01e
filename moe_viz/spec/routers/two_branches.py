"""Routers with more than one decision or branch: groups first and experts inside them, or a fixed MLP beside the experts."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, TokenChoice, k_knob
from moe_viz.spec.sentence import Refused


class Hierarchical(TokenChoice):
    facts = Facts(
        title=N_("Hierarchical"),
        year=2017,
        paper="Shazeer et al., Outrageously Large Neural Networks, appendix B, arXiv:1701.06538",
        idea=N_("First a group of experts, then experts inside the group; the gates of both levels are multiplied."),
        formula=r"w_{t,ij}=G^{p}_i(x_t)\,G_{j|i}(x_t),\quad \mathrm{Importance}_{ij}=\sum_tG^{p}_i(x_t)G_{j|i}(x_t)",
        used_by=N_("Mesh TensorFlow; mixtures of experts since 1994 in their dense form"),
        cost=N_("Groups per token x experts per group; the two score matrices stay small when there are many experts."),
        fails=N_("A wrong group cannot be corrected inside it, and a group can collapse as an expert can."),
    )
    name: Literal["hierarchical"] = "hierarchical"
    k: int = k_knob(1, help=N_("Experts chosen inside each chosen group."))
    n_groups: int = Knob(
        2,
        ge=1,
        le=32,
        live=False,
        stops=[1, 2, 4, 8],
        title=N_("Groups"),
        help=N_("Number of groups; it must divide the number of experts."),
    )
    k_groups: int = Knob(
        2,
        ge=1,
        le=8,
        live=True,
        title=N_("Groups per token"),
        help=N_("How many groups each token is sent to."),
    )

    renormalize: Literal["levels", "never"] = Knob(
        "levels",
        live=True,
        title=N_("Renormalise gates"),
        help=N_(
            "Scale the chosen gates of each level to sum to 1. A level with a single choice keeps its probability: otherwise it could not learn."
        ),
    )

    @property
    def choices(self) -> int:
        return self.k * self.k_groups

    @model_validator(mode="after")
    def _gate_must_learn(self) -> Hierarchical:
        return self

    def check_experts(self, n_experts: int) -> None:
        if n_experts % self.n_groups:
            raise Refused(
                N_("n_groups = {n_groups} does not divide the {n_experts} experts there are"),
                n_groups=self.n_groups,
                n_experts=n_experts,
            )
        if self.k_groups > self.n_groups:
            raise Refused(
                N_("k_groups = {k_groups} is more than n_groups = {n_groups}"),
                k_groups=self.k_groups,
                n_groups=self.n_groups,
            )
        inside = n_experts // self.n_groups
        if self.k > inside:
            raise Refused(
                N_("k = {k} is more than the {n} experts in each of the {n_groups} groups"),
                k=self.k,
                n=inside,
                n_groups=self.n_groups,
            )


class Residual(TokenChoice):
    facts = Facts(
        title="PR-MoE (residual)",
        year=2022,
        paper="Rajbhandari et al., DeepSpeed-MoE, arXiv:2201.05596",
        idea=N_("A fixed MLP serves every token and one expert corrects it; a learned pair of weights mixes the two."),
        formula=r"c_t=\mathrm{softmax}(x_tW_c),\quad y_t=c_{t1}\,p_{ti^*}f_{i^*}(x_t)+c_{t2}\,\mathrm{MLP}(x_t)",
        used_by="DeepSpeed-MoE",
        cost=N_("One expert and one MLP per token: the price of top-2 with half the communication."),
        fails=N_("The MLP can do all the work, and the experts learn little."),
    )
    name: Literal["residual"] = "residual"
    k: int = k_knob(1, le=2)

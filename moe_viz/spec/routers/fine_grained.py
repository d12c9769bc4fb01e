"""Routers of the open models with many small experts: DBRX, OLMoE, DeepSeek-V3."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RenormalisedByDefault, TokenChoice
from moe_viz.spec.sentence import Refused


class DBRX(RenormalisedByDefault):
    facts = Facts(
        title="DBRX",
        year=2024,
        paper="Databricks, Introducing DBRX, 2024 (technical report and released code)",
        idea=N_("Top-4 of 16, gates divided by their p-norm."),
        formula=r"w_{ti}=\frac{p_{ti}}{\left(\sum_{j\in S_t}p_{tj}^{\,q}\right)^{1/q}},\quad i\in S_t=\mathrm{top}_k(p_t)",
        used_by="DBRX 132B",
        cost=N_("k experts per token."),
        fails=N_("With a norm above 1 the gates add up to more than 1, and the output grows with k."),
    )
    name: Literal["dbrx"] = "dbrx"
    norm_p: float = Knob(
        1.0,
        ge=1,
        le=16,
        live=True,
        stops=[1.0, 2.0, 4.0],
        title=N_("Norm"),
        help=N_(
            "Order of the norm by which the chosen gates are divided. 1 makes them sum to 1; 2 gives them length 1."
        ),
    )


class OLMoE(TokenChoice):
    facts = Facts(
        title="OLMoE",
        year=2024,
        paper="Muennighoff et al., OLMoE: Open Mixture-of-Experts Language Models, arXiv:2409.02060",
        idea=N_("Top-8 of 64 small experts; the chosen gates keep their softmax size."),
        formula=r"w_{ti}=p_{ti},\quad i\in S_t=\mathrm{top}_k(p_t),\quad p_t=\mathrm{softmax}(x_tW_g),\quad \sum_{i\in S_t}w_{ti}<1",
        used_by="OLMoE-1B-7B, Qwen1.5-MoE, Qwen2-MoE",
        cost=N_("k small experts per token; no capacity limit."),
        fails=N_("Unsure tokens get a small output, because their gates sum to much less than 1."),
    )
    name: Literal["olmoe"] = "olmoe"


class DeepSeekV3(RenormalisedByDefault):
    facts = Facts(
        title="DeepSeek-V3",
        year=2024,
        paper="DeepSeek-AI, DeepSeek-V3 Technical Report, arXiv:2412.19437; bias balancing: Wang et al., arXiv:2408.15664",
        idea=N_(
            "A bias per expert, nudged after each step, balances the choice without touching the gates or the loss."
        ),
        formula=r"s_{ti}=\sigma((x_tW_g)_i),\quad S_t=\mathrm{top}_k(s_t+b),\quad w_{ti}=\lambda\frac{s_{ti}}{\sum_{j\in S_t}s_{tj}},\quad "
        r"b_i\leftarrow b_i+\gamma\,\mathrm{sign}(\bar c-c_i)",
        used_by="DeepSeek-V3, DeepSeek-R1, Kimi K2",
        cost=N_("k experts per token; balancing costs one vector per layer."),
        fails=N_("Too large a bias step makes the load swing; each sequence may still be uneven."),
    )
    name: Literal["deepseek_v3"] = "deepseek_v3"
    score: Literal["sigmoid", "softmax"] = Knob(
        "sigmoid",
        live=True,
        title=N_("Score"),
        help=N_(
            "A sigmoid for each expert (V3), or softmax over the experts (V2), whose small values need a smaller bias step."
        ),
    )
    bias_step: float = Knob(
        0.001,
        ge=0,
        le=1,
        live=True,
        stops=[0.0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1],
        title=N_("Bias step"),
        help=N_(
            "How far each expert's selection bias moves after a training step: up if it got too little, down if too much. 0 stops it."
        ),
    )
    n_group: int = Knob(
        1,
        ge=1,
        le=16,
        live=True,
        stops=[1, 2, 4, 8],
        title=N_("Groups"),
        help=N_("Experts are split into this many equal groups, as if each lived on its own machine."),
    )
    topk_group: int = Knob(
        1,
        ge=1,
        le=16,
        live=True,
        stops=[1, 2, 4, 8],
        title=N_("Groups per token"),
        help=N_("A token may only use experts of this many groups."),
    )
    group_score: Literal["top2", "max", "share"] = Knob(
        "top2",
        live=True,
        title=N_("Group score"),
        help=N_(
            "A group is as good as its two best experts together (V3), as its best one (V2), or as its best k / groups together (Megatron)."
        ),
    )
    routed_scaling: float = Knob(
        1.0,
        gt=0,
        le=32,
        live=True,
        title=N_("Gate scale"),
        help=N_("All gates are multiplied by this, to weigh the chosen experts against the shared ones."),
    )

    @model_validator(mode="after")
    def _groups_exist(self) -> DeepSeekV3:
        if self.topk_group > self.n_group:
            raise Refused(
                N_("topk_group = {topk_group} is more than n_group = {n_group} groups"),
                topk_group=self.topk_group,
                n_group=self.n_group,
            )
        return self

    def check_experts(self, n_experts: int) -> None:
        """Also: the groups must divide the experts and hold at least k of them (two per group for the top-2 score)."""
        super().check_experts(n_experts)
        if n_experts % self.n_group:
            raise Refused(
                N_("n_group = {n_group} does not divide the {n_experts} experts into equal groups"),
                n_group=self.n_group,
                n_experts=n_experts,
            )
        size = n_experts // self.n_group
        if self.k > size * self.topk_group:
            raise Refused(
                N_("k = {k} is more than the {n} experts in topk_group = {topk_group} groups of {size}"),
                k=self.k,
                n=size * self.topk_group,
                topk_group=self.topk_group,
                size=size,
            )
        if self.n_group > 1 and self.group_score == "top2" and size < 2:
            raise Refused(
                N_(
                    "group_score = 'top2' needs two experts in each group; n_group = {n_group} leaves {size} of {n_experts}"
                ),
                n_group=self.n_group,
                size=size,
                n_experts=n_experts,
            )

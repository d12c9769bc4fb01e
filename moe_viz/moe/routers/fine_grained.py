"""Routers of the open models with many small experts: `dbrx`, `olmoe` and `deepseek_v3`."""

from __future__ import annotations

import torch
from torch import Tensor

from moe_viz.moe.balance import z_loss
from moe_viz.moe.routers.base import Choice, TokenChoiceRouter, softmax, top_k
from moe_viz.moe.routing import Routing
from moe_viz.spec.routers.fine_grained import DBRX, DeepSeekV3


class DBRXRouter(TokenChoiceRouter):
    """Databricks 2024: the chosen gates are divided by their p-norm (p = 1: they sum to 1)."""

    options: DBRX

    def norm(self, gates: Tensor) -> Tensor:
        return torch.linalg.vector_norm(gates, self.options.norm_p, -1, keepdim=True).clamp(min=1e-9)


class OLMoERouter(TokenChoiceRouter):
    """Muennighoff et al. 2024: softmax over all experts, then top-k; the gates keep their size and sum to less than 1."""


class DeepSeekV3Router(TokenChoiceRouter):
    """DeepSeek-AI 2024: sigmoid scores s; experts are the top-k of s + bias, within the best groups; gates are s without the bias.

    bias [E] is a buffer in float32, saved with the model and no parameter. `after_step` moves it by bias_step * sign(mean count - count),
    once per optimiser step and over all its micro-batches (Wang et al. 2024, arXiv:2408.15664, algorithm 1).
    The balancing loss counts what s alone would choose, as in the paper; set `balance_group` for its sequence-wise form.
    """

    options: DeepSeekV3
    bias: Tensor

    def __init__(self, d_model: int, n_experts: int, options: DeepSeekV3):
        super().__init__(d_model, n_experts, options)
        self.register_buffer("bias", torch.zeros(n_experts))

    def probabilities(self, c: Choice) -> Tensor:
        if self.options.score == "softmax":
            c.extra["score"] = softmax(c.logits)
            return c.extra["score"]
        c.extra["score"] = c.logits.sigmoid()
        # Where every sigmoid underflows, the shares are those of its exponential tail, which softmax knows exactly.
        total = c.extra["score"].sum(-1, keepdim=True)
        return torch.where(total > 1e-20, c.extra["score"] / total.clamp(min=1e-20), softmax(c.logits))

    def ranking(self, c: Choice) -> Tensor:
        score = c.extra["score"].detach()
        if self.options.noise and self.training:
            score = score + self.options.noise * torch.randn_like(score)
        return self._within_groups(score + self.bias)

    def _within_groups(self, ranking: Tensor) -> Tensor:
        o = self.options
        if o.topk_group == o.n_group:
            return ranking
        grouped = ranking.view(len(ranking), o.n_group, -1)
        best = {"max": 1, "top2": 2, "share": max(1, o.k // o.topk_group)}[o.group_score]
        worth = grouped.topk(best, -1).values.sum(-1)
        # -inf, not 0: a negative bias would make 0 the better choice and let forbidden groups back in.
        barred = torch.ones_like(worth, dtype=torch.bool).scatter_(1, top_k(worth, o.topk_group), False)
        return grouped.masked_fill(barred[..., None], -torch.inf).view_as(ranking)

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return c.extra["score"].gather(1, expert)

    def norm(self, gates: Tensor) -> Tensor:
        return gates.sum(-1, keepdim=True) + 1e-20

    def finish(self, c: Choice, gates: Tensor, kept: Tensor | None) -> Tensor:
        return super().finish(c, gates, kept) * self.options.routed_scaling

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        c.info["bias"] = self.bias.clone()
        unbiased = top_k(c.extra["score"], self.options.k)
        return {"balance": self.balance(c.probs, unbiased), "z": z_loss(c.logits)}

    @torch.no_grad()
    def after_step(self, routing: Routing) -> None:
        counts = routing.pre_counts
        self.bias += self.options.bias_step * (counts.mean() - counts).sign()

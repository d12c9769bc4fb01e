"""The plain top-k line: `topk` (softmax or sigmoid gates), `switch` (one expert, jittered router input) and `mixtral`."""

from __future__ import annotations

import torch
from torch import Tensor

from moe_viz.moe.routers.base import Choice, TokenChoiceRouter, full_precision, softmax
from moe_viz.spec.routers.token_choice import Switch, TopK


class TopKRouter(TokenChoiceRouter):
    """Top-k of a linear gate; gates are softmax over all experts, or a sigmoid for each expert."""

    options: TopK

    @property
    def one_gradient(self) -> bool:
        return self.options.score == "softmax"

    def probabilities(self, c: Choice) -> Tensor:
        if self.options.score == "softmax":
            return softmax(c.logits)
        c.extra["sigmoid"] = c.logits.sigmoid()
        return c.extra["sigmoid"] / c.extra["sigmoid"].sum(-1, keepdim=True).clamp(min=1e-9)

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return c.extra.get("sigmoid", c.probs).gather(1, expert)


class SwitchRouter(TokenChoiceRouter):
    """Fedus et al. 2021: one expert per token, weighted by its probability. In training the router, and only it, sees x times 1 +- jitter."""

    options: Switch

    def scores(self, c: Choice) -> Tensor | None:
        jitter = self.options.jitter
        if not (jitter and self.training):
            return super().scores(c)
        return full_precision(self.gate, c.x * torch.empty_like(c.x).uniform_(1 - jitter, 1 + jitter))


class MixtralRouter(TokenChoiceRouter):
    """Jiang et al. 2024: softmax over the k chosen logits, which equals the renormalised softmax over all of them."""

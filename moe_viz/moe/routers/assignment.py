"""Routers that assign tokens to experts evenly in training and let each token have its best expert afterwards: `base`
(the exact optimum; Lewis et al. 2021, arXiv:2103.16716) and `sinkhorn` (its entropic relative S-BASE; Clark et al. 2022, arXiv:2202.01169).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe.balance import z_loss
from moe_viz.moe.routers.base import Choice, TokenChoiceRouter
from moe_viz.moe.routing import SparseRouting
from moe_viz.moe.transport import balanced_assignment, sinkhorn_plan
from moe_viz.spec.routers.assignment import Base, Sinkhorn


class BaseRouter(TokenChoiceRouter):
    """In training the assignment with the largest total score, at most ceil(T/E) tokens on an expert; at evaluation the best expert.

    The gate learns only through alpha = sigmoid(score of the assigned expert): `mix = "convex"` sets residual_mix = alpha, the layer then
    returns alpha * f(x) + (1 - alpha) * x; `mix = "gate"` uses alpha as the weight. The assignment is solved on the host: on an
    accelerator each training step waits for it.
    """

    options: Base

    def __init__(self, d_model: int, n_experts: int, options: Base):
        super().__init__(d_model, n_experts, options)
        nn.init.orthogonal_(self.gate.weight, gain=0.1)

    def untraceable(self) -> str | None:
        return "in training: the host solves the assignment; after .eval() it can" if self.training else None

    def select(self, c: Choice) -> tuple[Tensor, None]:
        if not self.training:
            return c.ranking.argmax(-1, keepdim=True), None
        parts = [balanced_assignment(group) for group in c.ranking.split(c.group_size)]
        return (torch.cat(parts) if parts else c.ranking.new_zeros(0, dtype=torch.int64))[:, None], None

    def group_capacity(self, n_tokens: int, k: int) -> int | None:
        return max(1, -(-n_tokens // self.n_experts)) if self.training else None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        c.extra["alpha"] = c.logits.gather(1, expert).sigmoid()
        return c.extra["alpha"] if self.options.mix == "gate" else torch.ones_like(c.extra["alpha"])

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        c.info["alpha"] = c.extra["alpha"].detach().squeeze(-1)
        return {}

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> SparseRouting:
        routing = super().route(x, token_ids, group_size)
        if self.options.mix == "convex":
            assert routing.logits is not None
            routing.residual_mix = routing.logits.gather(1, routing.route_expert[:, None]).sigmoid().squeeze(-1)
        return routing


class SinkhornRouter(TokenChoiceRouter):
    """In training the k best of the balanced transport plan, at evaluation of the raw scores; gates always come from the raw scores.

    Loads are nearly even, not exactly: the plan is, but each token takes only its largest entries.
    """

    options: Sinkhorn

    def untraceable(self) -> str | None:
        if self.training and self.options.tolerance:
            return (
                "in training with a tolerance, which looks at the error after each iteration; with tolerance = 0 it can"
            )
        return None

    def ranking(self, c: Choice) -> Tensor:
        o, scores = self.options, super().ranking(c)
        if not self.training:
            return scores
        scores = scores / o.temperature
        grouped = scores.view(-1, c.group_size, self.n_experts) if len(scores) else scores[None]
        plan, used, error = sinkhorn_plan(grouped, o.iterations, o.tolerance)
        c.info |= {"iterations": used, "marginal_error": error}
        return plan.reshape(scores.shape)

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return c.logits.gather(1, expert).sigmoid() if self.options.gate == "sigmoid" else c.probs.gather(1, expert)

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        return {"z": z_loss(c.logits)}

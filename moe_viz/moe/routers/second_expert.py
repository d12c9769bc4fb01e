"""Routers that ask again whether a token's second expert is worth a slot: `gshard`, `st_moe`, and `nllb` with its gate between
the experts and a shared network. Their gates are normalised over the chosen experts *before* any of them is given up, so that
a token that loses its second expert keeps the first one's share and not more. Only first choices count in the balancing loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moe_viz.moe.balance import precise
from moe_viz.moe.routers.base import Choice, TokenChoiceRouter, full_precision, top_k
from moe_viz.moe.routing import SparseRouting
from moe_viz.spec.routers.second_expert import NLLB, GShard, STMoE


class SecondExpertRouter(TokenChoiceRouter):
    """Top-k whose later experts may be given up in training, at random, the sooner the smaller their gates."""

    def shares(self, c: Choice, expert: Tensor) -> Tensor:
        """Gates [T, K] as they are compared with chance: normalised unless the options normalise later or never."""
        gates = c.probs.detach().gather(1, expert)
        return gates / self.norm(gates) if self.options.renormalize == "before_drop" else gates

    def counted(self, c: Choice, kept: Tensor | None) -> Tensor | None:
        return None if self.options.renormalize == "before_drop" else super().counted(c, kept)

    def charged(self, c: Choice) -> tuple[Tensor, None, None]:
        return c.expert[:, :1], None, None


def keep_with(chance: Tensor) -> Tensor:
    """[T, K] bool: the first column always, the others with probability `chance` (at least 1 is certain)."""
    kept = torch.rand_like(chance) < chance
    kept[:, 0] = True
    return kept


class GShardRouter(SecondExpertRouter):
    """Lepikhin et al. 2020, algorithm 1. `second_expert` in training: "random" keeps it with probability min(1, 2 w_2); "sampling" draws it
    from the remaining experts by adding Gumbel noise (DeepSpeed, fairseq); "all" keeps it. At evaluation always the second best."""

    options: GShard

    def select(self, c: Choice) -> tuple[Tensor, Tensor | None]:
        policy = self.options.second_expert if self.training else "all"
        expert = top_k(c.ranking, self.options.k)
        if policy == "sampling":
            gumbel = -torch.empty_like(c.ranking).exponential_().log()
            others = (c.ranking + gumbel).scatter(1, expert[:, :1], -torch.inf)
            expert = torch.cat([expert[:, :1], top_k(others, 1)], 1)
        return expert, keep_with(2 * self.shares(c, expert)) if policy == "random" else None


class STMoERouter(SecondExpertRouter):
    """Zoph et al. 2022: in training an expert beyond the first is kept with probability min(1, w / threshold)."""

    options: STMoE

    def select(self, c: Choice) -> tuple[Tensor, Tensor | None]:
        expert, threshold = top_k(c.ranking, self.options.k), self.options.threshold
        if not (self.training and threshold):
            return expert, None
        return expert, keep_with(self.shares(c, expert) / threshold)


def budget_loss(gates: Sequence[Tensor], budget: float) -> Tensor:
    """|mean gate - budget| over all tokens of all layers together: one layer may use its experts more if another uses them less."""
    if not sum(gate.numel() for gate in gates):
        return torch.stack([gate.sum() for gate in gates]).sum()
    return (torch.stack([gate.mean() for gate in gates]).mean() - budget).abs()


class NLLBRouter(GShardRouter):
    """NLLB Team 2022: top-2 inside, and a gate g that blends experts with a shared network, y = (1 - g) FFN(x) + g MoE(x).

    g = sigmoid(u x + b) goes into `residual_mix` [T]; `aux["cmr"]` is this layer's `budget_loss`. As in the released code, gate dropout scales
    what it keeps by 1/(1 - p), so that the mean of g stays. Expert output masking blanks single routes without such scaling, and shrinks all
    of them by 1 - p at evaluation; masking a route's weight is the same as masking the expert's answer.
    """

    options: NLLB
    needs_network = True

    def __init__(self, d_model: int, n_experts: int, options: NLLB):
        super().__init__(d_model, n_experts, options)
        self.share_gate = nn.Linear(d_model, 1)

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> SparseRouting:
        routing, p = super().route(x, token_ids, group_size), self.options.output_mask
        if p:
            weight = routing.route_weight
            routing.route_weight = weight * (torch.rand_like(weight) >= p) if self.training else weight * (1 - p)
        g = (full_precision(self.share_gate, x) + precise(self.share_gate.bias)).sigmoid().squeeze(-1)
        g = F.dropout(g, self.options.gate_drop, self.training)
        routing.residual_mix = g
        routing.aux["cmr"] = budget_loss([g], self.options.budget)
        routing.info["expert_share"] = g.detach()
        return routing

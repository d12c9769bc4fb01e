"""`hierarchical` (groups first, then experts inside them; Shazeer et al. 2017, appendix B, arXiv:1701.06538, without its noise) and
`residual` (a fixed MLP and one expert, mixed by learned weights; PR-MoE of Rajbhandari et al. 2022, arXiv:2201.05596).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe.balance import importance_loss
from moe_viz.moe.routers.base import Choice, TokenChoiceRouter, full_precision, linear_gate, softmax, top_k
from moe_viz.moe.routing import SparseRouting
from moe_viz.spec.routers.two_branches import Hierarchical, Residual


class HierarchicalRouter(TokenChoiceRouter):
    """The best k_groups groups of each token, and in each of them the best k experts; expert (i, j) has number i * (E / n_groups) + j.

    Weight = gate of the group times gate inside the group, each renormalised over its own level's choices unless there is only one
    (Switch's rule: a gate that is always 1 cannot learn). probs [T, E] is the product of both full softmaxes, logits its unnormalised log.
    aux["importance"] is CV^2 of Importance_H, the summed weights of each expert; info has Importance_H and Load_H [E]. Without noise
    the smooth load of the paper becomes the plain count, which has no gradient, so there is no load term.
    """

    options: Hierarchical

    def __init__(self, d_model: int, n_experts: int, options: Hierarchical):
        super().__init__(d_model, n_experts, options)
        self.group_gate = linear_gate(d_model, options.n_groups)

    def scores(self, c: Choice) -> Tensor:
        groups = full_precision(self.group_gate, c.x)
        inside = full_precision(self.gate, c.x).view(-1, self.options.n_groups, self.n_experts // self.options.n_groups)
        c.extra |= {"group": softmax(groups), "inside": softmax(inside)}
        return (groups[:, :, None] + inside - inside.logsumexp(-1, keepdim=True)).flatten(1)

    def select(self, c: Choice) -> tuple[Tensor, None]:
        o, size = self.options, self.n_experts // self.options.n_groups
        ranking = c.ranking.view(-1, o.n_groups, size)
        group = top_k(ranking.logsumexp(-1), o.k_groups)
        inside = ranking.gather(1, group[:, :, None].expand(-1, -1, size))
        expert = top_k(inside.reshape(-1, size), o.k).view(-1, o.k_groups, o.k)
        return (group[:, :, None] * size + expert).flatten(1), None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        group, inside = c.extra["group"], c.extra["inside"]
        if self.options.renormalize == "levels":
            group, inside = _of_best(group, self.options.k_groups), _of_best(inside, self.options.k)
        return (group[:, :, None] * inside).flatten(1).gather(1, expert)

    def finish(self, c: Choice, gates: Tensor, kept: Tensor | None) -> Tensor:
        return gates

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        gates = torch.zeros_like(c.probs).scatter(1, c.expert, self.weights(c, c.expert))
        c.info |= {"importance": gates.detach().sum(0), "load": c.counts}
        return {**super().aux_terms(c), "importance": importance_loss(gates)}


def _of_best(gates: Tensor, k: int) -> Tensor:
    """gates [..., N] divided by the sum of their k largest; unchanged where k is 1."""
    return gates if k == 1 else gates / gates.topk(k, -1).values.sum(-1, keepdim=True)


class ResidualRouter(TokenChoiceRouter):
    """Top-1 experts (or top-2) beside an MLP that every token passes: residual_mix [T, 2] = softmax(x W_c + b) weighs experts, then MLP.

    The layer owns the MLP.
    """

    options: Residual
    needs_network = True

    def __init__(self, d_model: int, n_experts: int, options: Residual):
        super().__init__(d_model, n_experts, options)
        self.coefficient = nn.Linear(d_model, 2)

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> SparseRouting:
        routing = super().route(x, token_ids, group_size)
        routing.residual_mix = softmax(full_precision(self.coefficient, x) + self.coefficient.bias)
        return routing

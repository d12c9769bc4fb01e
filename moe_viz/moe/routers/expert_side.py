"""`expert_choice` (each expert picks its tokens; Zhou et al. 2022, arXiv:2202.09368) and `soft` (tokens are blended into slots;
Puigcerver et al. 2023, arXiv:2308.00951, parametrised as in google-research/vmoe). Neither is causal. Axes: G groups of n tokens each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe.balance import precise, without_autocast, z_loss
from moe_viz.moe.capacity import CAPACITY_FORMULAS
from moe_viz.moe.routers.base import Router, full_precision, linear_gate, softmax
from moe_viz.moe.routing import CompleteRouting, SoftRouting
from moe_viz.spec.routers.expert_side import ExpertChoice, Soft


class ExpertChoiceRouter(Router):
    """Each expert takes the C = round(c * n / E) tokens of each group that like it best; their weights are those gates, unchanged.

    C is at least 1 and at most n. A token may be taken by none (dropped) up to all of the experts; on average c of them.
    """

    options: ExpertChoice

    def __init__(self, d_model: int, n_experts: int, options: ExpertChoice):
        super().__init__(d_model, n_experts, options)
        self.gate = linear_gate(d_model, n_experts)

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> CompleteRouting:
        logits = full_precision(self.gate, x)
        probs = softmax(logits)
        n_tokens, n_experts, n_groups = x.shape[0], self.n_experts, x.shape[0] // group_size
        wished = CAPACITY_FORMULAS["expert_choice"](group_size, n_experts, 1, self.options.capacity_factor)
        slots = min(max(1, wished), group_size) if n_tokens else 0
        if n_tokens:
            liking = probs.detach().view(n_groups, group_size, n_experts).transpose(1, 2)
            first = torch.arange(n_groups, device=x.device)[:, None, None] * group_size
            # A stable sort, not topk: among equal likings the earlier token wins, on every device.
            best = liking.argsort(dim=-1, descending=True, stable=True)[:, :, :slots]
            # [G, E, C] -> [E, G, C]: an expert's buffer holds the groups one after another.
            token = (best + first).transpose(0, 1).reshape(-1)
        else:
            token = torch.empty(0, dtype=torch.int64, device=x.device)
        each = n_groups * slots
        expert = torch.arange(n_experts * each, device=x.device).div(max(each, 1), rounding_mode="floor")
        counts = probs.new_full((n_experts,), float(each))
        return CompleteRouting(
            logits=logits,
            probs=probs,
            route_token=token,
            route_expert=expert,
            route_weight=probs.flatten()[token * n_experts + expert],
            capacity=max(each, 1),
            pre_counts=counts,
            post_counts=counts.clone(),
            aux={"z": z_loss(logits)},
            info={"groups": n_groups, "group_capacity": slots} if n_groups > 1 else {},
            route_order=torch.arange(n_experts * each, device=x.device),
        )


class SoftRouter(Router):
    """Slots are weighted averages of the tokens (dispatch, columns sum to 1), outputs weighted averages of slots (combine, rows sum to 1).

    Scores are scale * normalised tokens times normalised slot vectors `phi` [D, E, p]; the tokens that are mixed are not normalised.
    With groups, each group has its own p slots (`soft_groups`). `logits` [T, E] is the logsumexp over an expert's slots, so that its
    softmax is `probs`: the part of a token's output that comes from each expert.
    """

    options: Soft

    def __init__(self, d_model: int, n_experts: int, options: Soft):
        super().__init__(d_model, n_experts, options)
        self.phi = nn.Parameter(torch.empty(d_model, n_experts, options.slots_per_expert))
        nn.init.trunc_normal_(self.phi, std=d_model**-0.5, a=-2 * d_model**-0.5, b=2 * d_model**-0.5)
        self.scale = nn.Parameter(torch.ones(()))

    def slots(self, n_tokens: int) -> int:
        """Slots per expert for a group of n_tokens: what the capacity factor asks for, as far as there are slots."""
        o = self.options
        if o.capacity_factor is None:
            return o.slots_per_expert
        return min(o.slots_per_expert, CAPACITY_FORMULAS["soft"](n_tokens, self.n_experts, 1, o.capacity_factor))

    def slot_logits(self, x: Tensor, slots: int) -> Tensor:
        """Scores [T, E, p] of every token with every slot, in float32 or more."""
        with without_autocast(x):
            unit = _unit(precise(x), -1)
            phi = self.scale.to(unit.dtype) * _unit(self.phi[:, :, :slots].to(unit.dtype), 0)
            logits = (unit @ phi.flatten(1)).view(-1, self.n_experts, slots)
        noise = self.options.noise
        return logits + noise * torch.randn_like(logits) if noise and self.training else logits

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> SoftRouting:
        n_groups = x.shape[0] // group_size
        slots = self.slots(group_size)
        logits = self.slot_logits(x, slots)
        grouped = logits.view(n_groups, group_size, self.n_experts, slots)
        dispatch = grouped.softmax(1).view(logits.shape)
        combine = logits.flatten(1).softmax(-1).view(logits.shape)
        load = dispatch.new_full((self.n_experts,), float(n_groups * slots))
        expert_logits = logits.logsumexp(-1)
        return SoftRouting(
            logits=expert_logits,
            probs=combine.sum(-1),
            capacity=n_groups * slots,
            pre_counts=load,
            post_counts=load.clone(),
            aux={"z": z_loss(expert_logits)},
            info={"slots_per_group": slots, "scale": self.scale.detach()},
            dispatch=dispatch,
            combine=combine,
            soft_groups=max(1, n_groups),
        )


def _unit(v: Tensor, axis: int) -> Tensor:
    return v * torch.rsqrt(v.square().sum(axis, keepdim=True) + 1e-6)

"""MoELayer: router -> buffers -> experts -> weighted sum, one vectorised dispatch for every sparse router.

Rows are sorted by expert and multiplied group by group, or copied into buffers [E, C, D] (dispatch.py says how). Soft routing
mixes tokens into slots instead. Axes as in routing.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe.balance import autocasts, without_autocast
from moe_viz.moe.dispatch import plan_buffers, plan_sorted, run_experts
from moe_viz.moe.experts import Experts
from moe_viz.moe.routers.base import Router
from moe_viz.moe.routing import Routing, SoftRouting, SparseRouting, has_no_data


class MoELayer(nn.Module):
    """y_t = sum over kept routes of weight * f_expert(x_t), plus the shared experts' f(x_t), if any.

    n_shared: experts that every token passes through with weight 1, of the same size as the routed ones (DeepSeekMoE).
    shared_gate: their output is multiplied by sigmoid(g·x), g learned, instead of 1 (Qwen1.5-MoE, Qwen2-MoE).
    disabled: set of expert numbers whose output is taken as zero, for "what does this expert do?" (routing is left as it is).
    Raises ValueError where router and experts disagree about sizes.
    """

    def __init__(self, router: Router, experts: Experts, n_shared: int = 0, shared_gate: bool = False):
        super().__init__()
        for word in ("n_experts", "d_model"):
            if getattr(router, word) != getattr(experts, word):
                raise ValueError(
                    f"router has {word} = {getattr(router, word)}, experts have {getattr(experts, word)}; they must agree"
                )
        self.router, self.experts = router, experts
        self.disabled: frozenset[int] = frozenset()
        self.shared = self._one_network(n_shared) if n_shared else None
        self.shared_gate = nn.Linear(experts.d_model, 1, bias=False) if n_shared and shared_gate else None
        self.beside = self._one_network(1) if router.needs_network else None

    def _one_network(self, width: int) -> Experts:
        """A network for all tokens, `width` times as wide as an expert."""
        e = self.experts
        return Experts(1, e.d_model, width * e.d_hidden, e.activation, e.b1 is not None)

    def forward(
        self,
        x: Tensor,
        token_ids: Tensor | None = None,
        group_size: int | None = None,
        router_shift: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Routing]:
        """x [T, D] -> y [T, D] and the routing. A token that reached no expert gets 0 (its residual stream carries it).

        router_shift [D]: added to what the router sees, not to what the experts see.
        mask [T] bool, True = a real token: the other rows of y are 0, and all else is as without them (see `Router.forward`).
        """
        routing = self.router(x if router_shift is None else x + router_shift, token_ids, group_size, mask)
        if routing.padding is not None:
            return routing.padding.put_back(self._answer(routing.padding.take(x), routing.unpadded)), routing
        return self._answer(x, routing), routing

    def _answer(self, x: Tensor, routing: Routing) -> Tensor:
        """y [T, D]: the experts' part and whatever stands beside it, for a routing without padding."""
        y = self.mix(x, routing)
        if routing.residual_mix is not None:
            y = self.meet(x, y, routing.residual_mix)
        if self.shared is not None:
            beside = self.shared(x[None])[0]
            y = y + (beside if self.shared_gate is None else torch.sigmoid(self.shared_gate(x)) * beside)
        return y

    def meet(self, x: Tensor, y: Tensor, mix: Tensor) -> Tensor:
        """How the experts' output y meets the other branch: x itself, or the network beside the experts where the router needs one.

        mix [T]: a*y + (1-a)*other, as in BASE (Lewis et al. 2021) and NLLB (2022);  [T, 2]: a*y + b*other, as in PR-MoE (2022).
        """
        other = x if self.beside is None else self.beside(x[None])[0]
        mix = mix.to(y.dtype)
        if mix.dim() == 1:
            return other + mix[:, None] * (y - other)
        return mix[:, :1] * y + mix[:, 1:] * other

    def mix(self, x: Tensor, routing: Routing) -> Tensor:
        """The experts' part of the output, [T, D], for any routing of x."""
        if routing.padding is not None:
            return routing.padding.put_back(self.mix(routing.padding.take(x), routing.unpadded))
        if isinstance(routing, SoftRouting):
            return self._blend(x, routing)
        assert isinstance(routing, SparseRouting)
        device = x.device.type
        if autocasts(x):
            # Autocast sees no further than the one operation that the experts are to it, so the type is chosen here.
            x = x.to(torch.get_autocast_dtype(device))
            with without_autocast(x):
                return self.mix(x, routing)
        weight = routing.route_weight.to(x.dtype)
        if self.disabled:
            weight = weight * self._alive(weight)[routing.route_expert]
        if x.shape[0] == 0 or weight.shape[0] == 0:
            return torch.zeros_like(x)
        # Buffers cost padding, so on CPU a grouped product over the kept routes alone is faster. An accelerator likes them better, and
        # has a grouped product for bfloat16 alone: in other types torch asks the host for the ends at each product.
        on_host, whole = device == "cpu", routing.capacity is None and x.dtype == torch.bfloat16
        grouped = self.experts.can_group(x) and (on_host or whole)
        if routing.capacity is None and has_no_data(x):
            grouped = True  # how many rows dropless buffers would need is not known then
        plan = plan_sorted(routing) if grouped else plan_buffers(routing)
        in_weight = routing.route_in_weight
        return run_experts(self.experts, x, weight, None if in_weight is None else in_weight.to(x.dtype), plan)

    def _blend(self, x: Tensor, routing: SoftRouting) -> Tensor:
        """Soft MoE: G groups of n tokens, each with its own S slots of every expert."""
        groups, (_, n_experts, n_slots) = routing.soft_groups, routing.combine.shape
        dispatch, combine = (
            w.to(x.dtype).view(groups, -1, n_experts * n_slots) for w in (routing.dispatch, routing.combine)
        )
        slots = dispatch.transpose(1, 2) @ x.view(groups, -1, x.shape[1])
        slots = slots.view(groups, n_experts, n_slots, -1).transpose(0, 1).reshape(n_experts, groups * n_slots, -1)
        out = self._silence(self.experts(slots)).view(n_experts, groups, n_slots, -1).transpose(0, 1)
        return (combine @ out.reshape(groups, n_experts * n_slots, -1)).view(x.shape)

    def _alive(self, like: Tensor) -> Tensor:
        return like.new_tensor([float(e not in self.disabled) for e in range(self.experts.n_experts)])

    def _silence(self, out: Tensor) -> Tensor:
        return out * self._alive(out)[:, None, None] if self.disabled else out

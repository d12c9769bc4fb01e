"""MoELayer: router -> buffers -> experts -> weighted sum, one vectorised dispatch for every sparse router.

With a capacity, routes are copied into buffers [E, C, D] (a dropped one into a spare row that no expert reads). Dropless, they are
sorted by expert and multiplied group by group. Soft routing mixes tokens into slots instead. Axes as in routing.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe.experts import Experts
from moe_viz.moe.routers.base import Router
from moe_viz.moe.routing import Routing


class MoELayer(nn.Module):
    """y_t = sum over kept routes of weight * f_expert(x_t), plus the shared experts' f(x_t), if any.

    n_shared: experts that every token passes through with weight 1, of the same size as the routed ones (DeepSeekMoE).
    disabled: set of expert numbers whose output is taken as zero, for "what does this expert do?" (routing is left as it is).
    Raises ValueError where router and experts disagree about sizes.
    """

    def __init__(self, router: Router, experts: Experts, n_shared: int = 0):
        super().__init__()
        for word in ("n_experts", "d_model"):
            if getattr(router, word) != getattr(experts, word):
                raise ValueError(
                    f"router has {word} = {getattr(router, word)}, experts have {getattr(experts, word)}; they must agree"
                )
        self.router, self.experts = router, experts
        self.disabled: frozenset[int] = frozenset()
        self.shared = self._one_network(n_shared) if n_shared else None
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
    ) -> tuple[Tensor, Routing]:
        """x [T, D] -> y [T, D] and the routing. A token that reached no expert gets 0 (its residual stream carries it).

        router_shift [D]: added to what the router sees, not to what the experts see.
        """
        routing = self.router(x if router_shift is None else x + router_shift, token_ids, group_size)
        y = self.mix(x, routing)
        if routing.residual_mix is not None:
            y = self.meet(x, y, routing.residual_mix)
        if self.shared is not None:
            y = y + self.shared(x[None])[0]
        return y, routing

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
        if routing.combine is not None:
            slots = torch.einsum("td,tes->esd", x, routing.dispatch.to(x.dtype))
            return torch.einsum("esd,tes->td", self._silence(self.experts(slots)), routing.combine.to(x.dtype))
        weight = routing.route_weight.to(x.dtype)
        if self.disabled:
            weight = weight * self._alive(weight)[routing.route_expert]
        if x.shape[0] == 0 or weight.shape[0] == 0:
            return torch.zeros_like(x)
        if routing.capacity is None and self.experts.can_group(x):
            rows, place = self._dropless(x, routing)
        else:
            rows, place = self._buffered(x, routing)
        return self._combine(rows, place, weight, routing)

    def _alive(self, like: Tensor) -> Tensor:
        return like.new_tensor([float(e not in self.disabled) for e in range(self.experts.n_experts)])

    def _silence(self, out: Tensor) -> Tensor:
        return out * self._alive(out)[:, None, None] if self.disabled else out

    def _rows_of(self, x: Tensor, routing: Routing) -> Tensor:
        k = routing.per_token
        rows = x.repeat_interleave(k, 0) if k else x[routing.route_token]
        return rows if routing.route_in_weight is None else rows * routing.route_in_weight[:, None].to(x.dtype)

    def _buffered(self, x: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        """Outputs as buffers [E*C + 1, D] whose last row is zero, and the row [M] of each route (the last one where dropped)."""
        n_experts = self.experts.n_experts
        slots = routing.capacity
        # Sizes grouped products cannot take (and float64): as large as the fullest buffer, which does wait for the device.
        slots = int(routing.post_counts.max()) if slots is None else min(slots, routing.route_expert.shape[0])
        spare = n_experts * slots
        place = torch.where(routing.kept, routing.route_expert * slots + routing.route_slot, spare)
        buffers = x.new_zeros(spare + 1, x.shape[1]).index_copy(0, place, self._rows_of(x, routing))
        out = self.experts(buffers[:spare].view(n_experts, slots, -1)).reshape(spare, -1)
        return torch.cat([out, out.new_zeros(1, out.shape[1])]), place

    def _dropless(self, x: Tensor, routing: Routing) -> tuple[Tensor, Tensor]:
        n_experts = self.experts.n_experts
        expert = torch.where(routing.kept, routing.route_expert, n_experts)
        ordered, order = expert.sort(stable=True)
        ends = routing.post_counts.cumsum(0).to(torch.int32)
        rows = self._rows_of(x, routing)[order]
        out = self.experts.grouped(rows, ends, ordered.clamp(max=n_experts - 1))
        # Rows of routes nobody asked for were never written: 0 * uninitialised could be NaN.
        out = out.masked_fill((ordered == n_experts)[:, None], 0)
        return out, torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))

    def _combine(self, rows: Tensor, place: Tensor, weight: Tensor, routing: Routing) -> Tensor:
        weighted = rows[place] * weight[:, None]
        if routing.per_token:
            return weighted.view(routing.n_tokens, routing.per_token, -1).sum(1)
        y = weighted.new_zeros(routing.n_tokens, weighted.shape[1])
        return y.index_add(0, routing.route_token, weighted)

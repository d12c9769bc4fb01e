"""From routes to experts and back: where each route's row lies (`Plan`), and one differentiable step that gathers rows, runs the
experts on them and sums their weighted answers per token.

The backward pass is written by hand: it gathers once instead of scattering through `index_put`, activates in place, and sums a
token's rows with `embedding_bag`, which on CPU makes a training step about a third shorter. The same in operations that torch
traces and differentiates again is `traceable_experts`. Axes as in routing.py; N rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from moe_viz.moe.capacity import fill_buckets
from moe_viz.moe.experts import ACTIVATIONS, Experts
from moe_viz.moe.gates import gradient_with_graph
from moe_viz.moe.grouped import grouped_product
from moe_viz.moe.routing import CompleteRouting, SparseRouting, has_no_data, numbers

MOST_PADDING, FEW_ROWS = 4, 2**15
"""Rows of dropless buffers for each route: where a collapse would need more of them, and more than a few rows in all, each expert
multiplies its own, one after another."""
Ends = Tensor | tuple[int, ...] | None


class Plan(NamedTuple):
    """Rows that experts work on: sorted by expert (`ends`), or buffers of N / E rows each (`ends` None).

    row_token, row_route [N]: whose vector fills a row, by which route. route_row [M]: row of each route.
    row_live [N], kept [M] bool: false for rows without a route and routes without a row (these point anywhere); None where all live.
    ends [E] int32: where each expert's rows end, or on the host how many there are. Rows after the last are uninitialised in a product.
    """

    row_token: Tensor
    row_route: Tensor
    route_row: Tensor
    row_live: Tensor | None
    kept: Tensor | None
    ends: Ends
    per_token: int | None


def plan_sorted(routing: SparseRouting) -> Plan:
    """Kept routes sorted by expert, the others behind them. No data reaches the host."""
    n_experts, n_routes = routing.n_experts, routing.route_expert.shape[0]
    device = routing.route_expert.device
    kept = live = None
    if isinstance(routing, CompleteRouting):
        order = routing.route_order
    else:
        kept = routing.kept
        expert, order = routing.route_expert.masked_fill(~kept, n_experts).sort(stable=True)
        live = expert < n_experts
    token = order.div(routing.per_token, rounding_mode="floor") if routing.per_token else routing.route_token[order]
    ends = routing.post_counts.cumsum(0, dtype=torch.int32)
    place = torch.empty_like(order).scatter_(0, order, numbers(n_routes, device))
    return Plan(token, order, place, live, kept, ends, routing.per_token)


def plan_buffers(routing: SparseRouting) -> Plan:
    """Buffers of `capacity` slots. Dropless, as many as the fullest expert needs, which is the one thing here the host must wait for; where
    they would be mostly empty, sorted rows whose numbers are known on the host."""
    n_experts, n_routes = routing.n_experts, routing.route_expert.shape[0]
    slots = routing.capacity
    if slots is None:
        sizes = tuple(map(int, routing.post_counts.tolist()))
        slots = max(sizes)
        if slots * n_experts > max(MOST_PADDING * n_routes, FEW_ROWS):
            return plan_sorted(routing)._replace(ends=sizes)
    slots = max(1, min(slots, n_routes))
    slot = routing.route_slot
    if routing.capacity is not None and routing.capacity > n_routes:
        # Groups begin at multiples of their capacity, which lie beyond buffers cut to the number of routes: count anew.
        asked = routing.route_expert.masked_fill(~routing.kept, n_experts)
        slot = fill_buckets(asked, n_experts + 1).rank
    place = routing.route_expert * slots + slot
    spare = n_experts * slots
    owner = torch.full((spare + 1,), -1, device=place.device)
    owner = owner.scatter_(0, torch.where(routing.kept, place, spare), numbers(n_routes, place.device))[:spare]
    live = owner >= 0
    route = owner.clamp(min=0)
    place = place.masked_fill(~routing.kept, 0)
    return Plan(routing.route_token[route], route, place, live, routing.kept, None, routing.per_token)


def run_experts(experts: Experts, x: Tensor, weight: Tensor, in_weight: Tensor | None, plan: Plan) -> Tensor:
    """y [T, D]: y_t = sum over t's routes of weight * f_expert(in_weight * x_t); weight, in_weight [M]. Computes in the type of x."""
    w1, w2 = experts.w1.to(x.dtype), experts.w2.to(x.dtype)
    b1, b2 = (None if b is None else b.to(x.dtype) for b in (experts.b1, experts.b2))
    run = traceable_experts if has_no_data(x) else _RunExperts.apply
    return run(x, weight, in_weight, w1, b1, w2, b2, plan, experts.activation)


def traceable_experts(
    x: Tensor,
    weight: Tensor,
    in_weight: Tensor | None,
    w1: Tensor,
    b1: Tensor | None,
    w2: Tensor,
    b2: Tensor | None,
    plan: Plan,
    activation: str,
) -> Tensor:
    """As `run_experts`, for compilers and for gradients of gradients: autograd follows it, any number of times."""
    product, ends = _product if plan.ends is None else grouped_product, _on_device(plan)
    expert = None if b1 is None and b2 is None else _row_expert(plan, w1.shape[0])
    rows = x.index_select(0, plan.row_token)
    if in_weight is not None:
        rows = rows * in_weight.index_select(0, plan.row_route)[:, None]
    h = product(rows, w1, ends)
    out = product(ACTIVATIONS[activation](h if b1 is None else h + b1[expert]), w2, ends)
    if b2 is not None:
        out = out + b2[expert]
    if plan.kept is not None:
        weight = weight.masked_fill(~plan.kept, 0)
    answers = out.index_select(0, plan.route_row) * weight[:, None]
    if plan.per_token:
        return answers.view(x.shape[0], plan.per_token, -1).sum(1)
    token = plan.row_token.index_select(0, plan.route_row)
    return torch.zeros_like(x).index_add(0, token, answers)


def _product(rows: Tensor, weights: Tensor, ends: Ends) -> Tensor:
    """rows [N, A] times each expert's weights [E, A, B] -> [N, B]."""
    if isinstance(ends, tuple):
        out, n_live = rows.new_empty(rows.shape[0], weights.shape[2]), sum(ends)
        for part, own, weight in zip(out[:n_live].split(ends), rows[:n_live].split(ends), weights):
            torch.mm(own, weight, out=part)
        return out
    if ends is not None:
        return F.grouped_mm(rows, weights, offs=ends)
    return torch.bmm(rows.view(weights.shape[0], -1, rows.shape[1]), weights).view(-1, weights.shape[2])


def _outer(left: Tensor, right: Tensor, ends: Ends, n_experts: int) -> Tensor:
    """Each expert's left.T @ right over its rows: [N, A], [N, B] -> [E, A, B]."""
    if isinstance(ends, tuple):
        parts = zip(*(side[: sum(ends)].split(ends) for side in (left, right)))
        return torch.stack([one.t() @ other for one, other in parts])
    if ends is not None:
        return F.grouped_mm(left.t(), right, offs=ends)
    return torch.bmm(left.view(n_experts, -1, left.shape[1]).transpose(1, 2), right.view(n_experts, -1, right.shape[1]))


def _on_device(plan: Plan) -> Tensor | None:
    """Where each expert's rows end, also where only the host knows it."""
    if isinstance(plan.ends, tuple):
        return torch.tensor(plan.ends, device=plan.row_token.device).cumsum(0, dtype=torch.int32)
    return plan.ends


def _row_expert(plan: Plan, n_experts: int) -> Tensor:
    """[N] the expert of each row; only biases need it."""
    row = numbers(plan.row_token.shape[0], plan.row_token.device)
    ends = _on_device(plan)
    if ends is None:
        return row // (row.shape[0] // n_experts)
    return torch.searchsorted(ends, row.int(), right=True).clamp(max=n_experts - 1)


def _per_expert(rows: Tensor, plan: Plan, n_experts: int) -> Tensor:
    """Sum of each expert's rows, [E, B]; dead rows are 0. A product, because an accelerator adds to one place in any order."""
    own = _row_expert(plan, n_experts) == numbers(n_experts, rows.device)[:, None]
    return own.to(rows.dtype) @ rows


def _per_token(rows: Tensor, weight: Tensor | None, plan: Plan, n_tokens: int) -> Tensor:
    """Sum of each token's rows, weighted by weight [M]; dead rows are finite here and count with weight 0."""
    if plan.kept is not None:
        weight = plan.kept.to(rows.dtype) if weight is None else weight.masked_fill(~plan.kept, 0)
    if plan.per_token:
        # torch's own entry, given the offsets: the functional form takes twice as long as the sum for few tokens.
        first = numbers(plan.route_row.shape[0], rows.device, plan.per_token)
        weight = None if weight is None else weight.detach()
        return torch.embedding_bag(rows, plan.route_row, first, per_sample_weights=weight)[0]
    if weight is not None:
        rows = rows * weight[plan.row_route][:, None]
        if plan.row_live is not None:
            rows = rows * plan.row_live[:, None]
    if rows.device.type == "cpu":
        return rows.new_zeros(n_tokens, rows.shape[1]).index_add_(0, plan.row_token, rows)
    # An accelerator would add them in any order.
    token, order = plan.row_token.sort(stable=True)
    return torch.embedding_bag(rows, order, torch.searchsorted(token, numbers(n_tokens, rows.device)))[0]


def _clear_dead(rows: Tensor, plan: Plan) -> Tensor:
    # Grouped products leave rows behind the last expert's uninitialised, and 0 * NaN would be NaN.
    return (
        rows.masked_fill_(~plan.row_live[:, None], 0) if plan.ends is not None and plan.row_live is not None else rows
    )


def _activate(h: Tensor, activation: str) -> tuple[Tensor, ...]:
    """act(h), and what else the backward needs. In place for relu, whose output is all that its backward needs."""
    if activation == "relu":
        return (h.relu_(),)
    if activation == "swiglu":
        gate, value = h.chunk(2, -1)
        opened = F.silu(gate)
        return opened * value, h, opened
    return ACTIVATIONS[activation](h), h


def _activate_backward(grad: Tensor, activation: str, a: Tensor, h: Tensor | None, opened: Tensor | None) -> Tensor:
    """Gradient of h; may overwrite `grad`. relu and swiglu are written out, since autograd would compute the forward again."""
    if activation == "relu":
        return torch.ops.aten.threshold_backward.grad_input(grad, a, 0, grad_input=grad)
    if activation == "swiglu":
        assert h is not None and opened is not None
        (gate, value), grad_h = h.chunk(2, -1), torch.empty_like(h)
        grad_gate, grad_value = grad_h.chunk(2, -1)
        torch.mul(grad, opened, out=grad_value)
        torch.ops.aten.silu_backward.grad_input(grad.mul_(value), gate, grad_input=grad_gate)
        return grad_h
    assert h is not None  # kept by every activation but relu
    with torch.enable_grad():
        h = h.detach().requires_grad_()
        return torch.autograd.grad(ACTIVATIONS[activation](h), h, grad)[0]


class _RunExperts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        in_weight: Tensor | None,
        w1: Tensor,
        b1: Tensor | None,
        w2: Tensor,
        b2: Tensor | None,
        plan: Plan,
        activation: str,
    ) -> Tensor:
        rows = x.index_select(0, plan.row_token)
        if in_weight is not None:
            rows.mul_(in_weight.index_select(0, plan.row_route)[:, None])
        h = _product(rows, w1, plan.ends)
        if b1 is not None:
            h.add_(b1.index_select(0, _row_expert(plan, w1.shape[0])))
        a, *rest = _activate(h, activation)
        h, opened = [*rest, None, None][:2]
        out = _product(a, w2, plan.ends)
        if b2 is not None:
            out.add_(b2.index_select(0, _row_expert(plan, w1.shape[0])))
        _clear_dead(out, plan)
        ctx.plan, ctx.activation = plan, activation
        needs_out = ctx.needs_input_grad[1]
        ctx.save_for_backward(x, weight, in_weight, w1, b1, w2, b2, rows, a, h, opened, out if needs_out else None)
        return _per_token(out, weight, plan, x.shape[0])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes one gradient for each output
        ctx: Any, grad_y: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight, in_weight, w1, b1, w2, b2, rows, a, h, opened, out = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to be differentiated in turn

            def again(*inputs: Any) -> tuple[Tensor]:
                x, weight, in_weight, w1, b1, w2, b2 = inputs
                return (traceable_experts(x, weight, in_weight, w1, b1, w2, b2, ctx.plan, ctx.activation),)

            inputs = x, weight, in_weight, w1, b1, w2, b2
            return (*gradient_with_graph(again, inputs, ctx.needs_input_grad, (grad_y,)), None, None)
        plan, n_experts, ends = ctx.plan, w1.shape[0], ctx.plan.ends
        grad = grad_y.index_select(0, plan.row_token)
        grad_weight = None
        if out is not None:
            grad_weight = torch.linalg.vecdot(grad, out).index_select(0, plan.route_row)
            if plan.kept is not None:
                grad_weight.masked_fill_(~plan.kept, 0)
        row_weight = weight.index_select(0, plan.row_route)
        if plan.row_live is not None:
            row_weight.masked_fill_(~plan.row_live, 0)
        grad.mul_(row_weight[:, None])
        grad_w2 = _outer(a, grad, ends, n_experts)
        grad_b2 = None if b2 is None else _per_expert(grad, plan, n_experts)
        grad = _activate_backward(_product(grad, w2.transpose(1, 2), ends), ctx.activation, a, h, opened)
        grad_w1 = _outer(rows, grad, ends, n_experts)
        grad_b1 = None if b1 is None else _per_expert(_clear_dead(grad, plan), plan, n_experts)
        if not (ctx.needs_input_grad[0] or ctx.needs_input_grad[2]):
            return None, grad_weight, None, grad_w1, grad_b1, grad_w2, grad_b2, None, None
        grad = _clear_dead(_product(grad, w1.transpose(1, 2), ends), plan)
        grad_in_weight = None
        if in_weight is not None:
            plain = x.index_select(0, plan.row_token)
            grad_in_weight = torch.linalg.vecdot(grad, plain).index_select(0, plan.route_row)
            if plan.kept is not None:
                grad_in_weight.masked_fill_(~plan.kept, 0)
            grad.mul_(in_weight.index_select(0, plan.row_route)[:, None])
        grad_x = _per_token(grad, None, plan, x.shape[0])
        return grad_x, grad_weight, grad_in_weight, grad_w1, grad_b1, grad_w2, grad_b2, None, None

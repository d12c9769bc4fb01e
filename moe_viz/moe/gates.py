"""From probabilities to what a router hands on, as one differentiable step: choice, renormalisation, balancing loss and z-loss.

The router's steps compute the values; only the way back is written here, by hand, because some twenty small autograd nodes cost
more than the mathematics where tokens are few. Axes as in routing.py; K chosen per token, G groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from moe_viz.moe.balance import balance_loss, z_loss


class GateValues(NamedTuple):
    """What a router's steps found without gradient.

    weight [T*K] combine weights, 0 where not kept;  balance, z: `balance_loss` and `z_loss`
    expert [T, K];  kept [T, K] bool, None where all are;  norm [T, 1] what gates were divided by, None where by nothing
    counted [T, K] bool: the gates whose sum is `norm`, None where all are;  share [E] or [G, E]: f of the balancing loss
    """

    weight: Tensor
    balance: Tensor
    z: Tensor
    expert: Tensor
    kept: Tensor | None
    norm: Tensor | None
    counted: Tensor | None
    share: Tensor


def with_gradient(logits: Tensor, probs: Tensor, values: GateValues) -> tuple[Tensor, Tensor, Tensor]:
    """weight, balance and z of `values`, now differentiable: the first two by probs [T, E], z by logits [T, E]."""
    return _Gates.apply(logits, probs, values)


class _Gates(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, probs: Tensor, values: GateValues) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(logits, probs, values.weight, *values[3:])
        return values[:3]

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes one gradient for each output
        ctx: Any, grad_weight: Tensor | None, grad_balance: Tensor | None, grad_z: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None]:
        logits, probs, weight, expert, kept, norm, counted, share = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to be differentiated in turn

            def again(logits: Tensor, probs: Tensor) -> tuple[Tensor, ...]:
                gates = _weights(probs, expert, kept, norm is not None, counted)
                return gates.reshape(-1), balance_loss(probs, share), z_loss(logits)

            grads = grad_weight, grad_balance, grad_z
            of_logits, of_probs = gradient_with_graph(again, (logits, probs), ctx.needs_input_grad, grads)
            return of_logits, of_probs, None
        grad_logits = grad_probs = None
        if grad_weight is not None or grad_balance is not None:
            # Experts first, as everywhere here: short reductions want tokens contiguous.
            grad_probs = probs.new_zeros(probs.shape[::-1])
            if grad_weight is not None:
                chosen = _of_gates(grad_weight.view_as(expert), weight.view_as(expert), kept, norm, counted)
                grad_probs.scatter_add_(0, expert.t(), chosen.t())
            if grad_balance is not None and len(probs):
                # E f_i / T, the same for all tokens of a group.
                of_share = (share.to(probs.dtype) * grad_balance).t()[..., None]
                grad_probs.view(*of_share.shape[:-1], -1).add_(of_share, alpha=probs.shape[1] / len(probs))
            grad_probs = grad_probs.t()
        if grad_z is not None:
            log_sum = logits.logsumexp(1, keepdim=True)
            grad_logits = (logits - log_sum).exp_().mul_(log_sum * (grad_z * (2 / max(1, len(logits)))))
        return grad_logits, grad_probs, None


def gradient_with_graph(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Gradient of function(*inputs), given those of its outputs (None: not used), by each input that is needed, itself differentiable."""
    # As new views: where one input was computed from another, its part of the gradient must not be counted in both.
    inputs = [i if i is None else i.view_as(i) for i in inputs]
    wanted = [i for i, need in zip(inputs, needed, strict=False) if need and i is not None]
    used = [(out, grad) for out, grad in zip(function(*inputs), grads, strict=True) if grad is not None]
    outputs, grads = [out for out, _ in used], [grad for _, grad in used]
    parts = iter(torch.autograd.grad(outputs, wanted, grads, create_graph=True, allow_unused=True))
    return [next(parts) if need and i is not None else None for i, need in zip(inputs, needed, strict=False)]


def _weights(probs: Tensor, expert: Tensor, kept: Tensor | None, divided: bool, counted: Tensor | None) -> Tensor:
    """Combine weights [T, K] as `TokenChoiceRouter.weights` and `finish` have them."""
    gates = probs.gather(1, expert)
    if divided:
        gates = gates / ((gates if counted is None else gates.masked_fill(~counted, 0)).sum(-1, keepdim=True) + 1e-20)
    return gates if kept is None else gates.masked_fill(~kept, 0)


def _of_gates(grad: Tensor, weight: Tensor, kept: Tensor | None, norm: Tensor | None, counted: Tensor | None) -> Tensor:
    """Gradient of the chosen gates [T, K] from that of their weights: d(g_i / n) = (dg_i - w_i dn) / n with n the sum of the counted."""
    if kept is not None:
        grad = grad.masked_fill(~kept, 0)
    if norm is None:
        return grad
    of_norm = torch.linalg.vecdot(grad, weight)[:, None]
    return (grad - (of_norm if counted is None else of_norm * counted)) / norm

"""From probabilities to what a router hands on, as one differentiable step: choice, renormalisation, balancing loss and z-loss.

The router's steps compute the values; only the way back is written here, by hand, because some twenty small autograd nodes cost
more than the mathematics where tokens are few. Axes as in routing.py; K chosen per token, G groups.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
    """weight, balance and z of `values`, now differentiable (once): the first two by probs [T, E], z by logits [T, E]."""
    return _Gates.apply(logits, probs, values)


class _Gates(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, probs: Tensor, values: GateValues) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(logits, probs, values.weight, *values[3:])
        return values[:3]

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes one gradient for each output
        ctx: Any, grad_weight: Tensor | None, grad_balance: Tensor | None, grad_z: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None]:
        logits, probs, weight, expert, kept, norm, counted, share = ctx.saved_tensors
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


def _of_gates(grad: Tensor, weight: Tensor, kept: Tensor | None, norm: Tensor | None, counted: Tensor | None) -> Tensor:
    """Gradient of the chosen gates [T, K] from that of their weights: d(g_i / n) = (dg_i - w_i dn) / n with n the sum of the counted."""
    if kept is not None:
        grad = grad.masked_fill(~kept, 0)
    if norm is None:
        return grad
    of_norm = torch.linalg.vecdot(grad, weight)[:, None]
    return (grad - (of_norm if counted is None else of_norm * counted)) / norm

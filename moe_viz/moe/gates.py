"""The gradient of softmax gates as one step: scores, softmax, choice, renormalisation, balancing loss and z-loss seen as one function
of the tokens and the gate's weights. The router's steps compute the values; only the way back is written here, by hand, because some
thirty small autograd nodes cost more than the mathematics where tokens are few. Axes as in routing.py; K chosen per token, G groups.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class GateValues(NamedTuple):
    """What a router's steps found without gradient.

    logits [T, E];  probs [T, E] their softmax;  weight [T*K] combine weights, 0 where not kept;  balance, z: `balance_loss` and `z_loss`
    expert [T, K];  kept [T, K] bool, None where all are;  norm [T, 1] what gates were divided by, None where by nothing
    counted [T, K] bool: the gates whose sum is `norm`, None where all are;  share [E] or [G, E]: f of the balancing loss
    """

    logits: Tensor
    probs: Tensor
    weight: Tensor
    balance: Tensor
    z: Tensor
    expert: Tensor
    kept: Tensor | None
    norm: Tensor | None
    counted: Tensor | None
    share: Tensor


def with_gradient(x: Tensor, gate: Tensor, values: GateValues) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """logits, probs, weight, balance and z of `values`, now differentiable (once) with respect to x [T, D] and gate [E, D], logits = x gate^T."""
    return _SoftmaxGates.apply(x, gate, values)


class _SoftmaxGates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gate, values):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, gate, *values[:3], *values[5:])
        return values[:5]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_logits, grad_probs, grad_weight, grad_balance, grad_z):
        x, gate, logits, probs, weight, expert, kept, norm, counted, share = ctx.saved_tensors
        # Experts first, as everywhere here: short reductions want tokens contiguous.
        probs = probs.t()
        n_experts, n_tokens = probs.shape
        grad = (
            probs.new_zeros(probs.shape)
            if grad_probs is None
            else grad_probs.t().clone(memory_format=torch.contiguous_format)
        )
        if grad_weight is not None:
            chosen = _of_gates(grad_weight.view_as(expert), weight.view_as(expert), kept, norm, counted)
            grad.scatter_add_(0, expert.t(), chosen.t())
        if grad_balance is not None:
            # The same for all tokens of a group: E f_i / T.
            of_share, scale = (share.to(probs.dtype) * grad_balance).t()[..., None], n_experts / max(1, n_tokens)
            grad.view(n_experts, *share.shape[:-1], -1).add_(of_share, alpha=scale)
        grad = torch._softmax_backward_data(grad, probs, 0, probs.dtype)
        if grad_z is not None and n_tokens:
            log_sum = logits.amax(1) - probs.amax(0).log()
            grad.addcmul_(probs, log_sum * (grad_z * (2 / n_tokens)))
        if grad_logits is not None:
            grad.add_(grad_logits.t())
        grad_x = (grad.t() @ gate.to(grad.dtype)).to(x.dtype) if ctx.needs_input_grad[0] else None
        return grad_x, (grad @ x.to(grad.dtype)).to(gate.dtype) if ctx.needs_input_grad[1] else None, None


def _of_gates(grad: Tensor, weight: Tensor, kept: Tensor | None, norm: Tensor | None, counted: Tensor | None) -> Tensor:
    """Gradient of the chosen gates [T, K] from that of their weights: d(g_i / n) = (dg_i - w_i dn) / n with n the sum of the counted."""
    if kept is not None:
        grad = grad.masked_fill(~kept, 0)
    if norm is None:
        return grad
    of_norm = torch.linalg.vecdot(grad, weight)[:, None]
    return (grad - (of_norm if counted is None else of_norm * counted)) / norm

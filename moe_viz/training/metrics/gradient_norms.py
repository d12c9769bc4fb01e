"""The gradient ledger: how much of a step's gradient each expert and each router row got, while `grad_ledger` is on.

An expert learns from the tokens it is sent, so an expert with few tokens gets little gradient and falls further behind: the
rich-get-richer loop (Eigen et al. 2013, section 3.2; Shazeer et al. 2017, section 4). Nothing here waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moe_viz.models import Model
from moe_viz.moe import MoELayer


@torch.no_grad()
def gradient_norms(model: Model) -> Tensor:
    """[L, 2, E]: norm of the gradient that each expert's weights hold, and that of each expert's row of the gate.

    Clipping scales all gradients alike, so shares are the same before and after. The second is NaN for routers without such rows.
    """
    return torch.stack([torch.stack([_expert_norms(layer), _row_norms(layer)]) for layer in model.moe_layers])


def _expert_norms(layer: MoELayer) -> Tensor:
    grads = [parameter.grad for parameter in layer.experts.parameters()]
    squares = [grad.flatten(1).square().sum(1) for grad in grads if grad is not None]
    if not squares:
        return layer.experts.w1.new_full((layer.experts.n_experts,), float("nan"))
    return torch.stack(squares).sum(0).sqrt()


def _row_norms(layer: MoELayer) -> Tensor:
    weight = getattr(getattr(layer.router, "gate", None), "weight", None)
    n_experts = layer.experts.n_experts
    if weight is None or weight.shape[0] != n_experts:
        return layer.experts.w1.new_full((n_experts,), float("nan"))
    if weight.grad is None:
        return weight.new_zeros(n_experts)
    return torch.linalg.vector_norm(weight.grad.float(), dim=1)

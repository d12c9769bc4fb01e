"""Experts: E small two-layer networks of one shape, stacked, so that all of them run in a few matrix multiplications.

Axes: E experts, D width, H hidden, C slots, N rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moe_viz.moe.grouped import takes_grouped

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "identity": lambda h: h,
    "swiglu": lambda h: F.silu(h[..., : h.shape[-1] // 2]) * h[..., h.shape[-1] // 2 :],
}


class Experts(nn.Module):
    """f_e(x) = act(x w1[e] + b1[e]) w2[e] + b2[e], for E experts at once.

    w1 [E, D, H] ([E, D, 2H] for swiglu: gate, then value), w2 [E, H, D]; b1, b2 only with bias=True.
    Init: uniform in 1/sqrt(fan in), as nn.Linear. Raises ValueError for an unknown activation or sizes below 1.
    """

    def __init__(self, n_experts: int, d_model: int, d_hidden: int, activation: str = "relu", bias: bool = False):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation = {activation!r} is not known; it can be: {', '.join(ACTIVATIONS)}")
        if min(n_experts, d_model, d_hidden) < 1:
            raise ValueError(f"experts need sizes of at least 1, got {n_experts} x {d_model} x {d_hidden}")
        self.n_experts, self.d_model, self.d_hidden, self.activation = n_experts, d_model, d_hidden, activation
        width = 2 * d_hidden if activation == "swiglu" else d_hidden
        self.w1 = nn.Parameter(torch.empty(n_experts, d_model, width))
        self.w2 = nn.Parameter(torch.empty(n_experts, d_hidden, d_model))
        self.b1 = nn.Parameter(torch.empty(n_experts, width)) if bias else None
        self.b2 = nn.Parameter(torch.empty(n_experts, d_model)) if bias else None
        for parameter, fan_in in ((self.w1, d_model), (self.w2, d_hidden), (self.b1, d_model), (self.b2, d_hidden)):
            if parameter is not None:
                nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5)

    def extra_repr(self) -> str:
        return f"{self.n_experts} x ({self.d_model} -> {self.d_hidden} -> {self.d_model}), {self.activation}"

    def forward(self, x: Tensor) -> Tensor:
        """Each expert on its own rows: x [E, C, D] -> [E, C, D]."""
        act = ACTIVATIONS[self.activation]
        if self.b1 is None or self.b2 is None:
            return torch.bmm(act(torch.bmm(x, self.w1)), self.w2)
        return torch.baddbmm(self.b2[:, None], act(torch.baddbmm(self.b1[:, None], x, self.w1)), self.w2)

    def can_group(self, x: Tensor) -> bool:
        """Whether torch's grouped product takes these rows."""
        return takes_grouped(x.dtype, self.d_model, self.d_hidden)

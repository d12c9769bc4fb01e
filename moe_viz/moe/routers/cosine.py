"""The `cosine` router: tokens and experts are compared by direction on a low-dimensional sphere.

X-MoE (Chi et al. 2022, arXiv:2204.09179) and Tutel's cosine gate. Logits are bounded by 1/temperature whatever the size of a token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moe_viz.moe.balance import precise, without_autocast
from moe_viz.moe.routers.base import Choice, Router, TokenChoiceRouter, full_precision
from moe_viz.spec.routers.cosine import Cosine

LOWEST_TEMPERATURE = 0.01


class CosineRouter(TokenChoiceRouter):
    """logits = cos(P x, e_i) / temperature, with a learned projection P (with bias, as in Tutel), expert vectors e [E, proj_dim] and temperature."""

    options: Cosine

    def __init__(self, d_model: int, n_experts: int, options: Cosine):
        Router.__init__(self, d_model, n_experts, options)  # no linear gate here
        self.projection = nn.Linear(d_model, options.proj_dim)
        self.expert_vectors = nn.Parameter(torch.randn(n_experts, options.proj_dim) / math.sqrt(options.proj_dim))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(options.temperature)))

    def scores(self, c: Choice) -> Tensor:
        token = full_precision(self.projection, c.x) + precise(self.projection.bias)
        if self.options.normalise_input:
            token = F.normalize(token, dim=-1)
        expert = F.normalize(precise(self.expert_vectors), dim=-1)
        scale = self.log_scale.clamp(max=-math.log(LOWEST_TEMPERATURE)).exp()
        c.info["temperature"] = 1 / scale.detach()
        with without_autocast(c.x):
            return token @ expert.t() * scale

"""A small vision transformer whose feed-forward parts are MoE layers (Dosovitskiy et al. 2020; Riquelme et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.models.base import Model, init_weights, make_moe_layer
from moe_viz.models.transformer import Block
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch, Task
from moe_viz.tasks.digits import N_CLASSES, N_PATCHES, PATCH

PIXEL_MEAN, PIXEL_STD = 0.3, 0.38
"""Of the training images: patches are centred and of unit size."""
POSITION_STD = 0.3
"""Positions as large as the patches at the start: with the usual .02 the same accuracy comes 100 steps later."""


class VisionTransformer(Model):
    """Patch embedding and learned positions, `n_layers` blocks, mean over the patches, a linear head. Outputs: logits [N, 10]."""

    def __init__(self, config: RunConfig, task: Task):
        super().__init__(config)
        self.patch = nn.Linear(PATCH**2, config.d_model)
        self.position = nn.Parameter(torch.randn(N_PATCHES, config.d_model) * POSITION_STD)
        self.blocks = nn.ModuleList(
            Block(config.d_model, make_moe_layer(config, task), causal=False) for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, N_CLASSES)
        self.head.apply(init_weights)
        self.moe_layers = [block.moe for block in self.blocks]

    def forward(self, batch: Batch) -> Tensor:
        x = self.patch(_patches((batch.inputs - PIXEL_MEAN) / PIXEL_STD)) + self.position
        shared, routings = self.shared_vector, []
        for block in self.blocks:
            x, routing = block(x, batch.token_ids, shared)
            routings.append(routing)
        self.routings = routings
        return self.head(self.norm(x).mean(1))


def _patches(images: Tensor) -> Tensor:
    """[N, S, S] -> [N, patches, PATCH * PATCH], row by row."""
    n, side, _ = images.shape
    grid = images.view(n, side // PATCH, PATCH, side // PATCH, PATCH)
    return grid.transpose(2, 3).reshape(n, -1, PATCH**2)

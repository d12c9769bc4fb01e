"""A small vision transformer whose feed-forward parts are MoE layers (Dosovitskiy et al. 2020; Riquelme et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.models.base import Model, init_weights, make_moe_layer
from moe_viz.models.transformer import Block
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch
from moe_viz.tasks.images import ImageTask

POSITION_STD = 0.3
"""Positions as large as the patches at the start: with the usual .02 the same accuracy comes 100 steps later."""


class VisionTransformer(Model):
    """Patch embedding (plus learned positions where the task has them), `n_layers` blocks, mean over the patches, a linear head.

    Outputs: logits [N, n_classes]. Without positions, images may have any shape whose sides are whole patches.
    """

    def __init__(self, config: RunConfig, task: ImageTask):
        super().__init__(config)
        self.size, self.pixel_mean, self.pixel_std = task.patch, task.pixel_mean, task.pixel_std
        self.patch = nn.Linear(task.channels * task.patch**2, config.d_model)
        self.position = None
        if task.has_positions:
            self.position = nn.Parameter(torch.randn(task.per_side**2, config.d_model) * POSITION_STD)
        blocks = [Block(config.d_model, make_moe_layer(config, task), causal=False) for _ in range(config.n_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, task.n_classes)
        self.head.apply(init_weights)
        self.moe_layers = [block.moe for block in blocks]

    def forward(self, batch: Batch) -> Tensor:
        if batch.mask is not None:
            raise ValueError("images have no padding: every patch meets every other, and all are averaged")
        # Patches are centred and of unit size.
        x = self.patch(patches((batch.inputs - self.pixel_mean) / self.pixel_std, self.size))
        if self.position is not None:
            x = x + self.position
        shared, routings = self.shared_vector, []
        for block in self.blocks:
            x, routing = block(x, batch.token_ids, shared)
            routings.append(routing)
        self.routings = routings
        return self.head(self.norm(x).mean(1))


def patches(images: Tensor, size: int) -> Tensor:
    """[N, H, W] or [N, H, W, C] -> [N, patches, size * size * C], row by row."""
    images = images.unsqueeze(-1) if images.dim() == 3 else images
    n, height, width, channels = images.shape
    grid = images.reshape(n, height // size, size, width // size, size, channels)
    return grid.transpose(2, 3).reshape(n, -1, size * size * channels)

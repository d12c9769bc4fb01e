"""Counting a live model's tensors, part by part.

What is trained counts, and the selection bias of a router that has one: as in published weight files. Other buffers (the shared direction,
a hash router's table) do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from moe_viz.models.base import Model
from moe_viz.models.transformer import N_HEADS, Attention
from moe_viz.moe import MoELayer
from moe_viz.records.model_size import ModelSize

PARTS = (
    "embedding",
    "positions",
    "head",
    "attention",
    "norms",
    "router",
    "experts",
    "shared",
    "shared_gate",
    "beside",
    "other",
)
INSIDE = {
    "router": "router",
    "experts": "experts",
    "shared": "shared",
    "shared_gate": "shared_gate",
    "beside": "beside",
}
"""Child of an MoE layer -> part."""


def model_size(model: Model) -> ModelSize:
    """How many numbers each part of a model holds."""
    parts: dict[str, int] = dict.fromkeys(PARTS, 0)
    owners: Mapping[str, nn.Module] = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        parts[_part(name, owners)] += parameter.numel()
    parts["router"] += sum(bias.numel() for layer in model.moe_layers if (bias := _selection_bias(layer)) is not None)
    attention = next((module for module in owners.values() if isinstance(module, Attention)), None)
    width = attention.out.in_features if attention is not None else 0
    head = owners.get("head")
    return ModelSize(
        parts=parts,
        heads=N_HEADS if attention is not None else 0,
        head_dim=width // N_HEADS,
        vocab=head.out_features if isinstance(head, nn.Linear) else 0,
        positions=parts["positions"] // model.shared_direction.numel(),
    )


def _selection_bias(layer: MoELayer) -> Tensor | None:
    return dict(layer.router.named_buffers(recurse=False)).get("bias")


def _part(name: str, owners: Mapping[str, nn.Module]) -> str:
    """The part that a parameter belongs to, by the module that holds it."""
    path = name.split(".")
    for depth in range(len(path)):
        owner, child = owners[".".join(path[:depth])], path[depth]
        if isinstance(owner, MoELayer):
            return INSIDE[child]
        if isinstance(owner, Attention):
            return "attention"
        if isinstance(owner, nn.LayerNorm):
            return "norms"
    if path[0] == "position":
        return "positions"
    return {"token.weight": "embedding", "head.weight": "head"}.get(name, "other")

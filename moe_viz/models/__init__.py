"""Whole networks around the MoE layer, one for each task.

May import: `moe`, `spec`, `tasks`. Must not know: how they are trained, or who watches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from moe_viz.models.base import Model, make_layer_router
from moe_viz.models.language import LanguageModel
from moe_viz.models.points import PointModel
from moe_viz.models.vision import VisionTransformer
from moe_viz.spec import RunConfig
from moe_viz.tasks import Task

MODELS: dict[str, Callable[[RunConfig, Any], Model]] = {
    "domains": LanguageModel,
    "digits": VisionTransformer,
    "photo": VisionTransformer,
    "clusters": PointModel,
    "plane": PointModel,
}


def build_model(config: RunConfig, task: Task) -> Model:
    """The model of `config` on the task's device. Its first weights depend on `config.seed` only, not on the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = MODELS[config.task.name](config, task)
    if config.task.balanced_start:
        for layer in model.moe_layers:
            model.balance_start(layer.router)
    model.set_shared_vector(config.task.shared_vector)
    return model.to(task.device)


__all__ = ["MODELS", "LanguageModel", "Model", "PointModel", "VisionTransformer", "build_model", "make_layer_router"]

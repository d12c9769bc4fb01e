"""Turning knobs in a running model: another router moves into the layers, around the very same experts."""

from __future__ import annotations

import torch
from torch import nn

from moe_viz.models import Model
from moe_viz.models.base import make_moe_layer
from moe_viz.moe import MoELayer
from moe_viz.spec import RunConfig
from moe_viz.tasks import Task
from moe_viz.training.messages import swapped
from moe_viz.training.optimizer import FusedAdamW


def apply_live(model: Model, optimizer: FusedAdamW, task: Task, before: RunConfig, after: RunConfig) -> list[str]:
    """Carry the live differences of two configs into a model; what was done beyond turning a value, in sentences."""
    routed_alike = before.router.name == after.router.name
    # All of them before anything is changed: there may be no memory for one.
    fresh = [] if routed_alike else [make_moe_layer(after, task).to(task.device) for _ in model.moe_layers]
    task.config = after
    model.set_shared_vector(after.task.shared_vector)
    if routed_alike:
        for layer in model.moe_layers:
            layer.router.options = after.router
        return []
    kept = [_replace_router(model, optimizer, index, new, after) for index, new in enumerate(fresh)]
    live = set(model.parameters())
    optimizer.param_groups[0]["params"] = list(model.parameters())
    for parameter in [parameter for parameter in optimizer.state if parameter not in live]:
        del optimizer.state[parameter]
    return [swapped(before, after, gate_kept=all(kept))]


def _replace_router(model: Model, optimizer: FusedAdamW, index: int, new: MoELayer, config: RunConfig) -> bool:
    """Put a fresh layer's router around the old layer's experts; whether the gate's weights could be kept.

    The whole layer is exchanged, not just its router: some routers bring a layer of their own (a second branch beside the experts).
    """
    old: MoELayer = model.moe_layers[index]
    new.train(old.training)
    if config.task.balanced_start:
        model.balance_start(new.router)
    before = dict(old.named_parameters())
    for name, child in list(new.named_children()):
        other = getattr(old, name, None)
        if name != "router" and isinstance(other, type(child)) and _shapes(other) == _shapes(child):
            setattr(new, name, other)  # the same Parameter objects: their optimiser state stays valid
    new.disabled = old.disabled
    for name, parameter in new.router.named_parameters(prefix="router"):
        source = before.get(name)
        if source is not None and source.shape == parameter.shape:
            parameter.data.copy_(source.data)
            if source in optimizer.state:
                optimizer.state[parameter] = {key: value.clone() for key, value in optimizer.state[source].items()}
    path = next(name for name, module in model.named_modules() if module is old)
    parent, _, word = path.rpartition(".")
    setattr(model.get_submodule(parent), word, new)
    model.moe_layers[index] = new
    gate = dict(new.router.named_parameters()).get("gate.weight")
    return gate is not None and "router.gate.weight" in before and before["router.gate.weight"].shape == gate.shape


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in module.named_parameters()}

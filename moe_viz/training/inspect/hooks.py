"""Watching a step: hooks on one MoE layer and its model that keep what passes, with the gradients that reach it, per micro-batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from moe_viz.moe import MoELayer, Routing, SparseRouting
from moe_viz.moe.routers.base import Choice
from moe_viz.tasks import Batch
from moe_viz.training.devices import random_stream
from moe_viz.training.objective import coefficient
from moe_viz.training.run import Run


@dataclass
class LayerPass:
    """What was watched of one micro-batch: the layer's input x [T, D] and output y [T, D], its routing, how its router chose.

    aux_grads: term -> its weighted gradient by the logits [T, E];  routings: of all layers;  per_token [T] loss
    grads: the step's gradients of `y`, `logits` and `weight` (of the routes), where they have one; after `keep_gradients`
    """

    x: Tensor
    shift: Tensor | None
    y: Tensor
    routing: Routing
    choice: Choice | None
    aux_grads: dict[str, Tensor] = field(default_factory=dict)
    routings: list[Routing] = field(default_factory=list)
    grads: dict[str, Tensor] = field(default_factory=dict)
    per_token: Tensor = field(init=False)
    batch: Batch = field(init=False)

    @property
    def differentiated(self) -> dict[str, Tensor | None]:
        """The tensors whose gradients are told."""
        weight = self.routing.route_weight if isinstance(self.routing, SparseRouting) else None
        return {"y": self.y, "logits": self.routing.logits, "weight": weight}

    def keep_gradients(self) -> None:
        """Note the gradients that have come, so that they go to the host with the rest."""
        found = {name: t.grad for name, t in self.differentiated.items() if t is not None and not t.is_leaf}
        self.grads = {name: grad for name, grad in found.items() if grad is not None}


@contextmanager
def watching(copy: Run, moe: MoELayer) -> Iterator[list[LayerPass]]:
    """Hooks on the copy that keep what passes; the list fills while it steps. They go with the block: they hold the copy that holds them."""
    watched: list[LayerPass] = []
    choices: list[Choice] = []
    moe.router.on_choice = choices.append

    def layer_hook(module: Any, args: tuple, kwargs: dict, output: tuple[Tensor, Routing]) -> None:
        y, routing = output
        seen = LayerPass(args[0].detach(), kwargs.get("router_shift"), y, routing, choices[-1] if choices else None)
        if torch.is_grad_enabled():
            seen.aux_grads = _aux_gradients(copy, routing)  # before gradients are kept: these would be added to them
        for tensor in seen.differentiated.values():
            if tensor is not None and tensor.requires_grad and not tensor.is_leaf:
                tensor.retain_grad()
        watched.append(seen)

    def model_hook(module: Any, args: tuple, output: Tensor) -> None:
        watched[-1].batch, watched[-1].routings = args[0], copy.model.routings
        watched[-1].per_token = copy.task.loss(output.detach(), args[0])[1].detach()

    hooks = moe.register_forward_hook(layer_hook, with_kwargs=True), copy.model.register_forward_hook(model_hook)
    try:
        yield watched
    finally:
        moe.router.on_choice = None
        for hook in hooks:
            hook.remove()


def _aux_gradients(copy: Run, routing: Routing) -> dict[str, Tensor]:
    """Term -> its weighted gradient by the logits [T, E]."""
    gradients = {}
    if routing.logits is None or not routing.logits.requires_grad:
        return gradients
    for name, term in routing.aux.items():
        weight = coefficient(name, copy.config) / len(copy.model.moe_layers)
        if weight and term.requires_grad:
            (grad,) = torch.autograd.grad(term * weight, routing.logits, retain_graph=True, allow_unused=True)
            if grad is not None:
                gradients[name] = grad
    return gradients


def losses_again(copy: Run, step: int, watched: list[LayerPass]) -> list[Tensor]:
    """Per-token losses of the same micro-batches with the new weights, on the same random stream."""
    before = len(watched)
    batches = [seen.batch for seen in watched]
    with torch.no_grad(), random_stream(copy.device, "step", copy.config.seed, step):
        for batch in batches:
            copy.model(batch)
    after = [seen.per_token for seen in watched[before:]]
    del watched[before:]
    return after

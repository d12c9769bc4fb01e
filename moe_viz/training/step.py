"""One training step: micro-batches forward and backward, clip, optimise, then the routers' own controllers. Nothing here waits for the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from moe_viz.models import Model
from moe_viz.moe import MoELayer, Routing, SparseRouting
from moe_viz.moe.routers.parameter_free import RandomRouter
from moe_viz.moe.routing import ListedRouting
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch, Task
from moe_viz.training.metrics.statistics import Statistics
from moe_viz.training.objective import auxiliary_loss, reward_routers
from moe_viz.training.optimizer import FusedAdamW

BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
WARM_UP = 20
"""Steps over which the learning rate rises from 0 on text, where Adam's first steps would otherwise be too large."""


def make_optimizer(model: nn.Module) -> FusedAdamW:
    """AdamW over all parameters; the learning rate is set at every step."""
    return FusedAdamW(model.parameters(), lr=0.0, betas=BETAS, weight_decay=WEIGHT_DECAY)


def learning_rate(config: RunConfig, step: int) -> float:
    """Learning rate of the step that follows `step` steps."""
    return config.lr * min(1.0, (step + 1) / WARM_UP) if config.task.causal else config.lr


def train_step(
    model: Model,
    optimizer: FusedAdamW,
    task: Task,
    batch: Batch,
    config: RunConfig,
    step: int,
    statistics: Statistics,
) -> Tensor:
    """Train on one batch; the norm of the gradient before clipping (a scalar on the device). `statistics` gets one entry per micro-batch."""
    optimizer.zero_grad()
    statistics.begin()
    _count_over(config.balance_scope == "global", model.moe_layers)
    parts = batch.split(config.micro_batches)
    seen = []
    for part in parts:
        for layer in model.moe_layers:
            layer.router.balance_group = part.group_size if config.balance_scope == "sequence" else None
        outputs = model(part)
        loss, per_token = task.loss(outputs, part)
        reward_routers(model.moe_layers, model.routings, per_token)
        total = loss + auxiliary_loss(model.routings, config)
        if agreement := getattr(config.router, "consistency", 0.0):
            total = total + _second_pass(model, task, part, outputs, agreement)
        if len(parts) > 1:
            weight = len(part.token_ids) / len(batch.token_ids)
            loss, total = loss * weight, total * weight
        total.backward()
        statistics.add(loss, model.routings)
        seen.append(model.routings)
    if config.freeze_router:
        for parameter in (p for layer in model.moe_layers for p in layer.router.parameters()):
            parameter.grad = None  # AdamW leaves what has no gradient alone, weight decay included
    norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    optimizer.step()
    if not config.freeze_router:
        with torch.no_grad():
            for layer, *routings in zip(model.moe_layers, *seen):
                layer.router.after_step(_together(routings))
    _count_over(False, model.moe_layers)
    return norm


def break_off(model: Model, optimizer: FusedAdamW) -> None:
    """An error has interrupted a step: nothing of it stays, neither in memory nor in what the next step counts."""
    optimizer.zero_grad()
    model.routings = []
    _count_over(False, model.moe_layers)
    for layer in model.moe_layers:
        layer.router.break_off()


def _second_pass(model: Model, task: Task, part: Batch, outputs: Tensor, agreement: float) -> Tensor:
    """What THOR (Zuo et al. 2021) adds, a scalar: the loss of another pass through other experts + `agreement` x how far the two outputs are apart.

    outputs: of the first pass, as the task's `loss` takes them. The model's `routings` and all figures stay those of the first pass.
    """
    routings = model.routings
    routers = [layer.router for layer in model.moe_layers if isinstance(layer.router, RandomRouter)]
    for router, routing in zip(routers, (routing.unpadded for routing in routings), strict=True):
        assert isinstance(routing, SparseRouting)
        router.apart_from = routing.route_expert.view(len(routing.probs), -1)
    again = model(part)
    for router in routers:
        router.apart_from = None
    model.routings = routings
    return task.loss(again, part)[0] + agreement * task.disagreement(outputs, again)


def _count_over(whole_step: bool, layers: Sequence[MoELayer]) -> None:
    """Let the routers charge balance on the counts of all micro-batches so far, or (also when merely watched) each on its own."""
    for layer in layers:
        router = layer.router
        router.balance_group = None
        counts = torch.zeros(router.n_experts, device=layer.experts.w1.device) if whole_step else None
        router.global_counts = counts


def _together(routings: Sequence[Routing]) -> Routing:
    """The last micro-batch's routing with the counts and wishes of the whole step, which is what a controller must see (once per step)."""
    if len(routings) == 1:
        return routings[0]
    routings = [routing.unpadded for routing in routings]
    counts: dict[str, Any] = {
        name: sum(getattr(routing, name) for routing in routings) for name in ("pre_counts", "post_counts")
    }
    if isinstance(routings[-1], ListedRouting):
        listed = [routing for routing in routings if isinstance(routing, ListedRouting)]
        counts["requested"] = torch.cat([routing.requested for routing in listed])
    return replace(routings[-1], **counts)

"""Looking at a model without touching it: how it routes a batch, and the probe batch that every view shows. Evaluation mode, no gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moe_viz.moe import Routing, SoftRouting
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch, ProbeLabels, Task, observing
from moe_viz.training.devices import random_stream
from moe_viz.training.inspect.traces import trace_of
from moe_viz.training.transfer import to_host


def route(model: Any, batch: Batch, config: RunConfig, step: int, device: torch.device) -> list[Routing]:
    """The present model's routing of a batch, one per layer, on a random stream of its own."""
    with random_stream(device, "look", config.seed, step), observing(model):
        model(batch)
        return model.routings


def traces_of(routings: list[Routing], labels: ProbeLabels, config: RunConfig, step: int) -> list[RoutingTrace]:
    return [
        trace_of(routing, labels, step=step, layer=layer, router=config.router.name)
        for layer, routing in enumerate(to_host(routings))
    ]


def shown(
    routings: list[Routing], task: Task, config: RunConfig, step: int
) -> tuple[list[RoutingTrace], dict[str, Any]]:
    """Traces of the probe batch, given its routings on the host, and what else views may show.

    extras: `images` [N, H, W] or [N, H, W, 3], or `points` [T, 2] of the probe where the task has them; for every display value of the routers
    (`Routing.info`: `bias` [E], thresholds, ...) a list of one entry per layer, arrays or plain values; `dispatch` and `combine`
    (soft MoE), per layer [T, E, S]; `aux`, per layer {term: value} of the probe batch, unweighted.
    """
    extras: dict[str, Any] = {
        "aux": [{name: float(term) for name, term in routing.aux.items()} for routing in routings]
    }
    for name in ("images", "points"):
        if getattr(task.probe_labels, name) is not None:
            extras[name] = getattr(task.probe_labels, name)
    for name in dict.fromkeys(name for routing in routings for name in routing.info):
        extras[name] = [_shown(routing.info.get(name)) for routing in routings]
    if all(isinstance(routing, SoftRouting) for routing in routings):
        extras |= {name: [_shown(getattr(routing, name)) for routing in routings] for name in ("dispatch", "combine")}
    return traces_of(routings, task.probe_labels, config, step), extras


def _shown(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value

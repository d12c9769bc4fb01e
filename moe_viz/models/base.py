"""What every model shares: its MoE layers, the routings of its last forward pass, and the shared vector.

The shared vector is one fixed direction, the same in all layers, times a length that can be turned while training. A large
direction common to all tokens is what makes routing collapse; real networks have one in their uncentred hidden states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moe_viz.moe import Experts, MoELayer, Router, Routing, router_from
from moe_viz.spec import RunConfig, router_options
from moe_viz.tasks import Batch, Task

INIT_STD = 0.02
"""Standard deviation of all first weights outside the experts; router weights included."""


class Model(nn.Module, ABC):
    """A network with MoE layers: `forward(batch) -> outputs` (what the task's loss takes) and, after it, `routings`, one per layer."""

    moe_layers: list[MoELayer]
    shared_direction: Tensor
    routings: list[Routing]

    def __init__(self, config: RunConfig):
        super().__init__()
        self.routings = []
        self._shared_length = 0.0
        self.register_buffer("shared_direction", F.normalize(torch.randn(config.d_model), dim=0))

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """The outputs for a batch, as the task's loss takes them."""

    def set_shared_vector(self, length: float) -> None:
        """Turn the dial: every router sees its input plus `length` times the shared direction, from the next forward on."""
        self._shared_length = float(length)

    @property
    def shared_vector(self) -> Tensor | None:
        """[D], or None while its length is 0."""
        return self.shared_direction * self._shared_length if self._shared_length else None

    def balance_start(self, router: nn.Module) -> None:
        """Project the shared direction out of a router's gate, so that a collapse is learned rather than present at step 0.

        Does nothing for routers without a linear `gate`.
        """
        gate = getattr(router, "gate", None)
        if isinstance(gate, nn.Linear):
            with torch.no_grad():
                gate.weight -= torch.outer(gate.weight @ self.shared_direction, self.shared_direction)


def make_layer_router(config: RunConfig, task: Task) -> Router:
    """A fresh router as the config wants it; one that goes by token frequencies is told those of the task."""
    router = router_from(config.router, config.d_model, config.n_experts)
    set_frequencies = getattr(router, "set_frequencies", None)
    if set_frequencies is not None:
        set_frequencies(torch.from_numpy(task.token_frequencies))
    return router


def make_moe_layer(config: RunConfig, task: Task) -> MoELayer:
    """One MoE layer as the config wants it, with fresh weights.

    Whatever its router draws, the random stream goes on as after a plain gate: runs of one seed that differ in the router alone start
    with the same experts and the same model around them.
    """
    experts = Experts(config.n_experts, config.d_model, config.d_hidden)
    before = torch.get_rng_state()
    plain = config.model_copy(update={"router": router_options("topk", k=1)})
    MoELayer(make_layer_router(plain, task), experts, config.n_shared, config.shared_gate)
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    layer = MoELayer(make_layer_router(config, task), experts, config.n_shared, config.shared_gate)
    torch.set_rng_state(after)
    return layer


def group_of(layer: MoELayer, group_size: int) -> int | None:
    """The group size that a layer's router works in: its sequence or image where it is a per-sequence router, else the whole batch."""
    return group_size if layer.router.options.facts.per_sequence else None


def init_weights(module: nn.Module) -> None:
    """Small normal weights, zero biases, for `Module.apply` on the parts around the MoE layers."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

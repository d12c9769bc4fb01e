"""The controlled model: MoE layers on points and nothing else, so that what is seen is what the layer does."""

from __future__ import annotations

from torch import Tensor

from moe_viz.models.base import Model, make_moe_layer
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch, Task


class PointModel(Model):
    """`n_layers` MoE layers in a row. Outputs: predictions [T, D].

    There is *no residual*: a dropped token comes out as zero, which exaggerates the harm of dropping against a real network. The
    shared vector is added to the tokens themselves, so the experts see it too.
    """

    def __init__(self, config: RunConfig, task: Task):
        super().__init__(config)
        self.moe_layers = [make_moe_layer(config, task) for _ in range(config.n_layers)]
        for index, layer in enumerate(self.moe_layers):
            self.add_module(f"layer{index}", layer)

    def forward(self, batch: Batch) -> Tensor:
        x, shared, routings = batch.inputs, self.shared_vector, []
        for layer in self.moe_layers:
            seen = x if shared is None else x + shared
            x, routing = layer(seen, token_ids=batch.token_ids, mask=batch.mask)
            routings.append(routing)
        self.routings = routings
        return x

"""A close look at a run: a large held-out batch through the present model, its geometry, and experts switched off.

Evaluation mode, no gradients, a random stream of its own: nothing about the run changes. Switching off works on a copy of the model as
it was analysed, so that the run may train on between two experts and all answers still belong to one step.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from moe_viz.moe import MoELayer
from moe_viz.records.analysis import Analysis, Geometry
from moe_viz.records.history import History
from moe_viz.records.metrics import cosine_similarity
from moe_viz.records.specialisation import first_choice, fluctuation, saturation
from moe_viz.records.thinning import first_of_each
from moe_viz.tasks import Batch, observing
from moe_viz.training.devices import random_stream
from moe_viz.training.inspect.copies import copied_model
from moe_viz.training.inspect.probe import traces_of
from moe_viz.training.run import Run
from moe_viz.training.transfer import to_host

MOST_KEYFRAMES = 60
"""Moments that saturation and fluctuation are taken over, evenly chosen from those kept."""
MOST_BIAS_ROWS = 300
MANY_EXPERTS = 16
"""With more of them, switching all off one by one takes half the batch each, so that it stays within a second or two."""


class Analyser:
    """The analysis of one moment of a run, and the model as it was then."""

    def __init__(self, run: Run):
        self.step, self.epoch, self.seed = run.step_number, run.epoch, run.config.seed
        self.task, self.device = run.task, run.device
        self.batch, self.labels = run.task.analysis
        self.model = copied_model(run.model)
        self._forward(self.batch)
        routings, shapes = to_host((self.model.routings, [_geometry(layer) for layer in self.model.moe_layers]))
        self.analysis = Analysis(
            step=self.step,
            epoch=self.epoch,
            config=run.config.flat(),
            traces=traces_of(routings, self.labels, run.config, self.step),
            geometry=[Geometry(index, _cosine(rows), apart.numpy()) for index, (rows, apart) in enumerate(shapes)],
            change=change_over_time(run.history, run.epoch),
            bias=bias_over_time(run.history, run.epoch),
        )
        self.model.routings = []

    def losses(self, layer: int, expert: int | None) -> np.ndarray:
        """[S] mean loss of each sequence or image, with one expert of one layer silent (None: all speak). ValueError out of range."""
        layers = self.model.moe_layers
        if not 0 <= layer < len(layers):
            raise ValueError(f"layer = {layer} must be 0 to {len(layers) - 1}")
        n_experts = layers[layer].experts.n_experts
        if expert is not None and not 0 <= expert < n_experts:
            raise ValueError(f"expert = {expert} must be 0 to {n_experts - 1}")
        batch = self.batch.split(2)[0] if n_experts > MANY_EXPERTS else self.batch
        layers[layer].disabled = frozenset() if expert is None else frozenset({expert})
        try:
            per_token = self._forward(batch).cpu().double().numpy()
        finally:
            layers[layer].disabled = frozenset()
            self.model.routings = []
        return per_token.reshape(-1, np.bincount(self.labels.sequence)[0]).mean(1)

    def _forward(self, batch: Batch) -> Tensor:
        """Loss of each token [T]. The same random numbers at every call, so that two of them differ by the switched-off expert alone."""
        with random_stream(self.device, "analyse", self.seed, self.step), observing(self.model):
            loss = self.task.loss(self.model(batch), batch)[1]
            routings = self.model.routings
        self.model.routings = routings
        return loss


def geometry(layer: MoELayer, index: int) -> Geometry:
    """See `records.analysis.Geometry`."""
    rows, apart = to_host(_geometry(layer))
    return Geometry(index, _cosine(rows), apart.numpy())


def _cosine(rows: Tensor | None) -> np.ndarray | None:
    return None if rows is None else cosine_similarity(rows.double().numpy()).astype(np.float32)


def _geometry(layer: MoELayer) -> tuple[Tensor | None, Tensor]:
    """What the router compares with, and how far the experts' weights are apart [E, E], on the layer's device."""
    weights = torch.cat([p.detach().flatten(1) for p in layer.experts.parameters()], 1)
    weights = (weights.cpu() if weights.device.type == "mps" else weights).double()  # mps knows no float64
    apart = torch.cdist(weights, weights)
    norms = weights.square().sum(1)
    distance = apart / (norms[:, None] + norms[None, :]).sqrt().clamp(min=1e-30)
    return router_rows(layer.router), distance.fill_diagonal_(0).float()


def router_rows(router: nn.Module) -> Tensor | None:
    """[E, n] what the router compares a token with, one row per expert; None where it has nothing of the kind (hash, random).

    The linear gate's rows, the cosine router's expert vectors, the k-means centroids, or Soft MoE's slot vectors, averaged per expert.
    """
    for name in ("expert_vectors", "centroids"):
        if isinstance(getattr(router, name, None), Tensor):
            return getattr(router, name)
    gate = getattr(router, "gate", None)
    if isinstance(gate, nn.Linear):
        return gate.weight
    phi = getattr(router, "phi", None)
    return None if phi is None else phi.mean(-1).t()


def change_over_time(history: History, epoch: int) -> pd.DataFrame:
    """Saturation and fluctuation of the probe batch against the newest keyframe, per keyframe and layer."""
    steps = np.array([step for at, step in history.keyframes.steps(epoch)], int)
    steps = steps[first_of_each(steps, MOST_KEYFRAMES)].tolist()
    found = [history.nearest_keyframe(step, epoch) for step in steps]
    frames = [frame for frame in found if frame is not None]
    tables = []
    for layer in range(len(frames[-1].traces) if frames else 0):
        traces = [frame.traces[layer] for frame in frames]
        settled = fluctuation(np.stack([first_choice(trace) for trace in traces]), steps)
        kept = [saturation(trace, traces[-1]) for trace in traces]
        tables.append(settled.assign(layer=layer, saturation=kept)[["step", "layer", "saturation", "settled"]])
    return (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=["step", "layer", "saturation", "settled"])
    )


def bias_over_time(history: History, epoch: int) -> pd.DataFrame:
    """The rows at which the selection bias was looked at."""
    rows = history.rows(limit=None, epoch=epoch)
    rows = rows[["step", *(name for name in rows if name.startswith("bias."))]]
    rows = rows[rows.iloc[:, 1:].notna().any(axis=1)] if rows.shape[1] > 1 else rows.iloc[:0]
    return rows.iloc[first_of_each(rows["step"].to_numpy(), MOST_BIAS_ROWS)].reset_index(drop=True)

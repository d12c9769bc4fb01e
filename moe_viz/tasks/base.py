"""What every task is: batches that are a pure function of (seed, step), a probe batch that all views watch, a loss, a metric.

Axes: N rows of a batch (sequences, images or points), T tokens (rows times tokens per row), V distinct token ids.
Data is cut into training and held-out parts once, with fixed seeds; nothing is downloaded and nothing is cached on disk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moe_viz import paths
from moe_viz.spec import RunConfig

DATA = paths.ASSETS / "data"
SPLIT_SEED = 20260101
"""Seed of every train / held-out split: the same for all runs, so that held-out numbers compare."""


@dataclass(frozen=True)
class Batch:
    """What the model sees at once.

    inputs     [N, ...]: token ids [N, block] int64, images [N, H, W] or [N, H, W, 3] float32, or points [N, D] float32
    targets    next token ids [N, block], classes [N], or regression targets [N, D]
    token_ids  [T] int64, what a hash router goes by: text token, patch position, or cluster
    group_size tokens per sequence or image; all T where the tokens are not grouped
    mask       [T] bool, True = a real token; None: all are. Only text is padded, and only at the end of a row, where causal attention
               never looks: the MoE layers and the loss leave the padding out
    """

    inputs: Tensor
    targets: Tensor
    token_ids: Tensor
    group_size: int
    mask: Tensor | None = None

    def split(self, parts: int) -> list[Batch]:
        """The batch in (at most) `parts` micro-batches of whole rows, as even as the number of rows allows."""
        rows = self.inputs.shape[0]
        if parts <= 1:
            return [self]
        per_row = self.token_ids.shape[0] // rows
        ids = self.token_ids.view(rows, per_row).tensor_split(min(parts, rows))
        masks = (
            [None] * len(ids)
            if self.mask is None
            else [m.reshape(-1) for m in self.mask.view(rows, per_row).tensor_split(len(ids))]
        )
        pieces = zip(self.inputs.tensor_split(len(ids)), self.targets.tensor_split(len(ids)), ids, masks)
        grouped = per_row > 1
        return [Batch(x, y, t.reshape(-1), self.group_size if grouped else len(t), m) for x, y, t, m in pieces]


@dataclass(frozen=True)
class ProbeLabels:
    """How the tokens of a batch are shown (numpy only, for the traces).

    tokens [T] str readable piece or patch id;  group [T] str domain, digit or cluster;  sequence [T] int32, position [T] int32
    images [N, H, W] or [N, H, W, 3] float32 in 0..1 (digits, photographs);  points [T, 2] float32, the first two principal components (clusters)
    """

    tokens: np.ndarray
    group: np.ndarray
    sequence: np.ndarray
    position: np.ndarray
    images: np.ndarray | None = None
    points: np.ndarray | None = None


class Task(ABC):
    """A data set with its loss. `config` may be replaced while training: `batch_tokens` is read at every batch."""

    is_text = False
    vocab_size: int
    """V, the number of distinct `token_ids`."""
    token_frequencies: np.ndarray
    """[V] float64, share of each token id in the training data."""
    probe: Batch
    probe_labels: ProbeLabels
    held_out: Batch
    """The fixed part of the held-out data that `evaluate` scores."""
    analysis: tuple[Batch, ProbeLabels]
    """A larger fixed held-out batch: many sequences of each domain, taking turns. Its labels' `tokens` name the token ids and nothing else."""

    def __init__(self, config: RunConfig, device: torch.device):
        self.config = config
        self.device = torch.device(device)

    @property
    def options(self) -> Any:
        """The declared options, of the task's own kind of `TaskOptions`."""
        return self.config.task

    @property
    @abstractmethod
    def n_tokens_per_sequence(self) -> int:
        """Tokens of one training sequence or image."""

    @abstractmethod
    def train_batch(self, step: int, seed: int) -> Batch:
        """The batch of one step: a pure function of (seed, step, batch_tokens), so twin runs and forks see the same data."""

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """(mean task loss, scalar; loss of each token [T])."""

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        """How far two outputs of the model on one batch are apart, a scalar: ½(KL(p‖q) + KL(q‖p)) of the class probabilities, averaged
        over rows, in nats (the consistency loss of THOR, Zuo et al. 2021). one, other: logits [rows, classes]."""
        p, q = one.float().log_softmax(-1), other.float().log_softmax(-1)
        return ((p.exp() - q.exp()) * (p - q)).sum(-1).mean() / 2

    @abstractmethod
    def metric(self, outputs: Tensor, batch: Batch) -> Tensor:
        """`options.metric` of the model's outputs, a scalar tensor."""

    def evaluate(self, model: nn.Module) -> float:
        """`options.metric` on held-out data. Leaves the model, its last routings and all random streams as they were."""
        return float(self.measured(model))

    def measured(self, model: nn.Module) -> Tensor:
        """The same as a scalar on the device, which nobody waits for."""
        with observing(model):
            return self.metric(model(self.held_out), self.held_out)

    def tensor(self, array: np.ndarray) -> Tensor:
        """The array on the task's device; through pinned memory on CUDA, so that the host need not wait for the copy."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


@contextmanager
def observing(model: nn.Module) -> Iterator[None]:
    """Watch a model without touching its training: evaluation mode, no gradients, its last `routings` and the random streams restored."""
    training, routings = model.training, getattr(model, "routings", None)
    cuda = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=cuda):
            yield
    finally:
        model.train(training)
        if routings is not None:
            model.routings = routings


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The random stream of one training step."""
    return np.random.default_rng([seed, step])


def rows_labels(tokens: Any, groups: Any, per_row: int, **more: Any) -> ProbeLabels:
    """Labels of rows of `per_row` tokens each; `groups` [N] names the rows."""
    rows = len(tokens) // per_row
    return ProbeLabels(
        tokens=np.asarray(tokens, dtype=str),
        group=np.repeat(np.asarray(groups, dtype=str), per_row),
        sequence=np.repeat(np.arange(rows, dtype=np.int32), per_row),
        position=np.tile(np.arange(per_row, dtype=np.int32), rows),
        **more,
    )

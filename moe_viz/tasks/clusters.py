"""Task `clusters`: clouds of points, each with its own linear rule; the smallest task on which experts can divide the work.

Point: x = centre_c + noise in `d_model` dimensions. Target: y = W_c x, scaled to the standard deviation `TARGET_STD`. Centres and
rules come from the run's seed. Every batch is fresh; held-out points come from a stream of their own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from moe_viz.spec import RunConfig
from moe_viz.tasks.base import Batch, ProbeLabels, Task, rows_labels, step_rng

CENTRE_SCALE = 1.5
"""Standard deviation of a centre's coordinates."""
SPREAD = 1.0
"""Standard deviation of a point's coordinates about its centre. With these two, half the experts die within 60 steps at shared_vector 8."""
TARGET_STD = 0.5
"""Standard deviation of all targets: with larger ones the task outweighs a balancing coefficient of .1 after a collapse."""
N_HELD_OUT = 2048
N_PROBE = 256


class ClustersTask(Task):
    """See the module's text. Outputs are predictions [T, D]; the metric is NMSE. A token's id is its cluster."""

    def __init__(self, config: RunConfig, device: torch.device):
        super().__init__(config, device)
        rng = np.random.default_rng([config.seed, 0, 0])
        n, width = self.options.n_clusters, config.d_model
        self.vocab_size = n
        self.token_frequencies = np.full(n, 1 / n)
        self._centres = CENTRE_SCALE * rng.standard_normal((n, width))
        self._rules = rng.standard_normal((n, width, width)) / np.sqrt(width)
        self._rules *= TARGET_STD / self._points(rng, N_HELD_OUT)[1].std()
        held_out = self._points(rng, N_HELD_OUT)
        self.held_out = self._batch(*held_out)
        letters = [chr(ord("A") + c) for c in held_out[2]]
        self.analysis = self.held_out, rows_labels(letters, letters, 1)
        points, targets, cluster = self._points(rng, N_PROBE)
        self.probe = self._batch(points, targets, cluster)
        self.probe_labels = self._labels(points, cluster)

    @property
    def n_tokens_per_sequence(self) -> int:
        return self.config.batch_tokens

    def train_batch(self, step: int, seed: int) -> Batch:
        return self._batch(*self._points(step_rng(seed, step), self.config.batch_tokens))

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        per_token = (outputs - batch.targets).square().mean(-1)
        return per_token.mean(), per_token

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        """The same for vectors: outputs as means of Gaussians of variance 1, whose divergence is half their squared distance; per number. one, other [T, D]."""
        return (one - other).square().mean() / 2

    def metric(self, outputs: Tensor, batch: Batch) -> Tensor:
        error = (outputs - batch.targets).square().sum()
        return error / (batch.targets - batch.targets.mean(0)).square().sum()

    def _points(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cluster = rng.integers(self.options.n_clusters, size=n)
        points = self._centres[cluster] + SPREAD * rng.standard_normal((n, self._centres.shape[1]))
        targets = np.einsum("tij,tj->ti", self._rules[cluster], points)
        return points.astype(np.float32), targets.astype(np.float32), cluster

    def _batch(self, points: np.ndarray, targets: np.ndarray, cluster: np.ndarray) -> Batch:
        return Batch(self.tensor(points), self.tensor(targets), self.tensor(cluster), len(points))

    def _labels(self, points: np.ndarray, cluster: np.ndarray) -> ProbeLabels:
        centred = points - points.mean(0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        # Letters, because experts already carry the numbers.
        letters = [chr(ord("A") + c) for c in cluster]
        names = [f"{letter}{i}" for i, letter in enumerate(letters)]
        return rows_labels(names, letters, 1, points=(centred @ axes[:2].T).astype(np.float32))

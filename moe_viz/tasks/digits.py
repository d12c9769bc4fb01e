"""Task `digits`: which digit is it? 1,797 real handwritten digits of 8×8 pixels, each read as 16 patches of 2×2.

Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, 1998. The split is random, so the same writers are
on both sides of it: accuracy says how well the model reads these hands, not new ones.
"""

from __future__ import annotations

import gzip
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from moe_viz.spec import RunConfig
from moe_viz.tasks.base import DATA, SPLIT_SEED, Batch, ProbeLabels, Task, rows_labels, step_rng

SIDE = 8
PATCH = 2
N_PATCHES = (SIDE // PATCH) ** 2
N_CLASSES = 10
N_HELD_OUT = 360
N_SCORED = 128
"""Held-out images that `evaluate` scores: few enough to be read off at every snapshot."""
N_PROBE = 12
N_ANALYSED = 240


@cache
def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """(images [1797, 8, 8] float32 in 0..1, digits [1797] int64), shuffled with the split's seed; the last `N_HELD_OUT` are held out."""
    with gzip.open(DATA / "digits" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(SPLIT_SEED).permutation(len(table))]
    return table[:, :-1].reshape(-1, SIDE, SIDE) / 16, table[:, -1].astype(np.int64)


class DigitsTask(Task):
    """See the module's text. Outputs are logits [N, 10]; the metric is held-out accuracy. A token's id is its patch position."""

    vocab_size = N_PATCHES

    def __init__(self, config: RunConfig, device: torch.device):
        super().__init__(config, device)
        images, digits = load_digits()
        self._images, self._digits = images[:-N_HELD_OUT], digits[:-N_HELD_OUT]
        self.token_frequencies = np.full(N_PATCHES, 1 / N_PATCHES)
        self._positions = torch.arange(N_PATCHES, device=self.device)
        held_images, held_digits = images[-N_HELD_OUT:], digits[-N_HELD_OUT:]
        self.held_out = self._batch(held_images[:N_SCORED], held_digits[:N_SCORED])
        first = [int(np.flatnonzero(held_digits == digit)[0]) for digit in range(N_CLASSES)]
        rest = [i for i in range(N_HELD_OUT) if i not in first]
        chosen = [*first, *rest[: N_PROBE - N_CLASSES]]
        self.probe = self._batch(held_images[chosen], held_digits[chosen])
        self.probe_labels = _labels(held_images[chosen], held_digits[chosen])

    @cached_property
    def analysis(self) -> tuple[Batch, ProbeLabels]:
        images, digits = (array[-N_HELD_OUT:][:N_ANALYSED] for array in load_digits())
        return self._batch(images, digits), _labels(images, digits)

    @property
    def n_tokens_per_sequence(self) -> int:
        return N_PATCHES

    def train_batch(self, step: int, seed: int) -> Batch:
        rows = max(1, round(self.config.batch_tokens / N_PATCHES))
        chosen = step_rng(seed, step).integers(len(self._images), size=rows)
        return self._batch(self._images[chosen], self._digits[chosen])

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        per_image = F.cross_entropy(outputs, batch.targets, reduction="none")
        return per_image.mean(), per_image.repeat_interleave(N_PATCHES)

    def metric(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs.argmax(-1) == batch.targets).float().mean()

    def _batch(self, images: np.ndarray, digits: np.ndarray) -> Batch:
        return Batch(self.tensor(images), self.tensor(digits), self._positions.repeat(len(images)), N_PATCHES)


def _labels(images: np.ndarray, digits: np.ndarray) -> ProbeLabels:
    per_side = SIDE // PATCH
    patches = [f"{i // per_side + 1},{i % per_side + 1}" for i in range(N_PATCHES)]
    return rows_labels(patches * len(images), [str(digit) for digit in digits], N_PATCHES, images=images)

"""Task `digits`: which digit is it? 1,797 real handwritten digits of 8×8 pixels, each read as 16 patches of 2×2.

Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, 1998. The split is random, so the same writers are
on both sides of it: accuracy says how well the model reads these hands, not new ones.
"""

from __future__ import annotations

import gzip
from functools import cache, cached_property

import numpy as np
import torch
from PIL import Image, ImageOps

from moe_viz.spec import RunConfig
from moe_viz.tasks.base import DATA, SPLIT_SEED, Batch, ProbeLabels, step_rng
from moe_viz.tasks.images import ImageTask

SIDE = 8
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


class DigitsTask(ImageTask):
    """See the module's text. A token's id is its patch position."""

    patch, per_side, channels, n_classes = 2, SIDE // 2, 1, 10
    pixel_mean, pixel_std = 0.3, 0.38
    has_positions = True

    def __init__(self, config: RunConfig, device: torch.device):
        super().__init__(config, device)
        images, digits = load_digits()
        self._images, self._digits = images[:-N_HELD_OUT], digits[:-N_HELD_OUT]
        held_images, held_digits = images[-N_HELD_OUT:], digits[-N_HELD_OUT:]
        self.held_out = self.images_batch(held_images[:N_SCORED], held_digits[:N_SCORED])
        first = [int(np.flatnonzero(held_digits == digit)[0]) for digit in range(self.n_classes)]
        rest = [i for i in range(N_HELD_OUT) if i not in first]
        chosen = [*first, *rest[: N_PROBE - self.n_classes]]
        self.probe = self.images_batch(held_images[chosen], held_digits[chosen])
        self.probe_labels = self.images_labels(held_images[chosen], held_digits[chosen].tolist())

    @cached_property
    def analysis(self) -> tuple[Batch, ProbeLabels]:
        images, digits = (array[-N_HELD_OUT:][:N_ANALYSED] for array in load_digits())
        return self.images_batch(images, digits), self.images_labels(images, digits.tolist())

    def train_batch(self, step: int, seed: int) -> Batch:
        rows = max(1, round(self.config.batch_tokens / self.n_tokens_per_sequence))
        chosen = step_rng(seed, step).integers(len(self._images), size=rows)
        return self.images_batch(self._images[chosen], self._digits[chosen])

    def fitted(self, picture: Image.Image) -> np.ndarray:
        """Grey, 8×8. These digits are light ink on a dark ground: a picture whose rim is light is turned into its negative."""
        grey = ImageOps.fit(picture.convert("L"), (SIDE, SIDE), Image.Resampling.BOX)
        image = np.asarray(grey, dtype=np.float32) / 255
        rim = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
        return 1 - image if rim.mean() > 0.5 else image

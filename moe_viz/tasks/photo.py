"""Task `photo`: which photograph is this crop from? Six real photographs, seen through windows of 64×64 pixels, 8×8 patches each.

The left two thirds of every photograph are trained on; the right third never is, and held-out accuracy is measured there. Windows
come from three sizes of each photograph, the smallest being the one that the probe shows as a whole (so of the probe's twelve
columns, the last four are new to the model). No patch knows where it lies: routing can only go by what is in a patch and around it.

Filling in hidden patches was tried as well (mean squared error .18 of the variance after 300 steps): its experts divide the
window's places among themselves, while those of this question divide sky, fur, leaves, red things and edges.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
import torch
from PIL import Image, ImageOps

from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.tasks.base import DATA, SPLIT_SEED, Batch, ProbeLabels, step_rng
from moe_viz.tasks.images import ImageTask

NAMES = (N_("astronaut"), N_("cat"), N_("pavilion"), N_("coffee"), N_("flower"), N_("rocket"))
FILES = ("astronaut", "chelsea", "china", "coffee", "flower", "rocket")
WINDOW = 64
SIZES = 3
SIZE_SHARES = (0.45, 0.4, 0.15)
"""How often training looks at the full, half and quarter size: the small one has few windows, which would soon be known by heart."""
N_SCORED = 48
N_ANALYSED = 60
MOST_PATCHES = 96
"""Of the reader's picture: as many as a photograph of the probe has."""
WIDEST = 3.0
"""Longer pictures are cut at both ends to this ratio of the sides."""


@cache
def load_photos() -> tuple[np.ndarray, ...]:
    """The photographs in each size, largest first: float32 [6, 256, 384, 3] in 0..1, then half and a quarter of that."""
    pixels = [np.asarray(Image.open(DATA / "photo" / f"{name}.jpg").convert("RGB")) for name in FILES]
    sizes = [np.stack(pixels).astype(np.float32) / 255]
    while len(sizes) < SIZES:
        n, height, width, channels = sizes[-1].shape
        sizes.append(sizes[-1].reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4)))
    return tuple(sizes)


class PhotoTask(ImageTask):
    """See the module's text."""

    patch, per_side, channels, n_classes = 8, WINDOW // 8, 3, len(NAMES)
    pixel_mean, pixel_std = 0.4, 0.27
    has_positions = False

    def __init__(self, config: RunConfig, device: torch.device):
        super().__init__(config, device)
        whole = load_photos()[-1]
        self.held_out = self.images_batch(*_held_out(N_SCORED))
        self.probe = self.images_batch(whole, np.arange(len(NAMES)))
        self.probe_labels = self.images_labels(whole, list(NAMES))

    @cached_property
    def analysis(self) -> tuple[Batch, ProbeLabels]:
        images, photos = _held_out(N_ANALYSED)
        return self.images_batch(images, photos), self.images_labels(images, [NAMES[photo] for photo in photos])

    def train_batch(self, step: int, seed: int) -> Batch:
        rng, rows = step_rng(seed, step), max(1, round(self.config.batch_tokens / self.n_tokens_per_sequence))
        photos = rng.integers(len(NAMES), size=rows)
        sizes = rng.choice(SIZES, size=rows, p=SIZE_SHARES)
        mirrored = rng.random(rows) < 0.5
        images = np.stack([_window(rng, size, photo, (0, 2)) for size, photo in zip(sizes, photos)])
        images[mirrored] = images[mirrored, :, ::-1]
        return self.images_batch(images, photos)

    def fitted(self, picture: Image.Image) -> np.ndarray:
        ratio = min(max(picture.width / picture.height, 1 / WIDEST), WIDEST)
        rows = int((MOST_PATCHES / ratio) ** 0.5)
        columns = min(round(rows * ratio), MOST_PATCHES // rows)
        shrunk = ImageOps.fit(picture, (columns * self.patch, rows * self.patch), Image.Resampling.BOX)
        return np.asarray(shrunk, dtype=np.float32) / 255


def _held_out(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n windows of the right thirds, from the two sizes where a window fits there, and their photographs in turn."""
    rng = np.random.default_rng(SPLIT_SEED)
    photos = np.arange(n) % len(NAMES)
    return np.stack(
        [_window(rng, i // len(NAMES) % 2, photo, (2, 3)) for i, photo in enumerate(photos.tolist())]
    ), photos


def _window(rng: np.random.Generator, size: int, photo: int, thirds: tuple[int, int]) -> np.ndarray:
    """[64, 64, 3] somewhere between these thirds of the width."""
    image = load_photos()[size][photo]
    height, width = image.shape[:2]
    left, right = (width * third // 3 for third in thirds)
    top, left = rng.integers(height - WINDOW + 1), left + rng.integers(right - left - WINDOW + 1)
    return image[top : top + WINDOW, left : left + WINDOW]

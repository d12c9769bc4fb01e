"""What the image tasks share: which class is it?, asked of a picture cut in square patches, and reading the reader's own picture.

Axes: N images of H x W pixels, grey [N, H, W] or colour [N, H, W, 3], values 0 to 1; P patches of an image, row by row.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from moe_viz.spec.knobs import N_
from moe_viz.tasks.base import Batch, ProbeLabels, Task, rows_labels


class ImageTask(Task):
    """Outputs are logits [N, n_classes]; the metric is held-out accuracy. A token's id is its place in a square of `per_side` patches."""

    patch: int
    """Pixels along one side of a patch."""
    per_side: int
    """Patches along one side of a training image."""
    channels: int
    n_classes: int
    pixel_mean: float
    pixel_std: float
    """Of the training images, over all channels."""
    has_positions: bool
    """Whether the model learns where a patch lies. Without, it reads pictures of any shape."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.vocab_size = self.per_side**2
        self.token_frequencies = np.full(self.vocab_size, 1 / self.vocab_size)

    @property
    def n_tokens_per_sequence(self) -> int:
        return self.per_side**2

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        per_image = F.cross_entropy(outputs, batch.targets, reduction="none")
        return per_image.mean(), per_image.repeat_interleave(batch.group_size)

    def metric(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs.argmax(-1) == batch.targets).float().mean()

    def images_batch(self, images: np.ndarray, classes: np.ndarray) -> Batch:
        """images float32 [N, H, W] or [N, H, W, 3], classes int64 [N]."""
        row, column = self._places(images)
        ids = (row % self.per_side) * self.per_side + column % self.per_side
        return Batch(self.tensor(images), self.tensor(classes), self.tensor(np.tile(ids, len(images))), len(ids))

    def images_labels(self, images: np.ndarray, groups: list[str]) -> ProbeLabels:
        """A patch is named by its row and column, from 1; `groups` [N] names the images."""
        row, column = self._places(images)
        tokens = [f"{r + 1},{c + 1}" for r, c in zip(row, column)]
        return rows_labels(tokens * len(images), groups, len(tokens), images=images)

    def own_image(self, picture: Image.Image) -> tuple[Batch, ProbeLabels]:
        """The reader's picture (RGB) as a batch of one."""
        images = self.fitted(picture)[None]
        return self.images_batch(images, np.zeros(1, np.int64)), self.images_labels(images, [N_("your picture")])

    @abstractmethod
    def fitted(self, picture: Image.Image) -> np.ndarray:
        """The picture in this task's pixels: float32 [H, W] or [H, W, 3]."""

    def _places(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each patch, [P] each."""
        rows, columns = images.shape[1] // self.patch, images.shape[2] // self.patch
        return np.repeat(np.arange(rows), columns), np.tile(np.arange(columns), rows)

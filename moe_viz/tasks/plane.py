"""Task `plane`: points of two to four classes in the square from -1 to 1, small enough to colour every place of it by its expert.

What the model sees of a point is its lift to `d_model` numbers: 1, x and y (scaled), and zeros; or waves of x and y
in place of the zeros. The 1 matters: a gate without a bias scores places by w·(1, x, y), so the border between two experts is a
straight line that need not pass through the middle, and each expert's part is convex (Aurenhammer 1987: a power diagram). With waves
(random Fourier features; Rahimi and Recht 2007) borders can bend. The shapes are computed; painted points replace them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from moe_viz.spec import RunConfig
from moe_viz.spec.points import GRID, LETTERS, N_CLASSES, decode_points
from moe_viz.tasks.base import Batch, ProbeLabels, Task, rows_labels, step_rng

SCALE = 2.0
"""Size of the constant and of the waves: with half of it, the borders and the experts take twice as long to form."""
SCALE_XY = 3.4
FREQUENCIES = (0.5 * np.pi, 1.5 * np.pi)
"""Least and largest frequency of a wave, radians per unit."""
JITTER = 0.03
"""Standard deviation of the cloud that a painted point stands for."""
CELLS = 8
"""Token ids, which a hash router goes by, are the fields of a board of 8 × 8."""
N_HELD_OUT = 1024
N_SHOWN = 240
N_PROBE = 256

Points = tuple[np.ndarray, np.ndarray]
"""Places [N, 2] float64 and classes [N] int64."""


def _moons(rng: np.random.Generator, n: int) -> Points:
    label, t = rng.integers(2, size=n), np.pi * rng.random(n)
    upper = np.stack([np.cos(t), np.sin(t)], 1)
    lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1)
    places = np.where(label[:, None] == 0, upper, lower) - (0.5, 0.25)
    return places / 1.75 + 0.06 * rng.standard_normal((n, 2)), label


def _rings(rng: np.random.Generator, n: int) -> Points:
    label, angle = rng.integers(3, size=n), 2 * np.pi * rng.random(n)
    radius = 0.17 + 0.32 * label + 0.05 * rng.standard_normal(n)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), label


def _checker(rng: np.random.Generator, n: int) -> Points:
    places = rng.uniform(-1, 1, (n, 2))
    return places, np.floor(2 * (places + 1)).astype(np.int64).sum(1) % 2


def _spiral(rng: np.random.Generator, n: int) -> Points:
    label, along = rng.integers(3, size=n), np.sqrt(rng.random(n))
    angle = 2 * np.pi * (along + label / 3)
    places = (0.1 + 0.8 * along)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return places + 0.025 * rng.standard_normal((n, 2)), label


def _waves(rng: np.random.Generator, n: int) -> Points:
    places = rng.uniform(-1, 1, (n, 2))
    height = places[:, 1] - 0.25 * np.sin(2 * np.pi * places[:, 0])
    return places, np.clip(np.floor(2 * (height + 1)), 0, N_CLASSES - 1).astype(np.int64)


SHAPES: dict[str, Callable[[np.random.Generator, int], Points]] = {
    "moons": _moons,
    "rings": _rings,
    "checker": _checker,
    "spiral": _spiral,
    "waves": _waves,
}


class PlaneTask(Task):
    """See the module's text. The first `N_CLASSES` columns of the outputs [T, D] are logits; the metric is held-out accuracy.

    shown  places [N, 2] and classes [N] that stand for the training data on a picture: the painted points, or a sample of the shape
    """

    shown: Points

    def __init__(self, config: RunConfig, device: torch.device):
        super().__init__(config, device)
        painted = np.array(decode_points(self.options.points), dtype=np.int64).reshape(-1, 3)
        self._painted = places_of_grid(painted[:, :2]), painted[:, 2]
        rng = np.random.default_rng([config.seed, 0, 0])
        frequency, turn = rng.uniform(*FREQUENCIES, config.d_model), 2 * np.pi * rng.random(config.d_model)
        self._waves = frequency * np.stack([np.cos(turn), np.sin(turn)]), 2 * np.pi * rng.random(config.d_model)
        self.vocab_size = CELLS**2
        counts = np.bincount(cells_of(self._points(rng, 4096)[0]), minlength=CELLS**2) + 1.0
        self.token_frequencies = counts / counts.sum()
        held_out = self._points(rng, N_HELD_OUT)
        self.held_out = self.batch(*held_out)
        letters = [LETTERS[c] for c in held_out[1]]
        self.analysis = self.held_out, rows_labels(_names(cells_of(held_out[0])), letters, 1)
        probe = self._points(rng, N_PROBE)
        self.probe, self.probe_labels = self.batch(*probe), _labels(*probe)
        self.shown = self._painted if len(painted) else self._points(rng, N_SHOWN)

    @property
    def n_tokens_per_sequence(self) -> int:
        return self.config.batch_tokens

    def train_batch(self, step: int, seed: int) -> Batch:
        return self.batch(*self._points(step_rng(seed, step), self.config.batch_tokens))

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        per_token = F.cross_entropy(outputs[:, :N_CLASSES].float(), batch.targets, reduction="none")
        return per_token.mean(), per_token

    def disagreement(self, one: Tensor, other: Tensor) -> Tensor:
        return super().disagreement(one[:, :N_CLASSES], other[:, :N_CLASSES])

    def metric(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (self.predict(outputs) == batch.targets).float().mean()

    @staticmethod
    def predict(outputs: Tensor) -> Tensor:
        """[T] the likeliest class; -1 where the outputs are nothing but zeros, as for a dropped token."""
        return torch.where((outputs == 0).all(-1), -1, outputs[:, :N_CLASSES].argmax(-1))

    def batch(self, places: np.ndarray, classes: np.ndarray) -> Batch:
        """The model's input for any places [N, 2] and their classes [N]."""
        inputs = self.tensor(self.lift(places).astype(np.float32))
        return Batch(inputs, self.tensor(classes), self.tensor(cells_of(places)), len(places))

    def lift(self, places: np.ndarray) -> np.ndarray:
        """[N, 2] -> [N, D]: 1, x, y and zeros, or waves in place of the zeros."""
        lifted = np.zeros((len(places), self.config.d_model))
        lifted[:, 0] = SCALE
        lifted[:, 1:3] = SCALE_XY * places
        if self.options.lift == "curved":
            directions, phases = self._waves
            lifted[:, 3:] = SCALE * np.cos(places @ directions + phases)[:, 3:]
        return lifted

    def _points(self, rng: np.random.Generator, n: int) -> Points:
        places, classes = self._painted
        if len(places):
            chosen = rng.integers(len(places), size=n)
            places, classes = places[chosen] + JITTER * rng.standard_normal((n, 2)), classes[chosen]
        else:
            places, classes = SHAPES[self.options.shape](rng, n)
        return np.clip(places, -1, 1), classes.astype(np.int64)


def places_of_grid(grid: np.ndarray) -> np.ndarray:
    """Whole numbers 0 .. `GRID` - 1 of the painting grid -> coordinates -1 .. 1."""
    return 2 * grid / (GRID - 1) - 1


def cells_of(places: np.ndarray) -> np.ndarray:
    """[N, 2] -> [N] int64 field of the board, row by row from below."""
    column, row = np.clip(np.floor((places + 1) * CELLS / 2), 0, CELLS - 1).astype(np.int64).T
    return row * CELLS + column


def _names(cells: np.ndarray) -> list[str]:
    """Fields as on a chess board: a1 is at the lower left."""
    return [f"{'abcdefgh'[cell % CELLS]}{cell // CELLS + 1}" for cell in cells]


def _labels(places: np.ndarray, classes: np.ndarray) -> ProbeLabels:
    letters = [LETTERS[c] for c in classes]
    names = [f"{letter}{i}" for i, letter in enumerate(letters)]
    return rows_labels(names, letters, 1, points=places.astype(np.float32))

"""What the classical mixtures are fitted to: points with one input and one answer, shipped or drawn from the seed.

`faithful` is read as (wait before an eruption, duration of the *next* one): the answer stands in the row after its wait.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moe_viz.spec import MixtureConfig
from moe_viz.spec.points import GRID, decode_points
from moe_viz.tasks.base import DATA

MARGIN = 0.06
"""Of the range of the data, left free on each side of a picture."""
PIECES = ((-2.0, -0.7, -1.0, -2.0), (-0.7, 0.6, 2.0, 2.0), (0.6, 2.0, -1.5, -2.5))
"""(from, to, slope, height) of each piece of `pieces`; the heights jump, the noise has the unit 0.3."""


@dataclass(frozen=True)
class MixtureData:
    """x, y [N] in their own units.

    limits      (x from, x to, y from, y to) of a picture;  near  how far from an answer still counts as hit, in units of y (None: not asked)
    ambiguous   [N] bool: the points whose x cannot tell the answer
    """

    x: np.ndarray
    y: np.ndarray
    limits: tuple[float, float, float, float]
    near: float | None = None
    ambiguous: np.ndarray | None = None

    @property
    def places(self) -> np.ndarray:
        """[N, 2] the nearest places on the grid of `spec.points`."""
        left, right, low, high = self.limits
        at = np.stack([(self.x - left) / (right - left), (self.y - low) / (high - low)], 1)
        return np.rint(at * (GRID - 1)).clip(0, GRID - 1).astype(np.int64)


def load(config: MixtureConfig) -> MixtureData:
    """The data set that a config names, or the reader's own points within the same limits."""
    data = shipped(config.data, config.seed)
    return own(data, config.points) if config.points else data


def shipped(name: str, seed: int) -> MixtureData:
    """A data set by name; drawn ones follow from `seed`."""
    draw = np.random.default_rng([seed, 1991])
    if name == "faithful":
        table = _table("faithful/faithful.csv")
        x, y = table[:-1, 1], table[1:, 0]
        return MixtureData(x, y, _limits(x, y), 0.25, x > 70)
    if name == "nile":
        year, volume = _table("nile/nile.csv").T
        return MixtureData(year, volume, _limits(year, volume))
    if name == "engel":
        income, food = _table("engel/engel.csv").T
        return MixtureData(income, food, _limits(income, food))
    if name == "pieces":
        x = np.sort(draw.uniform(-2, 2, 240))
        y = draw.normal(0, 0.3, len(x))
        for start, end, slope, height in PIECES:
            inside = (x >= start) & (x < end)
            y[inside] += height + slope * (x[inside] - (start + end) / 2)
    elif name == "clumps":
        half = 1.5 + draw.normal(0, 0.5, 60)
        y = np.concatenate(
            [half, -half]
        )  # mirrored: the mean is 0, so that no expert has a better start than the other
        x = np.tile(np.linspace(-1, 1, 60), 2)
    else:
        x = np.concatenate([draw.uniform(-1, -0.05, 80), draw.uniform(0.05, 1, 80)])
        y = 3 * np.sign(x) + draw.normal(0, 1, len(x))
    return MixtureData(x, y, _limits(x, y))


def own(data: MixtureData, points: str) -> MixtureData:
    """The reader's points, in the units and within the limits of the data that they take the place of."""
    left, right, low, high = data.limits
    places = np.array(decode_points(points), dtype=np.float64)[:, :2] / (GRID - 1)
    x, y = left + places[:, 0] * (right - left), low + places[:, 1] * (high - low)
    return MixtureData(x, y, data.limits, data.near, None if data.ambiguous is None else x > 70)


def _table(path: str) -> np.ndarray:
    return np.loadtxt(DATA / path, delimiter=",", skiprows=1)


def _limits(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    wide, tall = MARGIN * np.ptp(x), MARGIN * np.ptp(y)
    return float(x.min() - wide), float(x.max() + wide), float(y.min() - tall), float(y.max() + tall)

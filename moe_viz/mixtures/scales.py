"""The units a mixture is fitted in, and who is first held responsible for which point: both the same whatever units the columns came in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SAME = 8 * torch.finfo(torch.float64).eps
"""A column whose values differ by less, in parts of the largest, differs by rounding only."""
DEPENDENT = 1e-9
"""A standardised column of which less than this is left beside those before it says nothing that they do not."""
ALIKE = 9
"""Decimals to which two standardised points must differ to be two."""


@dataclass(frozen=True)
class Scale:
    """(values - centre) / spread of the columns `kept`."""

    kept: Tensor
    centre: Tensor
    spread: Tensor

    @classmethod
    def of_inputs(cls, x: Tensor, weight: Tensor) -> Scale:
        """Each column of `x` [N, D] by its own standard deviation, constant and linearly dependent ones left out. `weight` [N]: each point's."""
        kept = (~_constant(x)).nonzero().flatten()
        scale = cls(kept, *_measured(x[:, kept], weight))
        basis: list[Tensor] = []
        free = [column for column, values in enumerate(scale.into(x).T) if _adds(values, basis)]
        return cls(kept[free], scale.centre[free], scale.spread[free])

    @classmethod
    def of_answers(cls, y: Tensor, weight: Tensor, unit: float = 1.0) -> Scale:
        """All columns of `y` [N, O] by one spread, `unit` of it, as an expert has one scale for all. Raises ValueError where nothing varies."""
        if _constant(y).all():
            raise ValueError(
                f"y is constant ({y[0].tolist()} in every row): there is nothing to fit; give answers that differ"
            )
        centre, spread = _measured(y, weight)
        largest = spread.max()
        spread = unit * largest * (spread / largest).square().mean().sqrt()
        return cls(torch.arange(y.shape[1]), centre, spread.expand(y.shape[1]))

    def into(self, values: Tensor) -> Tensor:
        """[N, columns] -> [N, kept], standardised."""
        return (values[:, self.kept] - self.centre) / self.spread

    def back(self, values: Tensor) -> Tensor:
        """[N, kept] -> the units given."""
        return values * self.spread + self.centre

    @property
    def log_volume(self) -> float:
        """By how much `into` raises the log density of one point."""
        return float(self.spread.log().sum())


def _constant(values: Tensor) -> Tensor:
    largest = values.abs().amax(0)
    return values.amax(0) / 2 - values.amin(0) / 2 <= SAME * largest / 2


def _measured(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation of each column, safe where their squares would over- or underflow."""
    share = weight / weight.sum()
    largest = values.abs().amax(0)
    parts = values / torch.where(largest > 0, largest, 1.0)
    centre = share @ parts
    centre = centre + share @ (parts - centre)
    away = (parts - centre).abs()
    reach = away.amax(0)
    spread = reach * (share @ (away / torch.where(reach > 0, reach, 1.0)).square()).sqrt()
    return centre * largest, spread * largest


def _adds(column: Tensor, basis: list[Tensor]) -> bool:
    """Whether `column` is no combination of `basis`; if so it joins it."""
    left = column
    for _ in range(2):
        for direction in basis:
            left = left - (left @ direction) * direction
    size = left.norm()
    if size <= DEPENDENT * column.norm():
        return False
    basis.append(left / size)
    return True


def _distinct(points: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The row at which each different point [N, D] first stands, and which of them each row is.

    They come in the order of their distance from the centre, column by column: rows in another order, repeated ones and a column turned round draw
    the same points.
    """
    rounded = points.numpy().round(ALIKE) + 0.0
    _, first, which = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    order = np.lexsort([first, *np.abs(rounded[first]).T[::-1]])
    return first[order], np.argsort(order)[which.ravel()]


def first_guess(x: Tensor, y: Tensor, n_experts: int, draw: np.random.Generator) -> Tensor:
    """Responsibilities [N, E]: nearest of E different points drawn from the data, softened.

    Experts that start alike would stay alike: where `x` [N, D] has too few different points, points of x and `y` [N, O] are drawn, and where there are
    too few of these as well, the experts left over begin with random shares.
    """
    points, (distinct, which) = x, _distinct(x)
    if len(distinct) < n_experts:
        points = torch.cat([x, y], 1)
        distinct, which = _distinct(points)
    picked = distinct[draw.choice(len(distinct), min(n_experts, len(distinct)), replace=False)]
    nearest = torch.cdist(points, points[picked]).argmin(1)
    hard = torch.nn.functional.one_hot(nearest, n_experts).to(x)
    if len(picked) == n_experts:
        return hard * 0.9 + 0.1 / n_experts
    return hard * 0.5 + 0.5 * torch.from_numpy(draw.dirichlet(np.ones(n_experts), len(distinct))[which])

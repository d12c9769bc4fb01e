"""A fit under way, one iteration at a time."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from moe_viz.mixtures.methods import Method, Points


class Fitted(Protocol):
    """The model whose figures a fit writes."""

    log_likelihood_: np.ndarray
    objective_: np.ndarray
    n_iter_: int


class Fitting:
    """What `begin` gives. After each `step` the model's `log_likelihood_`, `objective_` and `n_iter_` include it."""

    def __init__(
        self, model: Fitted, method: Method, average: float, volume: float, volume_of_objective: float
    ) -> None:
        """`average`: the points' mean weight; the volumes: by how much standardising raised the two totals."""
        self._model, self._method, self._average = model, method, average
        self._volumes = np.array([volume, volume_of_objective])
        self._totals: list[np.ndarray] = []
        self._tell()

    @property
    def points(self) -> Points:
        """What is fitted, standardised."""
        return self._method.points

    def step(self) -> None:
        """One iteration."""
        self._method.step()
        self._tell()

    def _tell(self) -> None:
        totals = np.array([float(self._method.log_likelihood), float(self._method.objective)])
        self._totals.append((totals - self._volumes) * self._average)
        self._model.log_likelihood_, self._model.objective_ = np.array(self._totals).T
        self._model.n_iter_ = len(self._totals) - 1

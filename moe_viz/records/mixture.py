"""MixturePicture: one moment of a classical mixture as arrays, in the units of the data. N points, E experts, G places along x."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class MixturePicture:
    """One moment of a fit with one input and one answer.

    step, epoch     of the moment;  newest  the newest step of the same beginning, so that a page knows what it may go back to
    x, y            [N] the points;  places  their numbers on the grid of `spec.points`, [N, 2]
    grid            [G] places along x;  lines, spread, gate  [E, G]: what each expert predicts there, its standard deviation or scale, and its
                    probability before y is seen;  blend  [G] the mean of all, sum of gate times line
    splits          [nodes, G] in a tree, the probability of each gate's first branch, level by level; [0, G] in a flat mixture
    prior           [N, E] probability before y is seen;  posterior  [N, E] after
    pull            [N, E] the share of the force with which a point pulls at each expert: its weight (cooperative and localised: the prior;
                    else the posterior) times its distance, in parts of all experts' (cooperative: all are pulled by the blend's distance)
    error           [N, E] squared distance of the point from each expert, in parts of the variance of y
    limits          (x from, x to, y from, y to) of the picture: those of the data, whatever the reader has painted
    """

    step: int
    epoch: int
    newest: int
    x: np.ndarray
    y: np.ndarray
    places: np.ndarray
    grid: np.ndarray
    lines: np.ndarray
    spread: np.ndarray
    gate: np.ndarray
    blend: np.ndarray
    splits: np.ndarray
    prior: np.ndarray
    posterior: np.ndarray
    pull: np.ndarray
    error: np.ndarray
    limits: tuple[float, float, float, float]

    @property
    def n_experts(self) -> int:
        return len(self.lines)


def points_table(picture: MixturePicture) -> pd.DataFrame:
    """A row a point: x, y, and per expert (from 1) prior, posterior, share of the pull and error."""
    columns = {"x": picture.x, "y": picture.y}
    for name in ("prior", "posterior", "pull", "error"):
        values = getattr(picture, name)
        columns |= {f"{name}.{expert + 1}": values[:, expert] for expert in range(picture.n_experts)}
    return pd.DataFrame(columns)


def lines_table(picture: MixturePicture) -> pd.DataFrame:
    """A row a place along x: the blend, and per expert (from 1) its prediction, its spread and its probability there."""
    columns = {"x": picture.grid, "blend": picture.blend}
    for name, values in (("line", picture.lines), ("spread", picture.spread), ("gate", picture.gate)):
        columns |= {f"{name}.{expert + 1}": values[expert] for expert in range(picture.n_experts)}
    return pd.DataFrame(columns)

"""Exact least absolute deviations: from row to row of the data until no exchange brings the line nearer."""

from __future__ import annotations

import torch
from torch import Tensor

APART = 1e-11
"""By how much, at most, answers are moved apart while rows are exchanged: no two lines through the data tie then, and every exchange gains.

Which rows the best line goes through is decided with these; the line itself goes through the answers as they are.
"""
WEIGHTLESS = 1e-15
"""Rows that weigh less, in parts of the heaviest, are not asked: all of them together move no digit."""
STILL = 1e-12
"""A row that moves less along an edge, in parts of the one that moves most, lies on it."""
INDEPENDENT = 1e-6
"""A row of which less than this is left beside those chosen is no new direction."""


def distance(inputs: Tensor, y: Tensor, h: Tensor, line: Tensor) -> Tensor:
    """sum_n h_n |y_n - inputs_n line|."""
    return h @ (y - inputs @ line).abs()


def least_absolute(inputs: Tensor, y: Tensor, h: Tensor, start: Tensor) -> Tensor:
    """The line [P] of least `distance`. `inputs` [N, P] of rank P, `y` [N] of spread near 1, `h` [N] >= 0, `start` [P]: a line near it.

    A best line goes through P rows. From one that does, an edge leads away from each of its rows, along the lines through the others; the best point of
    an edge is a weighted median, where the line meets another row (Barrodale & Roberts 1973). The problem is convex: where no edge gains, it is solved.
    """
    heavy = (h > WEIGHTLESS * h.max()).nonzero().flatten()
    found = _exchanged(inputs[heavy], y[heavy], h[heavy], start)
    if found is None:
        found = _exchanged(inputs, y, h, start)
    return found if found is not None and distance(inputs, y, h, found) <= distance(inputs, y, h, start) else start


def _exchanged(inputs: Tensor, y: Tensor, h: Tensor, start: Tensor) -> Tensor | None:
    """None where the rows have not P directions."""
    apart = y + APART * torch.linspace(-1, 1, len(y), dtype=y.dtype)[_shuffled(len(y))]
    rows = _through(inputs, (apart - inputs @ start).abs())
    if rows is None:
        return None
    best = torch.linalg.solve(inputs[rows], apart[rows])
    reached = distance(inputs, apart, h, best)
    while True:
        left = apart - inputs @ best
        left[rows] = 0.0
        edges = inputs @ torch.linalg.inv(inputs[rows])  # [N, P]: by how much each row moves along each edge
        pull = (h * left.sign()) @ edges
        gain = pull.abs() - h[rows]
        out = int(gain.argmax())
        enters = _met(left, edges[:, out] * pull[out].sign(), h, gain[out]) if gain[out] > 0 else None
        if enters is None:
            break
        tried = rows.clone()
        tried[out] = enters
        line = torch.linalg.solve(inputs[tried], apart[tried])
        if not (now := distance(inputs, apart, h, line)) < reached:
            break
        rows, best, reached = tried, line, now
    return torch.linalg.solve(inputs[rows], y[rows])


def _shuffled(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))


def _through(inputs: Tensor, away: Tensor) -> Tensor | None:
    """P independent rows of `inputs` [N, P], those first whose `away` [N] is least; None where there are none."""
    order = away.argsort()
    left = inputs[order]
    size = left.norm(dim=1)
    chosen: list[Tensor] = []
    for _ in range(inputs.shape[1]):
        new = left.norm(dim=1) > INDEPENDENT * size
        if not new.any():
            return None
        at = new.to(torch.uint8).argmax()
        chosen.append(order[at])
        direction = left[at] / left[at].norm()
        left = left - (left @ direction).unsqueeze(1) * direction
    return torch.stack(chosen)


def _met(left: Tensor, edge: Tensor, h: Tensor, gain: Tensor) -> int | None:
    """The row at which a line stops that moves along `edge` [N]: each row it meets takes twice its pull from the `gain` of moving on. None: it meets none."""
    at = (left * edge > STILL * edge.abs().max() * left.abs()).nonzero().flatten()
    if not len(at):
        return None
    order = (left[at] / edge[at]).argsort()
    taken = 2 * (h[at] * edge[at].abs())[order].cumsum(0)
    return int(at[order[torch.searchsorted(taken, gain).clamp_max(len(at) - 1)]])

"""Least absolute deviations are exact: what linear programming finds, on data with ties, copies, outliers and exact lines."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from moe_viz.mixtures import MixtureOfExperts
from moe_viz.mixtures.least_absolute import distance, least_absolute


def by_linear_programming(inputs, y, h):
    """The least sum of h |y - inputs w|, and a w that has it."""
    n, p = inputs.shape
    cost = np.concatenate([np.zeros(p), h, h])
    equal = np.hstack([inputs, np.eye(n), -np.eye(n)])
    found = linprog(cost, A_eq=equal, b_eq=y, bounds=[(None, None)] * p + [(0, None)] * (2 * n), method="highs")
    assert found.success
    return found.fun, found.x[:p]


def table(kind, seed, n=120):
    draw = np.random.default_rng(seed)
    p = int(draw.integers(1, 6))
    x = draw.normal(size=(n, p))
    if kind in ("ties", "copies"):
        x = draw.integers(0, 4, size=(n, p)).astype(float)
    if kind == "binary":
        x = (draw.random((n, p)) < 0.5).astype(float)
    x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(n)])
    y = x @ draw.normal(size=p + 1) + draw.normal(size=n)
    if kind == "ties":
        y = draw.integers(0, 3, size=n).astype(float)
    if kind == "outliers":
        y[:30] += 50
    if kind == "a line":
        y = x @ np.ones(p + 1)
    h = draw.random(n)
    if kind == "most without weight":
        h[draw.permutation(n)[12:]] *= 1e-30
    return x, (y - y.mean()) / y.std(), h


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["plain", "ties", "copies", "binary", "outliers", "a line", "most without weight"])
def test_the_best_line_is_the_one_that_linear_programming_finds(kind, seed):
    x, y, h = table(kind, seed)
    least, weight = by_linear_programming(x, y, h)
    tensors = torch.tensor(x), torch.tensor(y), torch.tensor(h)
    found = least_absolute(*tensors, torch.zeros(x.shape[1], dtype=torch.float64))
    assert float(distance(*tensors, found)) == pytest.approx(least, rel=1e-9, abs=1e-9)
    if kind in ("plain", "outliers"):
        assert np.allclose(found, weight, atol=1e-9), "where the best line is one"
    assert torch.allclose(least_absolute(*tensors, found), found, atol=1e-9), "and there it stays"


@pytest.mark.parametrize("offset, unit", [(0.0, 1.0), (1e7, 1.0), (1e3, 1e-6), (0.0, 1e6)])
def test_one_laplace_expert_is_least_absolute_deviations_at_any_offset_and_unit(offset, unit):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(150, 2))
    y = x @ [1.0, -2.0] + draw.standard_cauchy(150)
    least, weight = by_linear_programming(np.column_stack([x, np.ones(150)]), y, np.ones(150))
    moved = (x + offset) * unit
    model = MixtureOfExperts(1, "laplace", iterations=1).fit(moved, 1e3 * y + 7)
    guess = (model.predict(moved) - 7) / 1e3
    assert np.abs(y - guess).sum() == pytest.approx(least, rel=1e-7)
    assert np.allclose(guess, x @ weight[:2] + weight[2], atol=1e-6)
    b = 1e3 * least / 150
    assert model.log_likelihood_[-1] == pytest.approx(-150 * (1 + np.log(2 * b)), rel=1e-7)


def test_every_output_has_its_own_best_line():
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(80, 2)), draw.normal(size=(80, 2)) * [1.0, 10.0]
    model = MixtureOfExperts(1, "laplace", iterations=1).fit(x, y)
    for output in (0, 1):
        least, _ = by_linear_programming(np.column_stack([x, np.ones(80)]), y[:, output], np.ones(80))
        assert np.abs(y - model.predict(x))[:, output].sum() == pytest.approx(least, rel=1e-9)

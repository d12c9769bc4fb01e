"""What a fit climbs never falls, for every data set, expert and gate: once here, from twenty starts in `make nightly`."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from moe_viz.mixtures import EXPERTS, GATES, HierarchicalMixture, MixtureOfExperts
from moe_viz.mixtures.experts import Margin
from moe_viz.mixtures.newton import with_ones
from tests.mixtures.test_mixtures import two_regimes


def years():
    """A level that falls once."""
    year = np.arange(1871.0, 1971.0)[:, None]
    return year, np.where(year[:, 0] < 1899, 1098.0, 850.0) + 120 * np.random.default_rng(0).normal(size=100)


def branches():
    """x cannot tell which of two lines y follows; most values of x come twice."""
    draw = np.random.default_rng(1)
    x = draw.integers(43, 97, 270).astype(float)[:, None]
    upper = (x[:, 0] < 65) | (draw.random(270) < 0.5)
    return x, np.where(upper, 4.4, 2.0) + 0.01 * (x[:, 0] - 70) + 0.3 * draw.normal(size=270)


def ring():
    """A disc in a ring."""
    draw = np.random.default_rng(2)
    x = draw.normal(size=(200, 2))
    return x, np.where((x**2).sum(1) < 1.4, 2 + x[:, 0], -2 - x[:, 0]) + 0.1 * draw.normal(size=200)


def outliers():
    draw = np.random.default_rng(3)
    x = draw.uniform(-1, 1, (150, 1))
    return x, np.where(draw.random(150) < 0.1, -6.0, 2 * np.abs(x[:, 0])) + 0.1 * draw.normal(size=150)


def binary():
    """Yes and no, and answers of five values."""
    draw = np.random.default_rng(4)
    x = (draw.random((120, 3)) < 0.5).astype(float)
    return x, np.round(2 * x[:, 0] - x[:, 1] + draw.normal(size=120))


TABLES = {
    "two lines": lambda: two_regimes(150),
    "years": years,
    "branches": branches,
    "ring": ring,
    "outliers": outliers,
    "binary": binary,
    "wine": lambda: (load_wine().data[:, 1:], load_wine().data[:, 0]),
    "diabetes": lambda: load_diabetes(return_X_y=True, scaled=False),
    "breast cancer": lambda: (load_breast_cancer().data[:, 1:], load_breast_cancer().data[:, 0]),
}


def of_kind(expert, y):
    """The answers, or which third or half of them each belongs to."""
    if not EXPERTS[expert].classifies:
        return y
    return np.searchsorted(np.quantile(y, [1 / 3, 2 / 3] if expert == "multinomial" else [0.5]), y)


def never_falls(values):
    assert np.isfinite(values).all()
    assert (np.diff(values) >= -1e-6 * np.abs(values[:-1]) - 1e-9).all(), np.diff(values).min()


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("expert", EXPERTS)
@pytest.mark.parametrize("table", TABLES)
def test_em_never_loses_likelihood(table, expert, gate):
    x, y = TABLES[table]()
    model = MixtureOfExperts(3, expert, gate, iterations=6).fit(x, of_kind(expert, y))
    never_falls(model.log_likelihood_)
    assert model.log_likelihood_[-1] > model.log_likelihood_[0]


@pytest.mark.nightly
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("expert", EXPERTS)
@pytest.mark.parametrize("table", TABLES)
def test_em_never_loses_likelihood_from_twenty_starts(table, expert, gate):
    x, y = TABLES[table]()
    y = of_kind(expert, y)
    for seed in range(20):
        model = MixtureOfExperts(4, expert, gate, seed=seed, iterations=40).fit(x, y)
        never_falls(model.log_likelihood_)
        never_falls(model.fit(x, y, "hard_em").objective_)


@pytest.mark.nightly
@pytest.mark.parametrize("expert", EXPERTS)
@pytest.mark.parametrize("table", TABLES)
def test_em_never_loses_a_trees_likelihood_from_twenty_starts(table, expert):
    x, y = TABLES[table]()
    for seed in range(20):
        never_falls(HierarchicalMixture((2, 2), expert, seed, iterations=40).fit(x, of_kind(expert, y)).log_likelihood_)


@pytest.mark.parametrize("table", TABLES)
def test_a_support_vector_machines_own_objective_never_falls(table):
    """Beside the likelihood: minus its squared hinge losses and penalty, for the responsibilities of each M-step."""
    x, y = TABLES[table]()
    model = MixtureOfExperts(2, "svm", seed=1)
    fitting = model.begin(x, of_kind("svm", y))
    points = fitting.points
    signs, inputs = points.y[:, 0] - points.y[:, 1], with_ones(points.x)

    def own(h):
        weight = model.tree_.experts.free["weight"][:, :, 0]
        short = (1 - signs.unsqueeze(1) * (inputs @ weight.T)).clamp_min(0)
        penalty = Margin.PENALTY * weight[:, :-1].square().sum(1) + 1e-9 * weight[:, -1].square()
        return -0.5 * ((h / h.sum(0) * short.square()).sum(0) + penalty)

    for _ in range(8):
        h = torch.tensor(model.responsibilities(x, of_kind("svm", y)))
        before = own(h)
        fitting.step()
        assert (own(h) >= before - 1e-12 * before.abs()).all()
    never_falls(model.log_likelihood_)

"""Ways to fit a mixture and the errors they climb, each against a step worked out by hand or by scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression

from moe_viz.mixtures import HierarchicalMixture, MixtureOfExperts
from moe_viz.mixtures.methods import Points, make_method
from moe_viz.mixtures.tree import Tree
from tests.mixtures.test_mixtures import answers, two_regimes

ERRORS = ("likelihood", "competitive", "localised", "cooperative")
RATE = 0.1
X = np.array([[-1.0], [0.5], [2.0]])
T = np.array([[0.5], [2.5], [1.0]])
OUT = np.array([1.0, 3.0])
SLOPE, BIAS = 0.4, -0.2


def two_constants(unit_variance=True):
    """Two constant experts at 1 and 3, g_1 = sigmoid(.4 x - .2)."""
    tree = Tree((2,), "constant_gaussian", "softmax", 4.0, 0.0)
    tree.experts.floor = -50.0
    log_scale = torch.zeros(2, dtype=torch.float64)
    tree.experts.free = {"weight": torch.tensor(OUT).reshape(2, 1, 1), "log_scale": log_scale}
    tree.gates[0][0].free = {"weight": torch.tensor([[SLOPE], [BIAS]], dtype=torch.float64)}
    return tree


def by_hand(error):
    """Gradients of the error at each point by output [N, 2] and by the first logit [N], as the papers have them."""
    first = 1 / (1 + np.exp(-(SLOPE * X[:, 0] + BIAS)))
    g = np.stack([first, 1 - first], 1)
    away = T - OUT
    if error in ("likelihood", "competitive"):
        h = g * np.exp(-0.5 * away**2)
        h /= h.sum(1, keepdims=True)
        return -h * away, (g - h)[:, 0], h
    if error == "localised":
        return -2 * g * away, (g * (away**2 - (g * away**2).sum(1, keepdims=True)))[:, 0], g
    blend = (g * OUT).sum(1, keepdims=True)
    return -2 * g * (T - blend), (g * (-2 * (T - blend)) * (OUT - blend))[:, 0], g


@pytest.mark.parametrize("method", ["ascent", "adam"])
@pytest.mark.parametrize("error", ERRORS)
def test_a_step_along_the_gradient_is_the_one_worked_out_by_hand(error, method):
    tree = two_constants()
    way = make_method(method, tree, Points(torch.tensor(X), torch.tensor(T), None), error, 1.0, RATE)
    way.step()
    by_output, by_logit, h = by_hand(error)
    slopes = np.array([*by_output.mean(0), (by_logit * X[:, 0]).mean(), by_logit.mean()])
    moved = -RATE * slopes if method == "ascent" else -RATE * slopes / (np.abs(slopes) + 1e-8)
    found = np.concatenate([tree.experts.free["weight"].ravel(), tree.gates[0][0].free["weight"].ravel()])
    assert np.allclose(found, np.array([*OUT, SLOPE, BIAS]) + moved, atol=1e-12)
    scale = tree.experts.free["log_scale"].numpy()
    if error == "likelihood":
        by_scale = (h * 0.5 * ((T - OUT) ** 2 - 1)).mean(0)
        wanted = RATE * by_scale if method == "ascent" else RATE * by_scale / (np.abs(by_scale) + 1e-8)
        assert np.allclose(scale, wanted, atol=1e-12)
    else:
        assert (scale == 0).all(), "these errors have no scale of their own"


def test_the_objective_of_an_error_is_the_error():
    first = 1 / (1 + np.exp(-(SLOPE * X[:, 0] + BIAS)))
    g, squared = np.stack([first, 1 - first], 1), (T - OUT) ** 2
    wanted = {
        "competitive": np.log((g * np.exp(-0.5 * squared)).sum(1)).sum(),
        "localised": -(g * squared).sum(),
        "cooperative": -((T[:, 0] - g @ OUT) ** 2).sum(),
    }
    points = Points(torch.tensor(X), torch.tensor(T), None)
    for error, value in wanted.items():
        assert float(make_method("ascent", two_constants(), points, error, 1.0, RATE).objective) == pytest.approx(value)
    narrow = make_method("ascent", two_constants(), points, "competitive", 0.5, RATE)
    assert float(narrow.objective) == pytest.approx(np.log((g * np.exp(-2 * squared)).sum(1)).sum())


def test_a_hard_step_fits_each_expert_to_its_own_points():
    x, y = two_regimes(120)
    model = MixtureOfExperts(2, seed=1)
    fitting = model.begin(x, y, "hard_em")
    owner = model.responsibilities(x, y).argmax(1)
    assert set(owner) == {0, 1}
    fitting.step()
    tree = model.tree_
    means = model._y_scale.back(tree.experts.mean(model._x_scale.into(torch.tensor(x)))[:, :, 0].reshape(-1, 1))
    for expert in (0, 1):
        own = owner == expert
        wanted = LinearRegression().fit(x[own], y[own]).predict(x)
        assert np.allclose(means.reshape(120, 2)[:, expert], wanted)
    joint = tree.log_joint(model._x_scale.into(torch.tensor(x)), model._coded(y, 120))
    assert model.objective_[-1] == pytest.approx(float(joint.amax(1).sum()) - 120 * model._log_volume())


@pytest.mark.parametrize("expert", ["linear_gaussian", "laplace", "student_t", "logistic", "multinomial", "svm"])
def test_hard_em_never_loses_the_likelihood_of_each_points_own_expert(expert):
    x, y = two_regimes(90, noise=1.5)
    for seed in range(3):
        model = MixtureOfExperts(3, expert, seed=seed).fit(x, answers(expert, y), "hard_em", 12)
        assert (np.diff(model.objective_) >= -1e-6 * np.abs(model.objective_[:-1])).all()
        assert (model.objective_ <= model.log_likelihood_ + 1e-9).all()


@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
def test_two_experts_part_where_y_varies_more_than_their_unit(variance):
    """Jacobs et al.'s loop has a law: a step of rate eta multiplies the gap by 1 + eta (Var y / sigma^2 - 1) / 2."""
    y = torch.tensor(math.sqrt(variance) * np.array([-1.0, 1.0]).repeat(50)).reshape(-1, 1)
    tree = Tree((2,), "constant_gaussian", "softmax", 4.0, 0.0)
    tree.experts.floor = -50.0
    start = torch.tensor([-1e-5, 1e-5], dtype=torch.float64).reshape(2, 1, 1)
    tree.experts.free = {"weight": start, "log_scale": torch.zeros(2, dtype=torch.float64)}
    tree.gates[0][0].free = {"weight": torch.zeros(1, 1, dtype=torch.float64)}
    way = make_method("ascent", tree, Points(y[:, :0], y, None), "competitive", 1.0, 0.5)
    for _ in range(3):
        before = float(tree.experts.free["weight"].diff(dim=0))
        way.step()
        assert float(tree.experts.free["weight"].diff(dim=0)) / before == pytest.approx(1 + 0.5 * (variance - 1) / 2, abs=1e-3)  # fmt: skip


def test_unit_is_measured_in_the_spread_of_y():
    x, y = two_regimes(80)
    one = MixtureOfExperts(3, error="competitive", method="adam", unit=0.3, iterations=10).fit(x, y)
    other = MixtureOfExperts(3, error="competitive", method="adam", unit=0.3, iterations=10).fit(x, 1e6 * y + 5)
    assert np.allclose(one.objective_, other.objective_, rtol=1e-6) and np.allclose(one.gate(x), other.gate(x))
    away = (y[:, None] - one._y_scale.back(one.tree_.experts.mean(one._x_scale.into(torch.tensor(x)))[:, :, 0].reshape(-1, 1)).reshape(80, 3).numpy()) / (0.3 * y.std())  # fmt: skip
    h = one.gate(x) * np.exp(-0.5 * away**2)
    assert np.allclose(one.responsibilities(x, y), h / h.sum(1, keepdims=True))


@pytest.mark.parametrize("expert", ["linear_gaussian", "multinomial"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["gradient", "adam", "ascent"])
def test_every_way_climbs_every_error(method, error, expert):
    x, y = two_regimes(80)
    model = MixtureOfExperts(3, expert, seed=1, error=error, unit=0.5, method=method, iterations=25)
    model.fit(x, answers(expert, y))
    assert model.objective_[-1] > model.objective_[0] and np.isfinite(model.log_likelihood_).all()
    if method == "gradient":
        assert (np.diff(model.objective_) >= 0).all()


def test_a_tree_climbs_an_error_too():
    x, y = two_regimes(80)
    model = HierarchicalMixture((2, 2), error="cooperative", method="adam", iterations=200).fit(x, y)
    blend = ((model.predict(x) - y) ** 2).sum() / y.var()
    assert model.objective_[-1] == pytest.approx(-blend) and model.score(x, y) > 0.9


@pytest.mark.parametrize("expert, classes", [("logistic", [0]), ("multinomial", [-1, 1])])
@pytest.mark.parametrize("ridge", [0.1, 10.0])
def test_a_ridge_is_scikit_learns(expert, classes, ridge):
    x, y = two_regimes(150, noise=2.0)
    labels = np.digitize(y, classes)
    ours = MixtureOfExperts(1, expert, ridge=ridge, iterations=30).fit(x, labels)
    standard = (x - x.mean(0)) / x.std(0)
    peer = LogisticRegression(C=1 / ridge, tol=1e-10, max_iter=5000).fit(standard, labels)
    assert np.allclose(ours.predict_proba(x), peer.predict_proba(standard), atol=1e-6)


def test_with_a_ridge_the_likelihood_less_the_ridge_never_falls():
    x, y = two_regimes(90)
    for expert, method in (("linear_gaussian", "em"), ("multinomial", "em"), ("multinomial", "gradient"), ("logistic", "hard_em")):  # fmt: skip
        model = MixtureOfExperts(3, expert, ridge=2.0, method=method, iterations=10).fit(x, answers(expert, y))
        assert (np.diff(model.objective_) >= -1e-6 * np.abs(model.objective_[:-1])).all()
        if method != "hard_em":
            assert (model.objective_ < model.log_likelihood_)[1:].all()


def test_steps_that_leave_the_numbers_are_refused():
    x, y = two_regimes(40)
    with pytest.raises(ValueError, match="rate = 1e"):
        MixtureOfExperts(2, method="ascent", error="localised", rate=1e100, iterations=20).fit(x, y)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"error": "squared"}, "error = 'squared'"),
        ({"error": "localised"}, "needs gradient, adam or ascent"),
        ({"error": "localised", "method": "adam", "expert": "laplace"}, "is of squared distances"),
        ({"ridge": -0.1}, "ridge = -0.1"),
        ({"iterations": 1.5}, "iterations = 1.5"),
    ],
)
def test_a_way_that_is_none_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        MixtureOfExperts(2, **options)

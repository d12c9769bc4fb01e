"""Classical mixtures: what EM promises, closed forms, hand-worked posteriors, and what scikit-learn finds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture

from moe_viz.mixtures import EXPERTS, GATES, HierarchicalMixture, MixtureOfExperts
from moe_viz.mixtures.experts import ALIVE, LinearGaussian
from moe_viz.mixtures.newton import log_softmax_pinned, softmax_newton, with_ones

CLASSIFY = ("logistic", "multinomial", "svm")


def two_regimes(n=240, seed=0, noise=0.1):
    """y follows one line left of 0 and another right of it."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 2))
    return x, np.where(x[:, 0] > 0, 3 * x[:, 1] + 1, -2 * x[:, 1]) + noise * draw.normal(size=n)


def answers(expert, y):
    return {"logistic": y > 0, "svm": np.where(y > 0, 1, -1), "multinomial": np.digitize(y, [-1, 1])}.get(expert, y)


def never_falls(log_likelihood):
    assert (np.diff(log_likelihood) >= -1e-6 * np.abs(log_likelihood[:-1]) - 1e-9).all(), np.diff(log_likelihood).min()


@pytest.mark.parametrize("method", ["em", "gradient"])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("expert", EXPERTS)
def test_the_likelihood_never_falls_and_starts_the_list(expert, gate, method):
    x, y = two_regimes(90)
    y = answers(expert, y)
    model = MixtureOfExperts(3, expert, gate, seed=1)
    fit = model.fit(x, y, method, iterations=8)
    assert fit.log_likelihood.shape == (9,)
    never_falls(fit.log_likelihood)
    assert fit.log_likelihood[-1] > fit.log_likelihood[0]
    assert (
        MixtureOfExperts(3, expert, gate, seed=1).fit(x, y, method, iterations=0).log_likelihood
        == fit.log_likelihood[0]
    )
    again = MixtureOfExperts(3, expert, gate, seed=1).fit(x, y, method, iterations=8)
    assert (again.log_likelihood == fit.log_likelihood).all(), "same seed, same fit"
    for shares in (model.gate(x), model.responsibilities(x, y)):
        assert shares.shape == (90, 3) and (shares >= 0).all()
        assert np.allclose(shares.sum(1), 1, atol=1e-12)
    assert model.predict(x).shape == y.shape
    if expert in CLASSIFY:
        assert set(model.predict(x)) <= set(y)
        assert np.allclose(model.predict_proba(x).sum(1), 1)


@pytest.mark.parametrize("branching", [(2, 2), (3, 2), (2, 1, 2)])
@pytest.mark.parametrize("expert", ["linear_gaussian", "multinomial"])
def test_a_tree_climbs_too(branching, expert):
    x, y = two_regimes(120)
    y = answers(expert, y)
    model = HierarchicalMixture(branching, expert, seed=2)
    never_falls(model.fit(x, y, iterations=10).log_likelihood)
    assert model.gate(x).shape == (120, math.prod(branching))
    assert np.allclose(model.gate(x).sum(1), 1) and np.allclose(model.responsibilities(x, y).sum(1), 1)


@given(st.integers(0, 10_000), st.sampled_from(list(EXPERTS)), st.sampled_from(list(GATES)), st.integers(1, 5))
@settings(max_examples=40)
def test_any_data_keeps_every_promise(seed, expert, gate, n_experts):
    draw = np.random.default_rng(seed)
    n = int(draw.integers(4, 30))
    x = draw.normal(size=(n, int(draw.integers(1, 4)))) * 10.0 ** draw.integers(-2, 3)
    y = answers(expert, draw.normal(size=n))
    y[:3] = answers(expert, np.array([-2.0, 0.0, 2.0]))
    model = MixtureOfExperts(n_experts, expert, gate, seed=seed)
    fit = model.fit(x, y, iterations=5)
    assert np.isfinite(fit.log_likelihood).all()
    never_falls(fit.log_likelihood)
    assert np.allclose(model.responsibilities(x, y).sum(1), 1)


@pytest.mark.parametrize("method", ["em", "gradient"])
def test_two_regimes_are_found(method):
    x, y = two_regimes(400, noise=0.05)
    model = MixtureOfExperts(2, seed=0)
    model.fit(x, y, method, iterations=60 if method == "em" else 150)
    assert np.mean((model.predict(x) - y) ** 2) < 0.1 * y.var()
    side = model.gate(x).argmax(1)
    agree = (side == (x[:, 0] > 0)).mean()
    assert max(agree, 1 - agree) > 0.95


def test_one_expert_is_least_squares():
    x, y = two_regimes()
    y = np.stack([y, x[:, 0]], 1)
    model = MixtureOfExperts(1, seed=0)
    fit = model.fit(x, y, iterations=2)
    expected = LinearRegression().fit(x, y).predict(x)
    assert np.allclose(model.predict(x), expected)
    variance = np.mean((y - expected) ** 2)
    assert np.isclose(fit.log_likelihood[-1], -y.size / 2 * (math.log(2 * math.pi * variance) + 1))


def test_many_degrees_of_freedom_are_the_gaussian():
    x, y = two_regimes(100)
    gaussian = MixtureOfExperts(2, "linear_gaussian", seed=3).fit(x, y, iterations=10).log_likelihood
    student = MixtureOfExperts(2, "student_t", seed=3, nu=1e8).fit(x, y, iterations=10).log_likelihood
    assert np.allclose(student, gaussian, rtol=1e-4)


def test_outliers_move_the_robust_experts_less():
    draw = np.random.default_rng(4)
    x = draw.uniform(-1, 1, (200, 1))
    y = 2 * x[:, 0] + 0.1 * draw.normal(size=200)
    y[:20] += 30
    slope = {}
    for expert in ("linear_gaussian", "laplace", "student_t"):
        model = MixtureOfExperts(1, expert, seed=0)
        model.fit(x, y, iterations=40)
        slope[expert] = model.predict(np.array([[0.0]]))[0]
    assert slope["linear_gaussian"] > 2 and abs(slope["laplace"]) < 0.2 and abs(slope["student_t"]) < 0.2


def test_a_constant_laplace_expert_sits_on_the_weighted_median():
    """Without slope to use (x is constant) the best |r| fit is the median."""
    y = np.array([0.0, 1.0, 2.0, 3.0, 100.0])
    model = MixtureOfExperts(1, "laplace", seed=0)
    model.fit(np.zeros((5, 1)), y, iterations=1)
    assert model.predict(np.zeros((1, 1)))[0] == pytest.approx(2.0)


def test_a_tree_with_one_group_or_groups_of_one_is_the_flat_mixture():
    x, y = two_regimes(120)
    flat = MixtureOfExperts(3, seed=5).fit(x, y, iterations=12).log_likelihood
    for branching in ((1, 3), (3, 1)):
        assert np.allclose(
            HierarchicalMixture(branching, seed=5).fit(x, y, iterations=12).log_likelihood, flat, rtol=1e-9
        )


def test_responsibilities_of_a_tree_are_products_and_follow_bayes():
    x, y = two_regimes(60)
    model = HierarchicalMixture((2, 2), seed=1)
    model.fit(x, y, iterations=5)
    h = model.responsibilities(x, y)
    group = h.reshape(60, 2, 2).sum(2)
    within = h.reshape(60, 2, 2) / np.maximum(group, 1e-300)[:, :, None]
    assert np.allclose(group[:, :, None] * within, h.reshape(60, 2, 2))
    points, targets = model._known(x), model._coded(y, 60)
    density = model.tree_.experts.log_prob(points, targets).exp().numpy()
    assert np.allclose(h, model.gate(x) * density / (model.gate(x) * density).sum(1, keepdims=True))


def test_posteriors_and_gradients_by_hand():
    """Jacobs et al. 1991: E = -log sum g exp(-(t - o)^2 / 2): dE/do = -h (t - o), dE/dlogit = g - h."""
    outputs = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    logits = torch.tensor([0.0, math.log(3)], dtype=torch.float64, requires_grad=True)
    experts = LinearGaussian(2, 4.0)
    experts.floor = -50.0
    zero = torch.zeros(2, 1, 1, dtype=torch.float64)
    experts.free = {
        "weight": torch.cat([zero, outputs.reshape(2, 1, 1)], 1),
        "log_scale": torch.zeros(2, dtype=torch.float64),
    }
    x, t = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([[2.5]], dtype=torch.float64)
    joint = logits.log_softmax(0) + experts.log_prob(x, t)[0]
    (-joint.logsumexp(0)).backward()
    g = np.array([0.25, 0.75])
    likelihood = g * np.exp(-0.5 * (2.5 - np.array([1.0, 3.0])) ** 2)
    h = likelihood / likelihood.sum()
    assert np.allclose(joint.softmax(0).detach(), h)
    assert np.allclose(outputs.grad, -h * (2.5 - np.array([1.0, 3.0])))
    assert np.allclose(logits.grad, g - h)


def test_newton_finds_what_scikit_learn_finds():
    draw = np.random.default_rng(6)
    x, h = draw.normal(size=(150, 2)), draw.dirichlet(np.ones(3), 150)
    inputs, targets = with_ones(torch.tensor(x)), torch.tensor(h)
    weight = softmax_newton(inputs, targets, torch.zeros(3, 2, dtype=torch.float64), 50)
    peer = LogisticRegression(C=1e10, tol=1e-10, max_iter=5000).fit(
        np.repeat(x, 3, 0), np.tile(np.arange(3), 150), sample_weight=h.ravel()
    )
    assert np.allclose(log_softmax_pinned(inputs, weight).exp(), peer.predict_proba(x), atol=1e-5)


def test_constant_experts_under_a_gaussian_gate_are_a_gaussian_mixture():
    """Blind to each other given the component, x and y together are a Gaussian mixture whose covariance has no x-y block."""
    draw = np.random.default_rng(7)
    which = draw.random(600) < 0.4
    x = np.where(which, -3.0, 3.0)[:, None] + draw.normal(size=(600, 1))
    y = np.where(which, -2.0, 2.0) + 0.5 * draw.normal(size=600)
    ours = MixtureOfExperts(2, "constant_gaussian", "gaussian", seed=0).fit(x, y, iterations=100).log_likelihood[-1]
    peer = GaussianMixture(2, covariance_type="diag", tol=1e-10, max_iter=500, random_state=0, reg_covar=0)
    both = np.column_stack([x, y])
    assert ours == pytest.approx(peer.fit(both).score(both) * 600, rel=1e-4)


def test_exponential_gate_has_the_rates_of_the_points_it_owns():
    draw = np.random.default_rng(8)
    which = draw.random(2000) < 0.5
    x = np.where(which, draw.exponential(0.2, 2000), draw.exponential(5.0, 2000))[:, None]
    model = MixtureOfExperts(2, "constant_gaussian", "exponential", seed=0)
    model.fit(x, np.where(which, -1.0, 1.0) + 0.1 * draw.normal(size=2000), iterations=50)
    standardised = model.tree_.gates[0][0].free["log_rate"].exp() / model._x_scale.spread
    rates = np.sort(standardised.numpy().ravel())
    assert rates == pytest.approx([1 / 5.0, 1 / 0.2], rel=0.15)


def test_labels_come_back_as_they_were_given():
    x, y = two_regimes(80)
    named = np.where(y > 0, "up", "down")
    model = MixtureOfExperts(2, "logistic", seed=0)
    model.fit(x, named, iterations=15)
    assert (model.predict(x) == named).mean() > 0.9
    one_hot = np.eye(3)[np.digitize(y, [-1, 1])]
    model = MixtureOfExperts(2, "multinomial", seed=0)
    model.fit(x, one_hot, iterations=15)
    assert model.predict(x).shape == (80, 3) and (model.predict(x).sum(1) == 1).all()
    assert model.responsibilities(torch.tensor(x), torch.tensor(one_hot)).shape == (80, 2), "tensors are welcome too"


def test_an_expert_that_owns_nothing_keeps_its_parameters():
    experts = LinearGaussian(2, 4.0)
    x, y = torch.randn(20, 1, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    experts.start(x, y, torch.full((20, 2), 0.5, dtype=torch.float64))
    before = experts.free["weight"][1].clone()
    h = torch.tensor([[1.0, ALIVE / 100]], dtype=torch.float64).expand(20, 2)
    experts.maximise(x, 2 * y, h)
    assert (experts.free["weight"][1] == before).all() and not torch.allclose(experts.free["weight"][0], before)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MixtureOfExperts(0), "n_experts = 0"),
        (lambda: MixtureOfExperts(2, "linear"), "expert = 'linear'"),
        (lambda: MixtureOfExperts(2, gate="top"), "gate = 'top'"),
        (lambda: MixtureOfExperts(2, seed=-1), "seed = -1"),
        (lambda: MixtureOfExperts(2, nu=0), "nu = 0"),
        (lambda: HierarchicalMixture(()), "branching"),
        (lambda: HierarchicalMixture((2, 0)), "branching = 0"),
        (lambda: MixtureOfExperts(2).fit([[1.0]], [1.0], method="newton"), "method = 'newton'"),
        (lambda: MixtureOfExperts(2).fit([[1.0]], [1.0], iterations=-1), "iterations = -1"),
        (lambda: MixtureOfExperts(2).fit([1.0], [1.0]), "x has shape (1,)"),
        (lambda: MixtureOfExperts(2).fit([[np.nan]], [1.0]), "x holds NaN"),
        (lambda: MixtureOfExperts(2).fit([["a"]], [1.0]), "x is not an array of numbers"),
        (lambda: MixtureOfExperts(2).fit([[1.0], [2.0]], [1.0]), "y has shape (1,)"),
        (lambda: MixtureOfExperts(2, "logistic").fit([[1.0], [2.0], [3.0]], [0, 1, 2]), "3 classes"),
        (lambda: MixtureOfExperts(2, "multinomial").fit([[1.0], [2.0]], [1, 1]), "1 classes"),
        (lambda: MixtureOfExperts(2, "multinomial").fit([[1.0], [2.0]], [[1, 1], [0, 1]]), "one-hot"),
        (lambda: MixtureOfExperts(2).predict([[1.0]]), "call fit first"),
        (lambda: MixtureOfExperts(2).gate([[1.0]]), "call fit first"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, says):
    with pytest.raises(ValueError) as refusal:
        make()
    assert says in str(refusal.value)


def test_new_points_must_look_like_those_fitted():
    x, y = two_regimes(40)
    model = MixtureOfExperts(2, "logistic", seed=0)
    model.fit(x, y > 0, iterations=2)
    for call, says in (
        (lambda: model.predict(x[:, :1]), "1 columns"),
        (lambda: model.responsibilities(x, np.full(40, 7)), "fitted with the classes"),
        (lambda: model.responsibilities(x, np.eye(2)[(y > 0).astype(int)]), "fitted with [N]"),
    ):
        with pytest.raises(ValueError, match=says.replace("[", r"\[").replace("]", r"\]")):
            call()
    regression = MixtureOfExperts(2)
    regression.fit(x, y, iterations=1)
    with pytest.raises(ValueError, match="does not classify"):
        regression.predict_proba(x)

"""A mixture's fit depends on what the columns say, not on the units, offsets, copies and constants they come with; what is no number is refused by row."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

from moe_viz.mixtures import EXPERTS, HierarchicalMixture, MixtureOfExperts


def pieces(n=120, seed=0):
    """Two columns and the answers of a line that breaks."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 2))
    return x, np.where(x[:, 0] > 0, 3 * x[:, 1] + 1, -2 * x[:, 1]) + 0.1 * draw.normal(size=n)


def answers(expert, y):
    return {"logistic": y > 0, "svm": y > 0, "multinomial": np.digitize(y, [-1, 1])}.get(expert, y)


def never_falls(log_likelihood):
    assert (np.diff(log_likelihood) >= -1e-6 * np.abs(log_likelihood[:-1])).all(), np.diff(log_likelihood).min()


@pytest.mark.parametrize("gate", ["softmax", "gaussian", "exponential"])
@pytest.mark.parametrize("expert", EXPERTS)
def test_a_constant_and_a_copied_column_change_nothing(expert, gate):
    x, y = pieces()
    y = answers(expert, y)
    wide = np.column_stack([np.full(len(x), 7.3), x, 3 * x[:, 0] + 5])
    plain, more = MixtureOfExperts(4, expert, gate, seed=1), MixtureOfExperts(4, expert, gate, seed=1)
    expected = plain.fit(x, y, iterations=8).log_likelihood
    assert np.allclose(more.fit(wide, y, iterations=8).log_likelihood, expected, rtol=1e-9)
    assert np.allclose(more.gate(wide), plain.gate(x), atol=1e-9)


def test_a_constant_column_changes_no_tree():
    x, y = pieces()
    expected = HierarchicalMixture((2, 2), seed=1).fit(x, y, iterations=8).log_likelihood
    wide = HierarchicalMixture((2, 2), seed=1).fit(np.column_stack([x, np.ones(len(x))]), y, iterations=8)
    assert np.allclose(wide.log_likelihood, expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gate", ["softmax", "gaussian", "exponential"])
def test_experts_part_where_all_rows_of_x_are_equal(gate, seed):
    y = np.repeat([-1.0, 1.0], 50) + 0.1 * np.random.default_rng(0).normal(size=100)
    one = MixtureOfExperts(1, "constant_gaussian", gate).fit(np.ones((100, 1)), y, iterations=5).log_likelihood[-1]
    two = MixtureOfExperts(2, "constant_gaussian", gate, seed=seed).fit(np.ones((100, 1)), y, iterations=60)
    assert two.log_likelihood[-1] > one + 100


@pytest.mark.parametrize("seed", range(5))
def test_experts_start_at_different_points_of_a_binary_column(seed):
    draw = np.random.default_rng(0)
    x = (draw.random(200) < 0.5).astype(float)[:, None]
    model = MixtureOfExperts(2, "constant_gaussian", seed=seed)
    model.fit(x, 5 * x[:, 0] + 0.1 * draw.normal(size=200), iterations=30)
    assert np.abs(model.gate(np.array([[0.0], [1.0]])) - 0.5).min() > 0.4


def test_more_experts_than_points_do_not_stay_equal():
    model = MixtureOfExperts(6, "linear_gaussian", seed=0)
    fit = model.fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0], iterations=10)
    assert np.isfinite(fit.log_likelihood).all()
    assert len(np.unique(model.gate([[0.0], [1.0]])[0].round(12))) > 3


@pytest.mark.parametrize("method", ["em", "gradient"])
def test_years_are_fitted_as_if_counted_from_their_middle(method):
    year = np.repeat(np.arange(1990.0, 2025.0), 3)[:, None]
    y = np.where(year[:, 0] < 2007, 0.5 * (year[:, 0] - 1990), 20 - (year[:, 0] - 2007))
    y = y + 0.2 * np.random.default_rng(0).normal(size=len(y))
    model = MixtureOfExperts(2, seed=0)
    fit = model.fit(year, y, method, iterations=60)
    centred = MixtureOfExperts(2, seed=0).fit(year - 2007, y, method, iterations=60)
    assert np.allclose(fit.log_likelihood, centred.log_likelihood, rtol=1e-6)
    assert fit.log_likelihood[-1] > fit.log_likelihood[0] + 50
    assert np.sqrt(np.mean((model.predict(year) - y) ** 2)) < 0.6


@given(
    st.sampled_from(list(EXPERTS)),
    st.sampled_from(["softmax", "gaussian", "exponential"]),
    st.lists(st.tuples(st.floats(-8, 8), st.sampled_from([-1.0, 1.0]), st.floats(-1e3, 1e3)), min_size=2, max_size=2),
    st.floats(-12, 12),
)
@settings(max_examples=30, deadline=None)
def test_units_and_offsets_of_the_columns_change_no_fit(expert, gate, changes, unit_of_y):
    x, y = pieces(60)
    y = answers(expert, y)
    factors = np.array([sign * 10.0**power for power, sign, _ in changes])
    factors = np.abs(factors) if gate == "exponential" else factors  # its densities fall to one side
    changed = (x + [offset for _, _, offset in changes]) * factors
    other_y = y if y.dtype.kind in "bi" else y * 10.0**unit_of_y
    plain, other = MixtureOfExperts(3, expert, gate, seed=1), MixtureOfExperts(3, expert, gate, seed=1)
    before = plain.fit(x, y, iterations=6).log_likelihood
    after = other.fit(changed, other_y, iterations=6).log_likelihood
    volume = np.log(np.abs(factors)).sum() * (gate != "softmax")
    volume += 0 if y.dtype.kind in "bi" else unit_of_y * np.log(10)
    assert np.allclose(after + 60 * volume, before, rtol=1e-5, atol=1e-3)
    assert np.allclose(other.gate(changed), plain.gate(x), atol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e7])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_one_expert_is_the_librarys_own_fit_at_any_offset_and_unit(offset, unit):
    x, y = pieces()
    moved = (x + offset) * unit
    model = MixtureOfExperts(1)
    model.fit(moved, y, iterations=2)
    assert np.allclose(model.predict(moved), LinearRegression().fit(x, y).predict(x), atol=1e-7)
    noisy = np.digitize(y + np.random.default_rng(1).normal(size=len(y)), [-1, 1])
    for expert, labels in (("logistic", noisy > 0), ("multinomial", noisy)):
        model = MixtureOfExperts(1, expert)
        model.fit(moved, labels, iterations=30)
        peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(x, labels)
        assert np.allclose(model.predict_proba(moved), peer.predict_proba(x), atol=1e-5)


def test_an_exact_line_far_from_zero_is_found():
    x = np.linspace(0, 1, 50)[:, None] + 1e7
    y = 3 * (x[:, 0] - 1e7) + 1
    model = MixtureOfExperts(1)
    model.fit(x, y, iterations=2)
    assert np.abs(model.predict(x) - y).max() < 1e-7


def test_a_gaussian_gate_never_falls_beside_a_large_column():
    x, y = pieces()
    for column in (np.full(len(x), 1e6), 1e6 + x[:, 0] / 7 + np.random.default_rng(3).normal(size=len(x))):
        fit = MixtureOfExperts(3, gate="gaussian", seed=0).fit(np.column_stack([x, column]), y, iterations=40)
        never_falls(fit.log_likelihood)


@pytest.mark.parametrize("expert", ["constant_gaussian", "linear_gaussian", "laplace", "student_t"])
@pytest.mark.parametrize("unit", [1e-9, 1e-160, 1e160])
def test_the_unit_of_y_changes_no_fit(expert, unit):
    x, y = pieces()
    plain, other = MixtureOfExperts(3, expert, seed=1), MixtureOfExperts(3, expert, seed=1)
    expected = plain.fit(x, y, iterations=10).log_likelihood - len(y) * np.log(unit)
    assert np.allclose(other.fit(x, y * unit, iterations=10).log_likelihood, expected, rtol=1e-6)
    assert np.allclose(other.predict(x) / unit, plain.predict(x), atol=1e-6)


X = [[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 5.0]]
Y = [0.0, 1.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("expert", "x", "y", "says"),
    [
        ("logistic", X, ["a", "b", None, "a"], "None (y, row 2)"),
        ("logistic", X, ["a", "b", "a", float("nan")], "nan (y, row 3)"),
        ("logistic", X, ["a", 1, "a", 1], "number (row 1)"),
        ("logistic", X, np.array(["a", np.nan, "b", "a"], dtype=object), "nan (y, row 1)"),
        ("logistic", X, [0.0, 1.0, 0.0, np.nan], "y, row 3"),
        ("logistic", X, [0.0, 1.0, 0.0, np.inf], "y, row 3"),
        ("logistic", X, np.array(["a", "b", pd.NaT, "a"], dtype=object), "NaT (y, row 2)"),
        ("logistic", X, np.array(["a", "b", pd.NA, "a"], dtype=object), "<NA> (y, row 2)"),
        ("logistic", X, np.array(["a", 1, "a", 1], dtype=object), "number (row 1)"),
        ("linear_gaussian", X, np.array(["2026-01-01", "NaT", "2026-01-02", "2026-01-03"], dtype="M8[D]"), "y holds dates"),
        ("linear_gaussian", X, np.array(Y) + 1j, "y holds complex"),
        ("linear_gaussian", np.array(X) + 1j, Y, "x holds complex"),
        ("linear_gaussian", np.array([[1, "?"], [2, 3], [3, 4], [5, 6]], dtype=object), Y, "x, row 0, column 1 holds '?'"),
        ("linear_gaussian", [[0.0, 1.0], [1.0, np.inf], [2.0, 2.0], [3.0, 5.0]], Y, "x, row 1, column 1"),
        ("linear_gaussian", X, [0.0, 1.0, np.nan, 2.0], "y, row 2"),
        ("linear_gaussian", X, [3.0] * 4, "y is constant"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_row(expert, x, y, says):
    with pytest.raises(ValueError) as refusal:
        MixtureOfExperts(2, expert).fit(x, y)
    assert says in str(refusal.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_that_need_a_gradient_are_read_as_they_stand(dtype):
    x, y = torch.tensor(X, dtype=dtype, requires_grad=True), torch.tensor(Y, dtype=dtype, requires_grad=True)
    fit = MixtureOfExperts(1).fit(x, y, iterations=2)
    assert np.allclose(fit.log_likelihood, MixtureOfExperts(1).fit(X, Y, iterations=2).log_likelihood)

"""The mixtures keep scikit-learn's estimator protocol, and what it says of weights, columns' names and parameters is true of them."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from moe_viz.mixtures import EXPERTS, GATES, HierarchicalMixture, MixtureOfExperts
from tests.mixtures.test_mixtures import CLASSIFY, answers, two_regimes

DOES_NOT_APPLY = {
    "check_do_not_raise_errors_in_init_or_set_params": "a value outside its range is refused where it is written, not first where it is used",
}
"""Check of scikit-learn -> why it is not for us."""


def keeps_the_protocol(model):
    done = check_estimator(model, expected_failed_checks=DOES_NOT_APPLY, on_skip=None)
    failed = {each["check_name"] for each in done if each["status"] == "xfail"}
    assert failed == DOES_NOT_APPLY.keys(), "what passes is not to be excused"
    assert len(done) > 50


@pytest.mark.parametrize(
    "model", [MixtureOfExperts(2, iterations=5), MixtureOfExperts(2, "multinomial", ridge=1e-3, iterations=10)]
)
def test_the_estimator_protocol_is_kept(model):
    keeps_the_protocol(model)


@pytest.mark.nightly
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("expert", EXPERTS)
def test_the_estimator_protocol_is_kept_by_every_expert_and_gate(expert, gate):
    """A ridge where y may be separable: without one the likelihood has no highest point, and equal data in another order end elsewhere."""
    keeps_the_protocol(MixtureOfExperts(3, expert, gate, ridge=1e-3))


@pytest.mark.nightly
@pytest.mark.parametrize("expert", EXPERTS)
def test_the_estimator_protocol_is_kept_by_trees(expert):
    keeps_the_protocol(HierarchicalMixture((2, 2), expert, ridge=1e-3))


def test_fit_returns_the_model_and_its_log_likelihood_is_read_only():
    x, y = two_regimes(60)
    model = MixtureOfExperts(2)
    assert model.fit(x, y, iterations=4) is model
    assert model.log_likelihood_.shape == (5,) and model.n_iter_ == 4
    assert (model.log_likelihood == model.log_likelihood_).all()
    with pytest.raises(ValueError, match="read-only"):
        model.log_likelihood[0] = 0
    with pytest.raises(AttributeError):
        model.log_likelihood = np.zeros(3)
    with pytest.raises(NotFittedError, match="call fit first"):
        _ = MixtureOfExperts(2).log_likelihood


def test_what_fit_overrides_is_not_kept_as_a_parameter():
    x, y = two_regimes(60)
    model = MixtureOfExperts(2, iterations=3, ridge=0.5)
    assert model.fit(x, y).n_iter_ == 3
    assert model.fit(x, y, "gradient", 2, 0.0).n_iter_ == 2
    assert (model.method, model.iterations, model.ridge) == ("em", 3, 0.5)
    constructed = MixtureOfExperts(2, method="gradient", iterations=2).fit(x, y)
    assert (model.log_likelihood_ == constructed.log_likelihood_).all()


def test_gate_is_a_parameter_and_a_method():
    x, y = two_regimes(60)
    model = MixtureOfExperts(2, gate="gaussian", iterations=3)
    assert model.gate_name == "gaussian" and model.get_params()["gate"] == "gaussian"
    model.set_params(gate="softmax")
    for each in (model, clone(model), pickle.loads(pickle.dumps(model))):
        assert each.gate_name == each.get_params()["gate"] == "softmax"
        assert each.fit(x, y).gate(x).shape == (60, 2)
    assert "gate='gaussian'" in repr(clone(model).set_params(gate="gaussian"))
    with pytest.raises(ValueError, match="gate = 'top'"):
        model.set_params(gate="top").fit(x, y)
    assert "gate" not in HierarchicalMixture().get_params()


def test_a_pipeline_and_a_grid_search_take_a_mixture():
    x, y = two_regimes(120)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MixtureOfExperts(iterations=15)),
        {"mixtureofexperts__n_experts": [1, 2], "mixtureofexperts__gate": list(GATES)},
        error_score="raise",
    ).fit(x, y)
    assert search.best_params_ == {"mixtureofexperts__n_experts": 2, "mixtureofexperts__gate": "softmax"}
    lone = [
        score
        for score, params in zip(search.cv_results_["mean_test_score"], search.cv_results_["params"])
        if params["mixtureofexperts__n_experts"] == 1
    ]
    assert search.best_score_ > max(lone) + 0.1
    named = np.where(y > 0, "up", "down")
    labels = GridSearchCV(MixtureOfExperts(2, "logistic"), {"ridge": [0.1, 1.0]}, scoring="roc_auc").fit(x, named)
    assert labels.best_score_ > 0.9


def test_score_is_accuracy_for_classes_and_r2_otherwise():
    x, y = two_regimes(80)
    weight = np.random.default_rng(0).integers(0, 4, 80)
    model = MixtureOfExperts(2, iterations=5).fit(x, y)
    assert is_regressor(model) and not hasattr(model, "predict_proba") and not hasattr(model, "classes_")
    assert model.score(x, y) == r2_score(y, model.predict(x))
    assert model.score(x, y, weight) == pytest.approx(model.score(x.repeat(weight, 0), y.repeat(weight)))
    labels = np.digitize(y, [-1, 1])
    model = MixtureOfExperts(2, "multinomial", iterations=5).fit(x, labels)
    assert is_classifier(model) and hasattr(model, "predict_proba") and (model.classes_ == [0, 1, 2]).all()
    assert model.score(x, labels) == accuracy_score(labels, model.predict(x))
    assert model.score(x, labels, weight) == pytest.approx(model.score(x.repeat(weight, 0), labels.repeat(weight)))


@pytest.mark.parametrize("method", ["em", "hard_em", "gradient"])
@pytest.mark.parametrize("expert, gate", [*((expert, "softmax") for expert in EXPERTS), *(("linear_gaussian", gate) for gate in GATES)])  # fmt: skip
def test_whole_weights_are_repeated_rows(expert, gate, method):
    x, y = two_regimes(70, noise=1.0)
    y, weight = answers(expert, y), np.random.default_rng(2).integers(0, 4, 70)
    many = np.random.default_rng(3).permutation(np.repeat(np.arange(70), weight))
    make = lambda: MixtureOfExperts(3, expert, gate, seed=1, method=method, iterations=6, ridge=0.1)  # noqa: E731
    repeated, weighted = make().fit(x[many], y[many]), make().fit(x, y, sample_weight=weight)
    assert np.allclose(weighted.log_likelihood_, repeated.log_likelihood_, rtol=1e-6)
    assert np.allclose(weighted.objective_, repeated.objective_, rtol=1e-6)
    assert np.allclose(weighted.gate(x), repeated.gate(x), atol=1e-5)
    unweighted = make().fit(x, y)
    assert not np.allclose(unweighted.gate(x), weighted.gate(x), atol=1e-3), "weights count"


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        ([1.0, 1.0], "sample_weight has shape (2,)"),
        ([1.0, -1.0, 1.0, 1.0], "negative (sample_weight, row 1)"),
        ([1.0, np.nan, 1.0, 1.0], "sample_weight, row 1"),
        ([0.0] * 4, "zero for every row"),
        ([0.0, 0.0, 2.0, 0.0], "1 sample with a weight above zero, of 4"),
    ],
)
def test_what_is_no_weight_is_refused(weight, says):
    with pytest.raises(ValueError) as refusal:
        MixtureOfExperts(2).fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 3.0, 2.0], sample_weight=weight)
    assert says in str(refusal.value)


def test_columns_of_a_table_go_by_name():
    x, y = two_regimes(60)
    table = pd.DataFrame(x, columns=["income", "age"])
    model = MixtureOfExperts(2, iterations=3).fit(table, pd.Series(y, name="food"))
    assert model.n_features_in_ == 2 and list(model.feature_names_in_) == ["income", "age"]
    assert np.allclose(model.predict(table), MixtureOfExperts(2, iterations=3).fit(x, y).predict(x))
    for ask in (model.predict, model.gate, lambda other: model.responsibilities(other, y)):
        with pytest.raises(ValueError, match="same order as they were in fit"):
            ask(table[["age", "income"]])
    table.loc[7, "age"] = np.nan
    with pytest.raises(ValueError, match=r"x, row 7, column 1 \('age'\)"):
        MixtureOfExperts(2).fit(table, y)


@pytest.mark.parametrize("expert", ["linear_gaussian", "multinomial"])
def test_a_fit_shown_while_it_runs_is_the_fit(expert):
    x, y = two_regimes(60)
    y = answers(expert, y)
    model = MixtureOfExperts(2, expert)
    fitting = model.begin(x, y)
    assert model.n_iter_ == 0 and model.log_likelihood_.shape == (1,)
    shown = []
    for _ in range(4):
        fitting.step()
        shown.append(model.gate(x))
    whole = MixtureOfExperts(2, expert, iterations=4).fit(x, y)
    assert (model.log_likelihood_ == whole.log_likelihood_).all() and model.n_iter_ == 4
    assert (shown[-1] == whole.gate(x)).all() and not np.allclose(shown[0], shown[1])


def test_a_parameter_changed_to_what_cannot_be_is_refused_at_the_fit():
    x, y = two_regimes(20)
    for name, value in (("n_experts", 0), ("expert", ["svm"]), ("method", "newton"), ("ridge", -1.0), ("unit", 0), ("rate", np.nan)):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} = "):
            MixtureOfExperts(2).set_params(**{name: value}).fit(x, y)


def test_a_measurement_is_no_class_and_a_sparse_table_no_array():
    x, y = two_regimes(20)
    for expert in CLASSIFY:
        with pytest.raises(ValueError, match=r"y is continuous \(y, row 0 holds"):
            MixtureOfExperts(2, expert).fit(x, y)
    with pytest.raises(ValueError, match="x is sparse"):
        MixtureOfExperts(2).fit(csr_array(x), y)

"""The mixtures as scikit-learn's estimators: one tree of gates with experts at its leaves; a flat mixture is a tree of one level.

All in float64; arrays, tensors and tables in, numpy arrays out. Everything is fitted in standardised columns (`scales`) and answered in the units given,
so that no unit or offset changes a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.validation import column_or_1d, validate_data
from torch import Tensor

from moe_viz.mixtures import checks
from moe_viz.mixtures.experts import EXPERTS, TWO_CLASSES
from moe_viz.mixtures.fitting import Fitting
from moe_viz.mixtures.methods import Points, make_method
from moe_viz.mixtures.newton import by_columns
from moe_viz.mixtures.scales import Scale, first_guess
from moe_viz.mixtures.tree import Tree


class NamedAsItsParameter:
    """A method that shares its name with a constructor parameter: to read the attribute is to get the method, to set it sets the parameter.

    `gate="softmax"` and `gate(x)` are both promised, and scikit-learn sets parameters as attributes (`set_params`, `clone`): without this the first call
    of it would hide the method. The parameter is stored under its own name in the model's `__dict__`, where `get_params` reads it.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        return self if model is None else MethodType(self._method, model)

    def __set__(self, model: Any, value: Any) -> None:
        vars(model)[self._name] = value


class DoesNotClassify(AttributeError, ValueError):
    """A regression was asked for classes. An AttributeError, too, so that `hasattr` tells what a model can do, as scikit-learn asks."""


class IfItClassifies:
    """A method that only a model with classifying experts has."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        if model is None:
            return self._method
        if not model.classifies:
            raise DoesNotClassify(f"expert = {model.expert!r} does not classify: use predict")
        return MethodType(self._method, model)


class Mixture(BaseEstimator):
    """What the flat and the hierarchical mixture share; make one of those.

    Attributes once fitted: `log_likelihood_` and `objective_`, totals over the data in the units given, one per iteration, the start included: the
    likelihood of y given x for the softmax gate, of x and y together for gates that model x (that is what they climb), and what `method` climbs: less
    the ridge; hard EM's likelihood of each point's own expert; minus another `error`. `n_iter_`; `n_features_in_`; `feature_names_in_` where x is a
    table whose columns have names; `classes_` where the experts classify; `tree_`, gates and experts in standardised columns.
    """

    expert: Any  # a str, as `set_params` may not know
    seed: int
    nu: float
    method: str
    iterations: int
    ridge: float
    error: str
    unit: float
    rate: float
    tree_: Tree
    log_likelihood_: np.ndarray
    objective_: np.ndarray
    n_iter_: int
    n_features_in_: int
    classes_: np.ndarray

    def begin(
        self,
        x: Any,
        y: Any,
        method: str | None = None,
        ridge: float | None = None,
        *,
        sample_weight: Any = None,
    ) -> Fitting:
        """`fit` for whoever shows it while it runs: the start, with a `step()` for each iteration; the model answers at any time as it stands."""
        method, ridge = self.method if method is None else method, self.ridge if ridge is None else ridge
        self._check()
        checks.way_to_fit(method, ridge, self.error, self.expert)
        inputs = checks.matrix(x, "x")
        validate_data(self, checks.with_columns(x, "x"), y, reset=True, skip_check_array=True)
        weight = checks.weights(sample_weight, len(inputs))
        values, self._flat = self._answers(y, len(inputs))
        counted = (weight > 0).numpy()
        checks.enough_rows(counted, len(counted))
        inputs, weight = inputs[counted], weight[counted]
        targets = self._fit_coding(values, counted)
        average = float(weight.mean())
        self._x_scale = Scale.of_inputs(inputs, weight)
        self._y_scale = None if self.classifies else Scale.of_answers(targets, weight, self._unit_of_y)
        targets = targets if self._y_scale is None else self._y_scale.into(targets)
        points = Points(
            by_columns(self._x_scale.into(inputs)),
            by_columns(targets),
            None if sample_weight is None else weight / average,
        )
        self.tree_ = Tree(self._branching, self.expert, self._gate_name, float(self.nu), float(ridge) / average)
        h = first_guess(points.x, points.y, self.tree_.n_experts, np.random.default_rng(self.seed))
        self.tree_.start(points.x, points.y, points.weighted(h))
        if self.error != "likelihood" and self._y_scale is not None:
            self.tree_.experts.free["log_scale"] = torch.zeros(self.tree_.n_experts, dtype=torch.float64)  # of one unit
        way = make_method(method, self.tree_, points, self.error, 1.0 if self._y_scale else self.unit, self.rate)
        volume = len(inputs) * self._log_volume()
        return Fitting(self, way, average, volume, volume if self.error == "likelihood" else 0.0)

    def fit(
        self,
        x: Any,
        y: Any,
        method: str | None = None,
        iterations: int | None = None,
        ridge: float | None = None,
        *,
        sample_weight: Any = None,
    ) -> Self:
        """Fit to `x` [N, D] and `y` [N] or [N, O] (classes: [N] labels or [N, C] one-hot) from a seeded start; returns the model itself.

        `method`, `iterations`, `ridge`: for this fit, in place of the constructor's. `sample_weight` [N] >= 0: a whole number counts as that many equal
        rows. A column of `x` that is constant or a linear function of those before it tells nothing more and is not read. Raises ValueError on what it
        cannot fit.
        """
        iterations = self.iterations if iterations is None else iterations
        checks.whole("iterations", iterations, 0)
        fitting = self.begin(x, y, method, ridge, sample_weight=sample_weight)
        for _ in range(iterations):
            fitting.step()
        return self

    @property
    def log_likelihood(self) -> np.ndarray:
        """`log_likelihood_`, read-only."""
        self._fitted()
        view = self.log_likelihood_.view()
        view.flags.writeable = False
        return view

    def predict(self, x: Any) -> np.ndarray:
        """The mixture's mean, shaped like `y` in `fit`: [N] or [N, O]; for classes the most probable one, in the labels (or one-hot rows) given."""
        mean = self._blend(x)
        if self._y_scale is not None:
            return mean[:, 0] if self._flat else mean
        best = mean.argmax(1)
        return self.classes_[best] if self._flat else np.eye(mean.shape[1])[best]

    @IfItClassifies
    def predict_proba(self, x: Any) -> np.ndarray:
        """Class probabilities [N, C] of `x` [N, D], in the order of `classes_`. Raises DoesNotClassify for regression."""
        return self._blend(x)

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy where the experts classify, else R^2 of the mixture's mean; each row counts `sample_weight` times."""
        guess = self.predict(x)
        truth = self._answers(y, len(guess), again=True)[0]
        weight = None if sample_weight is None else checks.weights(sample_weight, len(guess)).numpy()
        measure = accuracy_score if self.classifies else r2_score
        return float(measure(truth, guess, sample_weight=weight))

    def gate(self, x: Any) -> np.ndarray:
        """Each expert's probability before y is seen [N, E]; in a tree the product along its path."""
        return self._fitted().log_gate(self._known(x)).log_softmax(1).exp().numpy()

    def responsibilities(self, x: Any, y: Any) -> np.ndarray:
        """Each expert's probability after y is seen [N, E]: h_e = g_e p_e(y | x) / sum."""
        inputs = self._known(x)
        return self._fitted().log_joint(inputs, self._coded(y, len(inputs))).softmax(1).numpy()

    # -- how it works ---------------------------------------------------------------------------------------------------------------

    @property
    def _branching(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def _gate_name(self) -> str:
        return "softmax"

    def _check(self) -> None:
        """Raises ValueError on a parameter outside its range: at once where it is written, and again at a fit, as `set_params` may have changed it."""
        checks.options(self._branching, self.expert, self._gate_name, self.seed, self.nu)
        checks.whole("iterations", self.iterations, 0)
        checks.above_zero("unit", self.unit)
        checks.above_zero("rate", self.rate)
        checks.way_to_fit(self.method, self.ridge, self.error, self.expert)

    @property
    def classifies(self) -> bool:
        """Whether the experts give probabilities of classes."""
        return isinstance(self.expert, str) and self.expert in EXPERTS and EXPERTS[self.expert].classifies

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.classifies:
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags(multi_class=self.expert not in TWO_CLASSES)
        else:
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
            tags.target_tags.multi_output = True
        return tags

    @property
    def _unit_of_y(self) -> float:
        """The errors of squared distances have no scale of their own: y is measured in `unit`, which is theirs."""
        return 1.0 if self.error == "likelihood" else self.unit

    def _fitted(self) -> Tree:
        if "tree_" not in vars(self):
            raise NotFittedError("this mixture has not been fitted yet: call fit first")
        return self.tree_

    def _blend(self, x: Any) -> np.ndarray:
        inputs = self._known(x)
        mean = self._fitted().mean(inputs)
        return (mean if self._y_scale is None else self._y_scale.back(mean)).numpy()

    def _log_volume(self) -> float:
        """What one point's log density gains when its columns are standardised: of y, and of x where the gate models x."""
        of_x = self._x_scale.log_volume if self.tree_.joint else 0.0
        return of_x + (0.0 if self._y_scale is None else self._y_scale.log_volume)

    def _known(self, x: Any) -> Tensor:
        """New points in the scale of the fit. Raises ValueError where their columns are not those fitted."""
        self._fitted()
        inputs = checks.matrix(x, "x")
        try:
            validate_data(self, checks.with_columns(x, "x"), reset=False, skip_check_array=True)
        except ValueError as error:
            if inputs.shape[1] == self.n_features_in_:
                raise
            raise ValueError(f"{error} (x has {inputs.shape[1]} columns, fitted with {self.n_features_in_})") from None
        return self._x_scale.into(inputs)

    def _answers(self, y: Any, n_points: int, again: bool = False) -> tuple[np.ndarray, bool]:
        """`y` as an array, and whether it is [N]. `again`: it must be shaped as in `fit`."""
        values = checks.plain(y, "y")
        if values.ndim not in (1, 2) or len(values) != n_points:
            raise ValueError(f"y has shape {values.shape}: [N] or [N, O] with N = {n_points} is needed, as x has")
        if self.classifies and values.ndim == 2 and values.shape[1] == 1:
            values = column_or_1d(values, warn=True)
        flat = values.ndim == 1
        if again and flat != self._flat:
            raise ValueError(f"y has shape {values.shape}: fitted with {'[N]' if self._flat else '[N, O]'}")
        return values, flat

    def _fit_coding(self, values: np.ndarray, counted: np.ndarray) -> Tensor:
        """The answers of the rows that count, as numbers [N, O]; classes one-hot in the order of `classes_`, which this sets."""
        if not self.classifies:
            return checks.matrix(values[:, None] if self._flat else values, "y")[counted]
        self.classes_, coded = checks.classes(values, self.expert, counted)
        return coded

    def _coded(self, y: Any, n_points: int) -> Tensor:
        """`y` as in the fit, standardised or one-hot."""
        values, flat = self._answers(y, n_points, again=True)
        if self._y_scale is None:
            return checks.one_hot(values, self.classes_)
        return self._y_scale.into(checks.matrix(values[:, None] if flat else values, "y"))


class HierarchicalMixture(Mixture):
    """Experts at the leaves of a tree of softmax gates (Jordan & Jacobs 1994).

    Parameters: `branching`: children per node, level by level, (2, 2) = 4 experts; `expert`: one of EXPERTS; `seed`: of the first guess of who is
    responsible for which point; `nu`: degrees of freedom of `student_t`; `method`: em, hard_em (each point wholly its best expert's), gradient (L-BFGS),
    adam or ascent (plain, of `rate`); `iterations`; `ridge`: half of it times the squared slopes of gates and classifying experts, in standardised
    columns, is taken from the log-likelihood; `error`: likelihood, or for the gradient methods competitive, localised or cooperative (Jacobs et al.
    1991), of squared distances in parts `unit` of y's standard deviation, of classes' probabilities as they are. `fit` may override `method`,
    `iterations` and `ridge`. Raises ValueError on any other value.
    """

    def __init__(
        self,
        branching: tuple[int, ...] = (2, 2),
        expert: str = "linear_gaussian",
        seed: int = 0,
        *,
        nu: float = 4.0,
        method: str = "em",
        iterations: int = 50,
        ridge: float = 0.0,
        error: str = "likelihood",
        unit: float = 1.0,
        rate: float = 0.05,
    ) -> None:
        self.branching, self.expert, self.seed, self.nu = branching, expert, seed, nu
        self.method, self.iterations, self.ridge = method, iterations, ridge
        self.error, self.unit, self.rate = error, unit, rate
        self._check()

    @property
    def _branching(self) -> tuple[int, ...]:
        return checks.levels(self.branching)


class MixtureOfExperts(Mixture):
    """A flat mixture (Jacobs, Jordan, Nowlan & Hinton 1991): `n_experts` experts of one kind under one gate of GATES.

    The other parameters are HierarchicalMixture's. `gate` is a parameter and a method: `gate="softmax"` in the constructor, `set_params` and
    `get_params`; `model.gate(x)` gives each expert's probability. `model.gate_name` reads the parameter.
    """

    def __init__(
        self,
        n_experts: int = 4,
        expert: str = "linear_gaussian",
        gate: str = "softmax",
        seed: int = 0,
        *,
        nu: float = 4.0,
        method: str = "em",
        iterations: int = 50,
        ridge: float = 0.0,
        error: str = "likelihood",
        unit: float = 1.0,
        rate: float = 0.05,
    ) -> None:
        self.n_experts, self.expert, self.gate, self.seed, self.nu = n_experts, expert, gate, seed, nu
        self.method, self.iterations, self.ridge = method, iterations, ridge
        self.error, self.unit, self.rate = error, unit, rate
        self._check()

    gate: Any = NamedAsItsParameter(Mixture.gate)

    @property
    def gate_name(self) -> str:
        """The parameter `gate`."""
        return vars(self)["gate"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters, as scikit-learn has it."""
        return super().get_params(deep) | {"gate": self.gate_name}

    @property
    def _branching(self) -> tuple[int, ...]:
        return (self.n_experts,)

    @property
    def _gate_name(self) -> str:
        return self.gate_name

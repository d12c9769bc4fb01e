"""Experts of the classical mixtures: each is a density of y given x, with its own way to be refitted to the points it is responsible for.

`log_prob` [N, E], `mean` [N, E, O] and `maximise(x, y, h)`: the M-step of all experts with responsibilities `h` [N, E]. `free` holds the parameters,
stacked over experts, free of constraints (scales as logarithms), so that a gradient can climb them too. Sources: Jacobs et al. 1991, Jordan & Jacobs
1994 (Gaussian, logistic, multinomial), Chamroukhi 2016-17 (Laplace, t), Collobert, Bengio & Bengio 2002 and Sollich 2002 (margin).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from moe_viz.mixtures.least_absolute import least_absolute
from moe_viz.mixtures.newton import (
    climb,
    ridge_penalty,
    softmax_newton,
    weighted_least_squares,
    with_ones,
)

ALIVE = 1e-8
"""An expert responsible for less than this many points keeps its parameters: there is nothing to fit it to."""
FLOOR = 1e-6
"""Smallest squared scale, in parts of the variance of y: without it the likelihood of a single point grows without bound."""


class Expert(ABC):
    """What all kinds share. `classes` is None for regression, else how many classes y has."""

    classifies: ClassVar[bool]

    def __init__(self, n_experts: int, nu: float) -> None:
        self.n_experts, self.nu = n_experts, nu
        self.ridge = 0.0
        self.free: dict[str, Tensor] = {}

    def start(self, x: Tensor, y: Tensor, h: Tensor) -> None:
        """Begin, fitted to a first guess `h` [N, E] of who is responsible; its rows sum to the points' weights. `x` [N, D], `y` [N, O]."""
        self.free = self._blank(x, y, h.sum(1))
        self.maximise(x, y, h)

    def maximise(self, x: Tensor, y: Tensor, h: Tensor) -> None:
        """Raise sum_n h_ne log p_e(y_n | x_n) for each expert e that is responsible for anything."""
        inputs = self._inputs(x)
        own = [{name: value[e] for name, value in self.free.items()} for e in range(self.n_experts)]
        fitted = [self._refit(inputs, y, h[:, e], one) if h[:, e].sum() > ALIVE else one for e, one in enumerate(own)]
        self.free = {name: torch.stack([one[name] for one in fitted]) for name in self.free}

    def _inputs(self, x: Tensor) -> Tensor:
        return with_ones(x)

    def penalty(self) -> Tensor:
        """What `ridge` takes from the log-likelihood: nothing but from those that classify."""
        return torch.zeros((), dtype=torch.float64)

    @abstractmethod
    def mean(self, x: Tensor) -> Tensor:
        """[N, E, O]."""

    @abstractmethod
    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """[N, E]."""

    @abstractmethod
    def _blank(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Parameters of all experts before they have seen a point. `weight` [N]: how much each point counts."""

    @abstractmethod
    def _refit(self, inputs: Tensor, y: Tensor, h: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
        """One expert's parameters, fitted to the points weighted by `h` [N]; `own`: those it has."""


class Regression(Expert):
    """y = x B + b + noise of one scale per expert, alike in all outputs."""

    classifies = False

    def _blank(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        share = weight / weight.sum()
        centre = share @ y
        variance = (share @ (y - centre).square()).mean().clamp_min(1e-12)
        self.floor = math.log(FLOOR * float(variance))
        lines = y.new_zeros(self.n_experts, self._inputs(x[:1]).shape[1], y.shape[1])
        lines[:, -1] = centre
        return {"weight": lines, "log_scale": variance.log().expand(self.n_experts)}

    def mean(self, x: Tensor) -> Tensor:
        """[N, E, O]."""
        return torch.einsum("np,epo->neo", self._inputs(x), self.free["weight"])

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """[N, E]; `log_scale` is the logarithm of the squared scale."""
        return self._log_density(y.unsqueeze(1) - self.mean(x), self.free["log_scale"].clamp_min(self.floor))

    @abstractmethod
    def _log_density(self, residual: Tensor, log_scale: Tensor) -> Tensor:
        """[N, E] of residuals [N, E, O] and squared scales [E], as logarithms."""

    def _scale(self, squared: Tensor) -> Tensor:
        return squared.clamp_min(math.exp(self.floor)).log()


class LinearGaussian(Regression):
    """log N(y; x B + b, s^2 I): weighted least squares."""

    def _log_density(self, residual: Tensor, log_scale: Tensor) -> Tensor:
        outputs = residual.shape[-1]
        return -0.5 * (residual.square().sum(-1) / log_scale.exp() + outputs * (log_scale + math.log(2 * math.pi)))

    def _refit(self, inputs: Tensor, y: Tensor, h: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
        weight = weighted_least_squares(inputs, y, h)
        squared = (h.unsqueeze(1) * (y - inputs @ weight).square()).sum() / (h.sum() * y.shape[1])
        return {"weight": weight, "log_scale": self._scale(squared)}


class ConstantGaussian(LinearGaussian):
    """log N(y; c, s^2 I): every expert is one point, as a component of a Gaussian mixture, but gated by x."""

    def _inputs(self, x: Tensor) -> Tensor:
        return x.new_ones(len(x), 1)


class StudentT(Regression):
    """Student's t with `nu` degrees of freedom: far points count less, u = (nu + O) / (nu + r^2 / s^2). nu -> infinity is the Gaussian."""

    def _log_density(self, residual: Tensor, log_scale: Tensor) -> Tensor:
        nu, outputs = self.nu, residual.shape[-1]
        constant = math.lgamma((nu + outputs) / 2) - math.lgamma(nu / 2) - outputs / 2 * math.log(nu * math.pi)
        ratio = residual.square().sum(-1) / (nu * log_scale.exp())
        return constant - outputs / 2 * log_scale - (nu + outputs) / 2 * ratio.log1p()

    def _refit(self, inputs: Tensor, y: Tensor, h: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = y.shape[1]
        squared = (y - inputs @ own["weight"]).square().sum(1)
        u = (self.nu + outputs) / (self.nu + squared / own["log_scale"].clamp_min(self.floor).exp())
        weight = weighted_least_squares(inputs, y, h * u)
        left = (y - inputs @ weight).square().sum(1)
        return {"weight": weight, "log_scale": self._scale((h * u * left).sum() / (h.sum() * outputs))}


class Laplace(Regression):
    """log density -|r|/b - log 2b: the weighted median's kin, fitted by least absolute deviations."""

    ON_THE_LINE = 1e-10
    """A best line goes through rows: nearer than this they pull to neither side, not to the one that rounding leaves them on."""

    def _log_density(self, residual: Tensor, log_scale: Tensor) -> Tensor:
        b = (log_scale / 2).exp()
        residual = residual.where(residual.abs() > self.ON_THE_LINE, 0.0)
        return -residual.abs().sum(-1) / b - residual.shape[-1] * (math.log(2) + log_scale / 2)

    def _refit(self, inputs: Tensor, y: Tensor, h: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
        columns = [least_absolute(inputs, y[:, o], h, own["weight"][:, o]) for o in range(y.shape[1])]
        weight = torch.stack(columns, 1)
        b = (h.unsqueeze(1) * (y - inputs @ weight).abs()).sum() / (h.sum() * y.shape[1])
        return {"weight": weight, "log_scale": self._scale(b.square())}


class Multinomial(Expert):
    """softmax(x B + b) over the classes of y, the last one's logit pinned to 0. `y` [N, C], one-hot."""

    classifies = True
    STEPS = 1
    """Newton steps per M-step: one already makes it a generalised EM."""

    def _blank(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        return {"weight": y.new_zeros(self.n_experts, x.shape[1] + 1, y.shape[1] - 1)}

    def penalty(self) -> Tensor:
        """ridge / 2 times the squared slopes of all experts."""
        return ridge_penalty(self.free["weight"], self.ridge)

    def _log_classes(self, x: Tensor) -> Tensor:
        """[N, E, C]."""
        logits = self.free["weight"].transpose(1, 2) @ with_ones(x).T
        pinned = torch.cat([logits, logits.new_zeros(self.n_experts, 1, len(x))], 1)
        return pinned.log_softmax(1).permute(2, 0, 1)

    def mean(self, x: Tensor) -> Tensor:
        """Class probabilities [N, E, C]."""
        return self._log_classes(x).exp()

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """[N, E]."""
        return (self._log_classes(x).permute(1, 2, 0) * y.T).sum(1).T

    def _refit(self, inputs: Tensor, y: Tensor, h: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"weight": softmax_newton(inputs, h.unsqueeze(1) * y, own["weight"], self.STEPS, self.ridge)}


class Logistic(Multinomial):
    """sigmoid(x B + b): two classes."""


class Margin(Multinomial):
    """A linear support vector machine as an expert: class scores are hinge losses, p(y | x) = e^-l(yf) / (e^-l(f) + e^-l(-f)), f = x B + b, y = ±1.

    The M-step aims at the machine of largest margin (squared hinge, weighted by h, by Newton on its support vectors) and goes as far towards it as the
    likelihood allows. Sollich 2002 gives the probability, Chapelle 2007 the Newton step.
    """

    STEPS = 3
    PENALTY = 1e-2
    """Weight of ||B||^2 / 2 beside the mean of the squared hinge losses; the bias is free."""

    def penalty(self) -> Tensor:
        """None beside its own, which is part of its aim and not of the likelihood."""
        return torch.zeros((), dtype=torch.float64)

    def _log_classes(self, x: Tensor) -> Tensor:
        f = torch.einsum("np,epo->neo", with_ones(x), self.free["weight"])
        return self._of(f)

    @staticmethod
    def _of(f: Tensor) -> Tensor:
        ahead = (1 + f).clamp_min(0) - (1 - f).clamp_min(0)
        return torch.cat([logsigmoid(ahead), logsigmoid(-ahead)], -1)

    def _refit(self, inputs: Tensor, y: Tensor, h: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
        old, signs, share = own["weight"], y[:, :1] - y[:, 1:], h / h.sum()
        ridge = torch.diag(
            torch.cat([inputs.new_full((inputs.shape[1] - 1,), self.PENALTY), inputs.new_full((1,), 1e-9)])
        )

        def badness(weight: Tensor) -> Tensor:
            short = (1 - signs * (inputs @ weight)).clamp_min(0).squeeze(1)
            return 0.5 * (share * short.square()).sum() + 0.5 * (weight * (ridge @ weight)).sum()

        aim = old
        for _ in range(self.STEPS):
            inside = share * ((signs * (inputs @ aim)).squeeze(1) < 1)
            hessian = inputs.T @ (inside.unsqueeze(1) * inputs) + ridge
            best = torch.linalg.solve(hessian, inputs.T @ (inside.unsqueeze(1) * signs))
            aim = climb(aim, best - aim, lambda weight: -badness(weight))
        likelihood = lambda weight: (h.unsqueeze(1) * y * self._of(inputs @ weight)).sum()  # noqa: E731
        return {"weight": climb(old, aim - old, likelihood)}


EXPERTS = {
    "constant_gaussian": ConstantGaussian,
    "linear_gaussian": LinearGaussian,
    "laplace": Laplace,
    "student_t": StudentT,
    "logistic": Logistic,
    "multinomial": Multinomial,
    "svm": Margin,
}
TWO_CLASSES = ("logistic", "svm")
OF_DISTANCES = ("constant_gaussian", "linear_gaussian", "logistic", "multinomial")
"""Experts whose output may be compared with y by its squared distance: the errors of Jacobs et al. 1991."""

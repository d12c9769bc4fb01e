"""Gates of the classical mixtures: how likely each expert is before the answer is seen.

A gate holds `free`, its parameters as tensors that a gradient can climb, and knows how EM sets them. `softmax` says only how experts depend on x; the
other two model x itself, p(x, e) = a_e p(x | e), and are fitted by the joint likelihood of x and y, which has a closed form (Xu, Jordan & Hinton 1995).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from moe_viz.mixtures.newton import log_softmax_pinned, ridge_penalty, softmax_newton, with_ones

NEWTON_STEPS = 1
"""Per EM iteration; one already makes it a generalised EM, and more gain nothing while the experts still move."""


class SoftmaxGate:
    """g = softmax(x V + b), the last expert's logit pinned to 0 (Jordan & Jacobs 1994)."""

    joint = False

    def __init__(self, n_experts: int) -> None:
        self.n_experts = n_experts
        self.ridge = 0.0
        self.free: dict[str, Tensor] = {}

    def start(self, x: Tensor, weight: Tensor) -> None:
        """All experts equally likely. `x` [N, D], `weight` [N]: how much each point counts."""
        self.free = {"weight": x.new_zeros(x.shape[1] + 1, self.n_experts - 1)}

    def log_score(self, x: Tensor) -> Tensor:
        """log g [N, E]."""
        return log_softmax_pinned(with_ones(x), self.free["weight"])

    def maximise(self, x: Tensor, h: Tensor, steps: int = NEWTON_STEPS) -> None:
        """Climb sum(h log g). `h` [N, E]: responsibilities; rows below a node of a tree sum to that node's share."""
        self.free = {"weight": softmax_newton(with_ones(x), h, self.free["weight"], steps, self.ridge)}

    def penalty(self) -> Tensor:
        """ridge / 2 times the squared slopes."""
        return ridge_penalty(self.free["weight"], self.ridge)


class DensityGate(ABC):
    """g_e = a_e p(x | e) / sum over experts; a is the experts' prior share."""

    joint = True

    def __init__(self, n_experts: int) -> None:
        self.n_experts = n_experts
        self.ridge = 0.0
        self.free: dict[str, Tensor] = {}

    def start(self, x: Tensor, weight: Tensor) -> None:
        """Every expert's density is that of all the data. `x` [N, D], `weight` [N]: how much each point counts."""
        self._measure(x, weight)
        self.maximise(x, (weight / self.n_experts).unsqueeze(1).expand(-1, self.n_experts))

    def penalty(self) -> Tensor:
        """A ridge takes nothing from a density."""
        return torch.zeros((), dtype=torch.float64)

    def log_score(self, x: Tensor) -> Tensor:
        """log a_e p(x | e) [N, E], not normalised over experts."""
        return self.free["log_prior"].log_softmax(0) + self._log_density(x)

    def maximise(self, x: Tensor, h: Tensor) -> None:
        """Set the densities to those of the points weighted by `h` [N, E]; an expert that owns nothing keeps its own."""
        share = h.sum(0)
        alive = share > 1e-8
        new = self._fitted(x, h / share.clamp_min(1e-300)) | {"log_prior": share.clamp_min(1e-300).log()}
        self.free = {
            name: torch.where(alive.reshape(-1, *[1] * (value.dim() - 1)), value, self.free.get(name, value))
            for name, value in new.items()
        }

    @abstractmethod
    def _measure(self, x: Tensor, weight: Tensor) -> None:
        """What of all the data [N, D] the densities need to know."""

    @abstractmethod
    def _fitted(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        """The densities' parameters, each expert's fitted to the points weighted by its column of `h` [N, E]."""

    @abstractmethod
    def _log_density(self, x: Tensor) -> Tensor:
        """log p(x | e) [N, E]."""


class GaussianGate(DensityGate):
    """p(x | e) = N(x; m_e, S_e) with a full covariance (Xu, Jordan & Hinton 1995). `root` is S_e's Cholesky factor, its diagonal as logarithm."""

    def _measure(self, x: Tensor, weight: Tensor) -> None:
        self.floor = x.new_full((x.shape[1],), 1e-6)  # of the variance: columns are standardised

    def _fitted(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        mean = h.T @ x
        away = x.unsqueeze(1) - mean
        cov = torch.einsum("ne,nea,neb->eab", h, away, away) + torch.diag(self.floor)
        factor = torch.linalg.cholesky(cov)
        return {"mean": mean, "root": factor.tril(-1) + torch.diag_embed(factor.diagonal(dim1=1, dim2=2).log())}

    def _log_density(self, x: Tensor) -> Tensor:
        root = self.free["root"]
        log_diagonal = root.diagonal(dim1=1, dim2=2)
        factor = root.tril(-1) + torch.diag_embed(log_diagonal.exp())
        away = (x.unsqueeze(1) - self.free["mean"]).permute(1, 2, 0)
        white = torch.linalg.solve_triangular(factor, away, upper=False)
        return (-0.5 * white.square().sum(1) - log_diagonal.sum(1, keepdim=True)).T - x.shape[1] / 2 * math.log(
            2 * math.pi
        )


class ExponentialGate(DensityGate):
    """p(x | e) = prod_d r_ed exp(-r_ed (x_d - origin_d)): a member of the exponential family whose log is linear in x.

    The gate is then a softmax of a linear function, but fitted in closed form. Defined for x >= origin, the smallest value of the data in that
    dimension; later points below it count as lying on it.
    """

    def _measure(self, x: Tensor, weight: Tensor) -> None:
        self.origin = x.amin(0)
        self.floor = 1e-6 * (weight / weight.sum() @ (x - self.origin)).clamp_min(1e-12)

    def _fitted(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        return {"log_rate": -(h.T @ (x - self.origin)).clamp_min(self.floor).log()}

    def _log_density(self, x: Tensor) -> Tensor:
        log_rate = self.free["log_rate"]
        return log_rate.sum(1) - (x - self.origin).clamp_min(0) @ log_rate.exp().T


GATES = {"softmax": SoftmaxGate, "gaussian": GaussianGate, "exponential": ExponentialGate}

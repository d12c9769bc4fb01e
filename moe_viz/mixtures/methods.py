"""Ways to fit a mixture, one iteration at a time: expectation-maximisation, soft or hard, and three that climb a gradient; and the errors these may climb.

Sources: Jordan & Jacobs 1994 (EM), Celeux & Govaert 1992 (classification EM), Jacobs, Jordan, Nowlan & Hinton 1991 (the three errors of squared
distances: each point's own unit-variance likelihood, the localised and the cooperative one).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from moe_viz.mixtures.newton import log_softmax_of_rows, logsumexp_of_rows, softmax_of_rows
from moe_viz.mixtures.tree import Tree


@dataclass(frozen=True)
class Points:
    """What is fitted, standardised: `x` [N, D], `y` [N, O], `weight` [N] or None where every point counts once."""

    x: Tensor
    y: Tensor
    weight: Tensor | None

    def total(self, values: Tensor) -> Tensor:
        """The weighted sum of one value [N] a point."""
        return values.sum() if self.weight is None else self.weight @ values

    def weighted(self, h: Tensor) -> Tensor:
        """`h` [N, E] times the points' weights."""
        return h if self.weight is None else self.weight.unsqueeze(1) * h


class Method(ABC):
    """`log_likelihood` and `objective` are of the present state, totals over the points; `step` is one iteration."""

    log_likelihood: Tensor
    objective: Tensor
    """What `step` climbs."""

    def __init__(self, tree: Tree, points: Points) -> None:
        self.tree, self.points = tree, points
        self._measure()

    @abstractmethod
    def step(self) -> None:
        """Move the tree once, then measure it."""

    @abstractmethod
    def _measure(self) -> None:
        """Set `log_likelihood` and `objective`."""


class Em(Method):
    """E-step: h = g p / sum; M-step: every gate and expert on its own. The objective never falls."""

    def step(self) -> None:
        """One iteration; the joint that told the likelihood gives the responsibilities."""
        self.tree.maximise(self.points.x, self.points.y, self.points.weighted(self._responsibilities()))
        self._measure()

    def _responsibilities(self) -> Tensor:
        return softmax_of_rows(self.joint)

    def _of_points(self) -> Tensor:
        """Each point's part of the objective [N]."""
        return self._own

    def _measure(self) -> None:
        self.joint = self.tree.log_joint(self.points.x, self.points.y)
        self._own = logsumexp_of_rows(self.joint)
        self.log_likelihood = self.points.total(self._own)
        self.objective = self.points.total(self._of_points()) - self.tree.penalty()


class HardEm(Em):
    """Each point belongs wholly to its most responsible expert: climbs sum max_e log g_e p_e; the likelihood itself may fall."""

    def _responsibilities(self) -> Tensor:
        return torch.nn.functional.one_hot(self.joint.argmax(1), self.joint.shape[1]).to(self.joint)

    def _of_points(self) -> Tensor:
        return self.joint.amax(1)


def likelihood(tree: Tree, points: Points, unit: float) -> Tensor:
    """[N]: log sum_e g_e p_e(y | x)."""
    return logsumexp_of_rows(tree.log_joint(points.x, points.y))


def _distances(tree: Tree, points: Points) -> tuple[Tensor, Tensor]:
    """log g [N, E] and squared distances of the experts' outputs [N, E]."""
    away = points.y.unsqueeze(1) - tree.experts.mean(points.x)
    return log_softmax_of_rows(tree.log_gate(points.x)), away.square().sum(2)


def competitive(tree: Tree, points: Points, unit: float) -> Tensor:
    """[N]: log sum_e g_e exp(-|y - mu_e|^2 / 2 unit^2): each expert is pulled by its posterior."""
    log_gate, squared = _distances(tree, points)
    return logsumexp_of_rows(log_gate - squared / (2 * unit**2))


def localised(tree: Tree, points: Points, unit: float) -> Tensor:
    """[N]: -sum_e g_e |y - mu_e|^2: each expert is pulled by its gate."""
    log_gate, squared = _distances(tree, points)
    return -(log_gate.exp() * squared).sum(1)


def cooperative(tree: Tree, points: Points, unit: float) -> Tensor:
    """[N]: -|y - sum_e g_e mu_e|^2: all experts are pulled by what the blend leaves."""
    return -(points.y - tree.mean(points.x)).square().sum(1)


ERRORS = {"likelihood": likelihood, "competitive": competitive, "localised": localised, "cooperative": cooperative}


class Climb(Method):
    """Along the gradient of an error's mean over the points."""

    def __init__(self, tree: Tree, points: Points, error: str, unit: float, rate: float) -> None:
        self._error, self._unit, self._rate = ERRORS[error], unit, rate
        self._is_likelihood = error == "likelihood"
        for part in tree.parts:
            part.free = {name: value.clone(memory_format=torch.contiguous_format) for name, value in part.free.items()}
        self._leaves = [value for part in tree.parts for value in part.free.values() if value.numel()]
        self.optimiser = self._make_optimiser()
        super().__init__(tree, points)

    @abstractmethod
    def _make_optimiser(self) -> torch.optim.Optimizer:
        """Over `_leaves`, minimising."""

    def _value(self) -> Tensor:
        values = self._error(self.tree, self.points, self._unit)
        return self.points.total(values) - self.tree.penalty()

    def _loss(self) -> Tensor:
        """Minus the objective's mean, its gradient at the leaves."""
        value = -self._value() / len(self.points.x)
        slopes = torch.autograd.grad(value, self._leaves, allow_unused=True, materialize_grads=True)
        for leaf, slope in zip(self._leaves, slopes, strict=True):
            leaf.grad = slope.contiguous()
        return value

    def _move(self) -> None:
        """Let the optimiser move the leaves."""
        for leaf in self._leaves:
            leaf.requires_grad_(True)
        self.optimiser.step(self._loss)  # pyright: ignore[reportCallIssue, reportArgumentType] (L-BFGS wants the tensor)
        for leaf in self._leaves:
            leaf.requires_grad_(False)
            leaf.grad = None

    def _measure(self) -> None:
        if self._is_likelihood:
            own = self.points.total(likelihood(self.tree, self.points, self._unit))
            self.log_likelihood, self.objective = own, own - self.tree.penalty()
        else:
            self.objective = self._value()
            self.log_likelihood = self.points.total(likelihood(self.tree, self.points, self._unit))


class Gradient(Climb):
    """One step of L-BFGS with a line search per iteration; a step that would lower the objective is not taken."""

    def _make_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.LBFGS(self._leaves, max_iter=1, max_eval=25, line_search_fn="strong_wolfe")

    def step(self) -> None:
        """One iteration; after a step that led nowhere the search begins anew."""
        kept = [leaf.clone() for leaf in self._leaves]
        told = self.log_likelihood, self.objective
        self._move()
        self._measure()
        if not self.objective > told[1]:
            for leaf, old in zip(self._leaves, kept, strict=True):
                leaf.copy_(old)
            self.log_likelihood, self.objective = told
            self.optimiser = self._make_optimiser()


class Ascent(Climb):
    """theta += rate * gradient: plain ascent. The objective falls where the rate is too large."""

    def _make_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self._leaves, lr=self._rate)

    def step(self) -> None:
        """One iteration. Raises ValueError where the step left the numbers."""
        self._move()
        self._measure()
        if not (self.objective.isfinite() and self.log_likelihood.isfinite()):
            raise ValueError(
                f"the likelihood is no number after a step of rate = {self._rate}: the steps are too large; choose a smaller rate"
            )


class Adam(Ascent):
    """Adam (Kingma & Ba 2015) in place of plain ascent."""

    def _make_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self._leaves, lr=self._rate)


METHODS = {"em": Em, "hard_em": HardEm, "gradient": Gradient, "adam": Adam, "ascent": Ascent}


def make_method(name: str, tree: Tree, points: Points, error: str, unit: float, rate: float) -> Method:
    """One of METHODS at the tree's present state. EM climbs the likelihood whatever `error` says."""
    kind = METHODS[name]
    return kind(tree, points, error, unit, rate) if issubclass(kind, Climb) else kind(tree, points)

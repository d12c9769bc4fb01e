"""The mixtures themselves: one tree of gates with experts at its leaves; a flat mixture is a tree of one level.

Fitted by expectation-maximisation (Jordan & Jacobs 1994: E-step in log space, M-step per gate and per expert) or by climbing the gradient of the same
likelihood (Jacobs et al. 1991). All in float64; numpy arrays or torch tensors in, numpy arrays out. Everything is fitted in standardised columns
(`scales`) and answered in the units given, so that no unit or offset changes a fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moe_viz.mixtures import checks
from moe_viz.mixtures.experts import EXPERTS, Expert
from moe_viz.mixtures.gates import GATES
from moe_viz.mixtures.scales import Scale, first_guess

METHODS = ("em", "gradient")


@dataclass(frozen=True)
class Fit:
    """What fitting did. `log_likelihood`: total over the data, one per iteration, the start included; of y given x for the softmax gate, of x and y
    together for gates that model x (that is what they climb)."""

    log_likelihood: np.ndarray
    method: str


class HierarchicalMixture:
    """Experts at the leaves of a tree of softmax gates (Jordan & Jacobs 1994).

    Parameters: `branching`: children per node, level by level, (2, 2) = 4 experts; `expert`: one of EXPERTS; `seed`: of the first guess of who is
    responsible for which point; `nu`: degrees of freedom of `student_t`. Raises ValueError on any other value.
    """

    def __init__(
        self, branching: tuple[int, ...] = (2, 2), expert: str = "linear_gaussian", seed: int = 0, *, nu: float = 4.0
    ) -> None:
        self._choose(branching, expert, "softmax", seed, nu)

    def fit(self, x: Any, y: Any, method: str = "em", iterations: int = 50) -> Fit:
        """Fit to `x` [N, D] and `y` [N] or [N, O] (classes: [N] labels or [N, C] one-hot) from a seeded start. Raises ValueError on what it cannot fit.

        A column of `x` that is constant or a linear function of those before it tells nothing more and is not read.
        """
        checks.among("method", method, METHODS)
        checks.whole("iterations", iterations, 0)
        inputs = checks.matrix(x, "x")
        targets = self._coded(y, len(inputs))
        self._width = inputs.shape[1]
        self._x_scale = Scale.of_inputs(inputs)
        self._y_scale = None if self._labels is not None else Scale.of_answers(targets)
        inputs = self._x_scale.into(inputs)
        targets = targets if self._y_scale is None else self._y_scale.into(targets)
        self._start(inputs, targets)
        steps = self._em(inputs, targets) if method == "em" else self._gradient(inputs, targets)
        values = [next(steps) for _ in range(iterations + 1)]
        return Fit(np.array(values) - len(inputs) * self._log_volume(), method)

    def predict(self, x: Any) -> np.ndarray:
        """The mixture's mean, shaped like `y` in `fit`: [N] or [N, O]; for classes the most probable one, in the labels (or one-hot rows) given."""
        mean = self._mixed(x)
        if self._labels is None:
            return mean[:, 0] if self._flat else mean
        best = mean.argmax(1)
        return self._labels[best] if self._flat else np.eye(mean.shape[1])[best]

    def predict_proba(self, x: Any) -> np.ndarray:
        """Class probabilities [N, C], in the order of the sorted labels. Raises ValueError for regression."""
        probabilities = self._mixed(x)
        if self._labels is None:
            raise ValueError(f"expert = {self.expert!r} does not classify: use predict")
        return probabilities

    def gate(self, x: Any) -> np.ndarray:
        """Each expert's probability before y is seen [N, E]; in a tree the product along its path."""
        return self._log_gate(self._known(x)).log_softmax(1).exp().numpy()

    def responsibilities(self, x: Any, y: Any) -> np.ndarray:
        """Each expert's probability after y is seen [N, E]: h_e = g_e p_e(y | x) / sum."""
        inputs = self._known(x)
        return self._log_joint(inputs, self._coded(y, len(inputs), again=True)).softmax(1).numpy()

    # -- how it works ---------------------------------------------------------------------------------------------------------------

    def _choose(self, branching: Any, expert: str, gate: str, seed: int, nu: float) -> None:
        self.branching = checks.options(branching, expert, gate, seed, nu)
        self.expert, self.gate_name, self.seed, self.nu = expert, gate, seed, float(nu)
        self._fitted: Expert | None = None

    @property
    def _experts(self) -> Expert:
        if self._fitted is None:
            raise ValueError("this mixture has not been fitted yet: call fit first")
        return self._fitted

    def _start(self, x: Tensor, y: Tensor) -> None:
        n_experts = math.prod(self.branching)
        h = first_guess(x, y, n_experts, np.random.default_rng(self.seed))
        self._fitted = EXPERTS[self.expert](n_experts, self.nu)
        self._fitted.start(x, y, h)
        nodes = [math.prod(self.branching[:level]) for level in range(len(self.branching))]
        self._gates = [[GATES[self.gate_name](n) for _ in range(m)] for n, m in zip(self.branching, nodes, strict=True)]
        for level in self._gates:
            for gate in level:
                gate.start(x)
        self._set_gates(x, h)

    def _log_gate(self, x: Tensor) -> Tensor:
        """Sum of the log scores along each leaf's path [N, E], leaves in depth-first order."""
        path = x.new_zeros(len(x), 1)
        for level in self._gates:
            path = torch.cat([path[:, node : node + 1] + gate.log_score(x) for node, gate in enumerate(level)], 1)
        return path

    def _log_joint(self, x: Tensor, y: Tensor) -> Tensor:
        return self._log_gate(x) + self._experts.log_prob(x, y)

    def _set_gates(self, x: Tensor, h: Tensor) -> None:
        """M-step of every gate: a node's targets are what its children's leaves are responsible for, not normalised."""
        for level, gates in enumerate(self._gates):
            shares = h.reshape(len(h), len(gates), self.branching[level], -1).sum(3)
            for node, gate in enumerate(gates):
                gate.maximise(x, shares[:, node])

    def _em(self, x: Tensor, y: Tensor) -> Iterator[float]:
        while True:
            joint = self._log_joint(x, y)
            yield float(joint.logsumexp(1).sum())
            h = joint.softmax(1)
            self._experts.maximise(x, y, h)
            self._set_gates(x, h)

    def _gradient(self, x: Tensor, y: Tensor) -> Iterator[float]:
        """One L-BFGS step along the gradient of the mean log-likelihood per iteration; a step that would lower it is not taken."""
        parts = [self._experts, *(gate for level in self._gates for gate in level)]
        for part in parts:
            part.free = {name: value.clone(memory_format=torch.contiguous_format) for name, value in part.free.items()}
        leaves = [value for part in parts for value in part.free.values() if value.numel()]

        def loss() -> Tensor:
            value = -self._log_joint(x, y).logsumexp(1).mean()
            for leaf, slope in zip(leaves, torch.autograd.grad(value, leaves), strict=True):
                leaf.grad = slope.contiguous()
            return value

        climber = None
        yield float(self._log_joint(x, y).logsumexp(1).sum())
        while True:
            for leaf in leaves:
                leaf.requires_grad_(True)
            climber = climber or torch.optim.LBFGS(leaves, max_iter=1, max_eval=25, line_search_fn="strong_wolfe")
            kept = [leaf.detach().clone() for leaf in leaves]
            before = climber.step(loss).detach()
            for leaf in leaves:
                leaf.requires_grad_(False)
            after = -self._log_joint(x, y).logsumexp(1).mean()
            if not after < before:
                for leaf, old in zip(leaves, kept, strict=True):
                    leaf.copy_(old)
                after, climber = before, None
            yield float(-after * len(x))

    def _mixed(self, x: Any) -> np.ndarray:
        inputs = self._known(x)
        g = self._log_gate(inputs).softmax(1)
        mean = torch.einsum("ne,neo->no", g, self._experts.mean(inputs))
        return (mean if self._y_scale is None else self._y_scale.back(mean)).numpy()

    def _log_volume(self) -> float:
        """What one point's log density gains when its columns are standardised: of y, and of x where the gate models x."""
        of_x = self._x_scale.log_volume if self._gates[0][0].joint else 0.0
        return of_x + (0.0 if self._y_scale is None else self._y_scale.log_volume)

    def _known(self, x: Any) -> Tensor:
        if self._fitted is None:
            raise ValueError("this mixture has not been fitted yet: call fit first")
        inputs = checks.matrix(x, "x")
        if inputs.shape[1] != self._width:
            raise ValueError(f"x has {inputs.shape[1]} columns: it was fitted with {self._width}")
        return self._x_scale.into(inputs)

    def _coded(self, y: Any, n_points: int, again: bool = False) -> Tensor:
        """`y` [N, O] float64, classes one-hot in the order of the sorted labels; `again`: in the scale of the fit."""
        values = checks.plain(y, "y")
        if values.ndim not in (1, 2) or len(values) != n_points:
            raise ValueError(f"y has shape {values.shape}: [N] or [N, O] with N = {n_points} is needed, as x has")
        if again and (values.ndim == 1) != self._flat:
            raise ValueError(f"y has shape {values.shape}: fitted with {'[N]' if self._flat else '[N, O]'}")
        flat = values.ndim == 1
        if not EXPERTS[self.expert].classifies:
            labels, coded = None, checks.matrix(values[:, None] if flat else values, "y")
        else:
            labels, coded = checks.classes(values, self.expert, self._labels if again else None)
        if not again:
            self._flat, self._labels = flat, labels
            return coded
        return coded if self._y_scale is None else self._y_scale.into(coded)


class MixtureOfExperts(HierarchicalMixture):
    """A flat mixture (Jacobs, Jordan, Nowlan & Hinton 1991): `n_experts` experts of one kind under one gate of GATES. See HierarchicalMixture."""

    def __init__(
        self,
        n_experts: int = 4,
        expert: str = "linear_gaussian",
        gate: str = "softmax",
        seed: int = 0,
        *,
        nu: float = 4.0,
    ) -> None:
        self._choose((n_experts,), expert, gate, seed, nu)

"""A tree of gates with experts at its leaves, in standardised columns: what every way of fitting moves and every answer is read from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from moe_viz.mixtures.experts import EXPERTS, Expert
from moe_viz.mixtures.gates import GATES, DensityGate, SoftmaxGate
from moe_viz.mixtures.newton import softmax_of_rows


class Tree:
    """`branching`: children per node, level by level; a flat mixture is a tree of one level. Experts stand in depth-first order."""

    def __init__(self, branching: tuple[int, ...], expert: str, gate: str, nu: float, ridge: float) -> None:
        self.branching = branching
        self.n_experts = math.prod(branching)
        self.experts: Expert = EXPERTS[expert](self.n_experts, nu)
        nodes = [math.prod(branching[:level]) for level in range(len(branching))]
        self.gates: list[list[SoftmaxGate | DensityGate]] = [
            [GATES[gate](n) for _ in range(m)] for n, m in zip(branching, nodes, strict=True)
        ]
        for part in self.parts:
            part.ridge = ridge

    @property
    def parts(self) -> list[Expert | SoftmaxGate | DensityGate]:
        """The experts, then every gate."""
        return [self.experts, *(gate for level in self.gates for gate in level)]

    @property
    def joint(self) -> bool:
        """Whether the gates model x, too."""
        return self.gates[0][0].joint

    def start(self, x: Tensor, y: Tensor, h: Tensor) -> None:
        """Begin, fitted to a first guess `h` [N, E] of who is responsible; its rows sum to the points' weights. `x` [N, D], `y` [N, O]."""
        self.experts.start(x, y, h)
        weight = h.sum(1)
        for level in self.gates:
            for gate in level:
                gate.start(x, weight)
        self._maximise_gates(x, h)

    def maximise(self, x: Tensor, y: Tensor, h: Tensor) -> None:
        """M-step of every expert and every gate with responsibilities `h` [N, E], times the points' weights."""
        self.experts.maximise(x, y, h)
        self._maximise_gates(x, h)

    def _maximise_gates(self, x: Tensor, h: Tensor) -> None:
        """A node's targets are what its children's leaves are responsible for, not normalised."""
        for level, gates in enumerate(self.gates):
            shares = h.reshape(len(h), len(gates), self.branching[level], -1).sum(3)
            for node, gate in enumerate(gates):
                gate.maximise(x, shares[:, node])

    def log_gate(self, x: Tensor) -> Tensor:
        """Sum of the log scores along each leaf's path [N, E]; not normalised where the gates model x."""
        path = self.gates[0][0].log_score(x)
        for level in self.gates[1:]:
            path = torch.cat([path[:, node : node + 1] + gate.log_score(x) for node, gate in enumerate(level)], 1)
        return path

    def log_joint(self, x: Tensor, y: Tensor) -> Tensor:
        """log g_e p_e(y | x) [N, E]; with log p(x) where the gates model x."""
        return self.log_gate(x) + self.experts.log_prob(x, y)

    def mean(self, x: Tensor) -> Tensor:
        """sum_e g_e mean_e [N, O]: the blend."""
        return torch.einsum("ne,neo->no", softmax_of_rows(self.log_gate(x)), self.experts.mean(x))

    def penalty(self) -> Tensor:
        """What the ridge takes from the log-likelihood."""
        return torch.stack([part.penalty() for part in self.parts]).sum()

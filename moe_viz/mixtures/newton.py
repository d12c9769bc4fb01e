"""Newton steps for the multinomial logit with soft targets: the inner loop of softmax gates and of classifying experts ("IRLS" in the papers).

Matrices [N, C] lie in memory column by column: a softmax over C then runs along the points, eight times as fast as row by row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 30
RIDGE = 1e-8
"""Added to the Hessian, in parts of its largest diagonal entry: keeps the step defined where classes are separable."""


def by_columns(values: Tensor) -> Tensor:
    """The same [N, C], column by column in memory."""
    return values.T.contiguous().T


def softmax_of_rows(values: Tensor) -> Tensor:
    """Over C of [N, C]."""
    return values.T.softmax(0).T


def log_softmax_of_rows(values: Tensor) -> Tensor:
    """Over C of [N, C]."""
    return values.T.log_softmax(0).T


def logsumexp_of_rows(values: Tensor) -> Tensor:
    """[N], over C of [N, C]."""
    return values.T.logsumexp(0)


def with_ones(x: Tensor) -> Tensor:
    """`x` [N, D] -> [N, D+1], a column of ones last: every linear part has a bias."""
    return torch.cat([x.T, x.new_ones(1, len(x))]).T


def climb(old: Tensor, step: Tensor, goal: Callable[[Tensor], Tensor]) -> Tensor:
    """`old + t * step` with the first t of 1, 1/2, 1/4, … at which `goal` is not below its value at `old`; `old` where there is none.

    This is what keeps EM's likelihood from falling: a plain Newton step may overshoot (Jordan & Jacobs 1994 take it anyway).
    """
    before = goal(old)
    for halving in range(HALVINGS):
        new = old + step * 0.5**halving
        if goal(new) >= before:
            return new
    return old


def log_softmax_pinned(inputs: Tensor, weight: Tensor) -> Tensor:
    """log softmax [N, C] of `inputs` [N, P] @ `weight` [P, C-1], the last class's logit pinned to 0."""
    logits = weight.T @ inputs.T
    return torch.cat([logits, logits.new_zeros(1, len(inputs))]).log_softmax(0).T


def _coupling(n_free: int) -> Tensor:
    """[C-1, C-1]: how squared slopes of the pinned logits become those of logits centred over the classes; with two classes there is one to count."""
    own = torch.eye(n_free, dtype=torch.float64)
    return own if n_free == 1 else own - 1 / (n_free + 1)


def ridge_penalty(weight: Tensor, ridge: float) -> Tensor:
    """ridge / 2 * squared slopes of `weight` [..., P, C-1], whose last row, the biases, is free. The same whichever class is pinned."""
    if not ridge or not weight.numel():
        return torch.zeros((), dtype=torch.float64)
    slopes = weight[..., :-1, :]
    return 0.5 * ridge * (slopes * (slopes @ _coupling(weight.shape[-1]))).sum()


def softmax_newton(inputs: Tensor, targets: Tensor, weight: Tensor, steps: int, ridge: float = 0.0) -> Tensor:
    """Climb sum(targets * log softmax) - ridge_penalty from `weight`; returns the new weight [P, C-1].

    `inputs` [N, P]; `targets` [N, C] >= 0: rows need not sum to 1 (their sum is the row's weight). With g the softmax and m the row sums,
    gradient = X^T (targets - m g), minus Hessian block (a, b) = X^T diag(m g_a ([a = b] - g_b)) X.
    """
    n_classes = targets.shape[1]
    if n_classes == 1:
        return weight
    targets = by_columns(targets)
    mass, by_parameter, size = targets.sum(1), inputs.T, weight.numel()

    def goal(candidate: Tensor) -> Tensor:
        return (targets * log_softmax_pinned(inputs, candidate)).sum() - ridge_penalty(candidate, ridge)

    for _ in range(steps):
        g = log_softmax_pinned(inputs, weight).exp().T[:-1]
        gradient = by_parameter @ (targets.T[:-1] - mass * g).T
        own = ((mass * g).unsqueeze(1) * by_parameter).reshape(size, -1) @ inputs  # X^T D X, class under class
        outer = ((mass.sqrt() * g).unsqueeze(1) * by_parameter).reshape(size, -1)  # Z^T
        hessian = torch.block_diag(*own.chunk(n_classes - 1)) - outer @ outer.T
        if ridge:
            slopes = inputs.new_ones(len(weight)).index_fill_(0, torch.tensor(len(weight) - 1), 0.0)
            gradient = gradient - ridge * slopes.unsqueeze(1) * (weight @ _coupling(n_classes - 1))
            hessian = hessian + ridge * torch.kron(_coupling(n_classes - 1), slopes.diag())
        hessian = hessian + torch.eye(size, dtype=hessian.dtype) * (RIDGE * hessian.diagonal().max() + 1e-300)
        step = torch.linalg.lstsq(hessian, gradient.T.reshape(size, 1), driver="gelsd").solution
        new = climb(weight, step.reshape(n_classes - 1, -1).T, goal)
        if torch.equal(new, weight):
            break
        weight = new
    return weight


def weighted_least_squares(inputs: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Minimise sum_n weight_n ||y_n - inputs_n B||^2: B [P, O] of least norm. `inputs` [N, P], `y` [N, O], `weight` [N] >= 0."""
    root = weight.sqrt().unsqueeze(1)
    return torch.linalg.lstsq(root * inputs, root * y, driver="gelsd").solution

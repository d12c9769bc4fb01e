"""Newton steps for the multinomial logit with soft targets: the inner loop of softmax gates and of classifying experts ("IRLS" in the papers)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 30
RIDGE = 1e-8
"""Added to the Hessian, in parts of its largest diagonal entry: keeps the step defined where classes are separable."""


def with_ones(x: Tensor) -> Tensor:
    """`x` [N, D] -> [N, D+1], a column of ones last: every linear part has a bias."""
    return torch.cat([x, x.new_ones(len(x), 1)], 1)


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
    logits = inputs @ weight
    return torch.cat([logits, logits.new_zeros(len(logits), 1)], 1).log_softmax(1)


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
    mass = targets.sum(1, keepdim=True)

    def goal(candidate: Tensor) -> Tensor:
        return (targets * log_softmax_pinned(inputs, candidate)).sum() - ridge_penalty(candidate, ridge)

    for _ in range(steps):
        g = log_softmax_pinned(inputs, weight).exp()[:, :-1]
        gradient = inputs.T @ (targets[:, :-1] - mass * g)
        size = gradient.numel()
        outer = ((mass.sqrt() * g).unsqueeze(2) * inputs.unsqueeze(1)).reshape(len(inputs), size)
        own = [inputs.T @ ((mass * g[:, a : a + 1]) * inputs) for a in range(n_classes - 1)]
        hessian = torch.block_diag(*own) - outer.T @ outer
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

"""Balanced transport of T tokens to E experts: the exact optimum (BASE) and its entropy-smoothed relative (Sinkhorn, S-BASE).

The exact solver is made for few experts and many tokens: prices, one per expert, nearly balance the load by Newton's method on
the smoothed dual; the few tokens left over then move along shortest paths between experts, which makes the result exact.
Problem: Lewis et al. 2021, BASE Layers, arXiv:2103.16716; Clark et al. 2022, arXiv:2202.01169. Method: successive shortest paths.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

WARM_LEVELS, WARM_STEPS, WARM_SHRINK = 6, 3, 0.25
"""Temperatures tried, Newton steps at each, and the factor between them: what was quickest at T = 1024, E = 8."""


def balanced_assignment(scores: Tensor) -> Tensor:
    """Expert of each token [T] int64 with the largest possible sum of scores, at most ceil(T / E) tokens on an expert.

    scores [T, E]. -inf and NaN count as the lowest finite score, +inf as the highest. Exact in float64. Works on the host: on an
    accelerator this call waits for the scores to arrive there.
    """
    expert = _solve(scores.detach().to("cpu", torch.float64).numpy())
    return torch.from_numpy(expert).to(scores.device)


def sinkhorn_plan(scores: Tensor, iterations: int, tolerance: float = 0.0) -> tuple[Tensor, int, Tensor]:
    """Entropic transport plan of scores [..., T, E]: log plan of that shape, iterations done, worst relative error of an expert's total.

    Each row of the plan sums to 1 exactly; each column to T / E when converged. All in log space, so no score overflows. Experts are
    normalised first: a constant added to one expert's scores then changes nothing, at any number of iterations. With
    `tolerance` > 0 it stops early once the error is below (which makes the host look at the data at each iteration).
    """
    n_tokens, n_experts = scores.shape[-2:]
    log_share = math.log(max(n_tokens, 1) / n_experts)
    # Experts first: reductions over an axis as short as E are several times slower on CPU when it is the last.
    scores = scores.transpose(-1, -2).contiguous()
    price = scores.logsumexp(-1, keepdim=True) - log_share
    used = 0
    while True:
        log_plan = (scores - price).log_softmax(-2)
        excess = log_plan.logsumexp(-1, keepdim=True) - log_share
        error, used = excess.expm1().abs().amax() if n_tokens else scores.new_zeros(()), used + 1
        if used == iterations or (tolerance > 0 and error <= tolerance):
            return log_plan.transpose(-1, -2), used, error
        price = price + excess


def _solve(scores: np.ndarray) -> np.ndarray:
    n_tokens, n_experts = scores.shape
    if n_tokens == 0 or n_experts == 1:
        return np.zeros(n_tokens, dtype=np.int64)
    capacity = -(-n_tokens // n_experts)
    # Indifferent dummy tokens fill the last slots, so that every expert has exactly `capacity` and one method serves every T.
    regret = np.concatenate([_regret(scores), np.zeros((capacity * n_experts - n_tokens, n_experts))])
    price = _near_balance(regret, capacity)
    expert = (regret + price).argmin(1)
    _repair(regret, price, expert, capacity)
    return expert[:n_tokens]


def _regret(scores: np.ndarray) -> np.ndarray:
    """[T, E] what each token loses against its best expert, >= 0."""
    finite = np.isfinite(scores)
    if not finite.all():
        known = scores[finite] if finite.any() else np.zeros(1)
        scores = np.nan_to_num(scores, nan=known.min(), neginf=known.min(), posinf=known.max())
    # Far from the largest float64, so that differences and prices stay finite.
    scores = scores.clip(-1e300, 1e300)
    return scores.max(1, keepdims=True) - scores


def _near_balance(regret: np.ndarray, capacity: int) -> np.ndarray:
    """Prices [E] at which the cheapest experts of all tokens are nearly balanced. A guess: exactness does not rest on it."""
    price = -np.median(regret, axis=0)
    total = np.ascontiguousarray(regret.T) + price[:, None]
    positive = total - total.min(0)
    positive = positive[positive > 0]
    if positive.size == 0:
        return price
    # The middle of the regrets, not their range: one huge score must not set the scale of all the others.
    temperature = np.median(positive)
    base, ridge = total - price[:, None], 1e-3 * capacity * np.eye(len(price))
    for _ in range(WARM_LEVELS):
        for _ in range(WARM_STEPS):
            share = base + price[:, None]
            share -= share.min(0)
            share *= -1.0 / temperature
            np.exp(share, out=share)
            share /= share.sum(0)
            load = share.sum(1)
            if np.abs(load - capacity).max() < 0.02 * capacity:
                break
            hessian = np.diag(load) - share @ share.T + ridge
            price = price + temperature * np.clip(np.linalg.solve(hessian, load - capacity), -3, 3)
        temperature *= WARM_SHRINK
    return price


def _repair(regret: np.ndarray, price: np.ndarray, expert: np.ndarray, capacity: int) -> None:
    """Move tokens from overfull to underfull experts along shortest paths, in place, until every expert has `capacity`.

    An assignment to the cheapest expert is optimal for its own counts, and a shortest path keeps it optimal for the counts after
    the move, so the end is optimal for equal counts. Tokens that tie exactly move together: constant scores cost one pass.
    """
    n_experts = len(price)
    count = np.bincount(expert, minlength=n_experts)
    cost = np.full((n_experts, n_experts), np.inf)
    for i in range(n_experts):
        _cheapest_moves(regret, expert, cost, i)
    while (count > capacity).any():
        distance, parent = _shortest_paths(cost, price, count > capacity)
        sink = int(np.where(count < capacity, distance, np.inf).argmin())
        price = price - np.minimum(distance, distance[sink])
        path = [sink]
        while parent[path[0]] >= 0:
            path.insert(0, int(parent[path[0]]))
        amount = min(count[path[0]] - capacity, capacity - count[sink])
        moves = []
        for i, j in pairwise(path):
            mine = np.flatnonzero(expert == i)
            moves.append((mine[regret[mine, j] - regret[mine, i] == cost[i, j]], j))
            amount = min(amount, moves[-1][0].size)
        for movers, j in moves:
            expert[movers[:amount]] = j
        count[path[0]] -= amount
        count[sink] += amount
        for i in path:
            _cheapest_moves(regret, expert, cost, i)


def _cheapest_moves(regret: np.ndarray, expert: np.ndarray, cost: np.ndarray, i: int) -> None:
    """cost[i, j] = least regret added by moving one token of expert i to expert j."""
    rows = regret[expert == i]
    cost[i] = (rows - rows[:, i : i + 1]).min(0) if len(rows) else np.inf
    cost[i, i] = np.inf


def _shortest_paths(cost: np.ndarray, price: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dijkstra from all sources at once: distances [E] in reduced costs, and the expert before each (-1 for a source)."""
    # Reduced costs are >= 0 in exact arithmetic; rounding must not make a cycle look profitable.
    reduced = np.maximum(cost + price[None, :] - price[:, None], 0.0)
    distance = np.where(source, 0.0, np.inf)
    parent = np.full(len(price), -1)
    unsettled = np.ones(len(price), dtype=bool)
    for _ in range(len(price)):
        i = int(np.where(unsettled, distance, np.inf).argmin())
        unsettled[i] = False
        through = distance[i] + reduced[i]
        better = (through < distance) & unsettled
        distance[better] = through[better]
        parent[better] = i
    return distance, parent

"""EM iterations a second of the classical mixtures: 10,000 points x 8 experts in two dimensions, one thread.

CPU time of that thread, the start left out; the best of the rounds, each of which fits every kind of expert in turn, as what else the machine does can
only slow them down. `python -m benchmarks.mixtures`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from benchmarks.table import Row, show
from moe_viz.mixtures import EXPERTS, GATES, MixtureOfExperts
from moe_viz.mixtures.fitting import Fitting

N_POINTS, N_EXPERTS = 10_000, 8
GOALS = {"linear_gaussian": 80.0, "logistic": 40.0, "multinomial": 25.0}
"""Iterations a second to reach under the softmax gate; the other figures are for comparison."""


def points(expert: str) -> tuple[np.ndarray, np.ndarray]:
    """One line left of 0, another right of it; classes are parts of the answer's range."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(N_POINTS, 2))
    y = np.where(x[:, 0] > 0, 3 * x[:, 1] + 1, -2 * x[:, 1]) + 0.1 * draw.normal(size=N_POINTS)
    if expert == "multinomial":
        return x, np.digitize(y, [-1, 1])
    return x, y > 0 if EXPERTS[expert].classifies else y


def seconds(fitting: Fitting, iterations: int) -> float:
    """CPU time of one iteration."""
    start = time.thread_time()
    for _ in range(iterations):
        fitting.step()
    return (time.thread_time() - start) / iterations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=10, help="of each fit in each round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = [(expert, "softmax") for expert in EXPERTS] + [
        ("linear_gaussian", gate) for gate in GATES if gate != "softmax"
    ]
    data = {expert: points(expert) for expert in EXPERTS}
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(options.rounds):
        for expert, gate in kinds:
            fitting = MixtureOfExperts(N_EXPERTS, expert, gate).begin(*data[expert])
            best[expert, gate] = min(best[expert, gate], seconds(fitting, options.iterations))
    rows: list[Row] = []
    for (expert, gate), each in best.items():
        goal = GOALS.get(expert) if gate == "softmax" else None
        name = f"{expert}, {gate} gate" + (f" (at least {goal:.0f})" if goal else "")
        rows.append(Row(name, 1 / each, "it/s", goal and goal * each))
    show(f"EM, {N_POINTS:,} points x {N_EXPERTS} experts, two dimensions; ratio: goal / iterations a second", rows)


if __name__ == "__main__":
    main()

"""One training step of the layer with each router that is not token choice, relative to `topk`: what balance by construction costs.

Same measure as `benchmarks.layer`: forward, backward, fused AdamW, one thread, CPU time of that thread, medians of interleaved
rounds. `python -m benchmarks.routers`.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.layer import medians, rows, training_step
from benchmarks.table import Row, show
from moe_viz.moe import Experts, MoELayer, make_router
from moe_viz.moe.transport import balanced_assignment

SIZE = (1024, 64, 128, 8)
"""T, d, h, E."""

STEPS = {
    "topk, k = 2": ("topk", {"k": 2}),
    "topk, k = 1": ("topk", {"k": 1}),
    "sinkhorn, k = 1": ("sinkhorn", {"k": 1}),
    "sinkhorn, k = 2": ("sinkhorn", {"k": 2}),
    "base": ("base", {}),
    "expert_choice": ("expert_choice", {}),
    "soft, a slot for each token": ("soft", {"slots_per_expert": 128}),
    "soft, 4 slots per expert": ("soft", {"slots_per_expert": 4}),
    "hierarchical": ("hierarchical", {}),
    "residual": ("residual", {}),
    "remoe": ("remoe", {}),
    "reinforce": ("reinforce", {}),
    "kmeans": ("kmeans", {"k": 1}),
    "random": ("random", {"k": 2}),
}
LIMITS: dict[str, float] = dict.fromkeys(("sinkhorn, k = 1", "sinkhorn, k = 2", "base", "expert_choice"), 2.0)
"""Balance by construction must not cost more than this many steps of `topk` with k = 2."""


def step_of(name: str, options: dict, t: int, d: int, h: int, e: int):
    layer = MoELayer(make_router(name, d, e, **options), Experts(e, d, h))

    def forward(x):
        y, routing = layer(x)
        return y, routing.aux.get("balance")

    return training_step(layer, forward, t, d)


def solver(rounds: int) -> None:
    """The exact assignment alone, against scipy's solver on the same problem."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    t, _, _, e = SIZE
    scores = torch.randn(t, e)
    repeated = np.repeat(scores.numpy(), t // e, axis=1)
    steps = {
        "ours": lambda: balanced_assignment(scores),
        "scipy linear_sum_assignment": lambda: linear_sum_assignment(repeated, maximize=True),
    }
    show(f"Exact balanced assignment, T = {t}, E = {e}", rows(medians(steps, rounds), "ours"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    torch.set_num_threads(1)
    times = medians({name: step_of(*router, *SIZE) for name, router in STEPS.items()}, rounds)
    table: list[Row] = rows(times, "topk, k = 2", LIMITS)
    show(f"Layer step / topk, k = 2, at (T, d, h, E) = {SIZE}", table)
    solver(rounds)


if __name__ == "__main__":
    main()

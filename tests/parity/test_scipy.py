"""BASE's assignment against scipy's exact solver, and Sinkhorn's plan against scipy's general optimiser of the same problem."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment, minimize

from moe_viz.moe import make_router
from moe_viz.moe.transport import balanced_assignment, sinkhorn_plan


def optimum(scores: np.ndarray) -> float:
    """The best total when every expert has ceil(T / E) places: each expert's column repeated."""
    n_tokens, n_experts = scores.shape
    places = -(-n_tokens // n_experts)
    rows, columns = linear_sum_assignment(np.repeat(scores, places, axis=1), maximize=True)
    return float(scores[rows, columns // places].sum())


def check_optimal(scores: np.ndarray) -> None:
    n_tokens, n_experts = scores.shape
    expert = balanced_assignment(torch.from_numpy(scores)).numpy()
    counts = np.bincount(expert, minlength=n_experts)
    assert counts.sum() == n_tokens and counts.max() <= -(-n_tokens // n_experts)
    if n_tokens % n_experts == 0:
        assert (counts == n_tokens // n_experts).all()
    exact = scores.astype(np.float64)
    best = optimum(exact)
    reached = exact[np.arange(n_tokens), expert].sum()
    assert reached == pytest.approx(best, rel=1e-9, abs=1e-9 * max(1.0, np.abs(exact).max()))


RNG = np.random.default_rng(0)
KINDS = {
    "random": lambda t, e: RNG.normal(size=(t, e)),
    "collapsed": lambda t, e: RNG.normal(size=(t, e)) + 5 * RNG.normal(size=(1, e)),
    "one wins by far": lambda t, e: 1e-3 * RNG.normal(size=(t, e)) + 30 * np.eye(e)[0],
    "constant": lambda t, e: np.zeros((t, e)),
    "tied": lambda t, e: RNG.integers(0, 3, size=(t, e)).astype(float),
    "huge": lambda t, e: 1e30 * RNG.normal(size=(t, e)),
    "repeated tokens": lambda t, e: np.repeat(RNG.normal(size=(-(-t // 20), e)), 20, axis=0)[:t],
    "low rank": lambda t, e: RNG.normal(size=(t, 2)) @ RNG.normal(size=(2, e)),
    "one direction": lambda t, e: RNG.normal(size=(t, 1)) * np.arange(e),
    "heavy tails": lambda t, e: RNG.standard_cauchy(size=(t, e)),
    "rows of all scales": lambda t, e: RNG.normal(size=(t, e)) * np.exp(10 * RNG.normal(size=(t, 1))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_tokens", "n_experts"), [(256, 8), (250, 8), (64, 64), (5, 8), (99, 3)])
def test_assignment_reaches_the_optimum(kind, n_tokens, n_experts):
    check_optimal(KINDS[kind](n_tokens, n_experts).astype(np.float32))


small = st.floats(-100, 100, width=16)
shapes = st.tuples(st.integers(1, 24), st.integers(1, 6))


@hypothesis_settings(max_examples=150)
@given(shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=small)))
def test_assignment_reaches_the_optimum_on_anything(scores):
    check_optimal(scores)


def test_assignment_at_the_size_of_a_step():
    for kind in ("random", "collapsed", "low rank"):
        check_optimal(KINDS[kind](1024, 8).astype(np.float32))


def test_base_router_trains_on_the_optimum():
    torch.manual_seed(0)
    router = make_router("base", 16, 8)
    routing = router(torch.randn(128, 16))
    logits = routing.logits.detach().numpy().astype(np.float64)
    assert logits[np.arange(128), routing.expert_idx.numpy()].sum() == pytest.approx(optimum(logits), rel=1e-9)


def test_sinkhorn_solves_the_entropic_problem():
    """The plan maximises <P, S> + H(P) under its marginals; scipy minimises the dual of that over the experts' prices."""
    scores = np.random.default_rng(1).normal(size=(30, 5)) * 2
    share = 30 / 5

    def dual(price: np.ndarray) -> tuple[float, np.ndarray]:
        z = scores - price
        top = z.max(1, keepdims=True)
        weights = np.exp(z - top)
        plan = weights / weights.sum(1, keepdims=True)
        value = (top[:, 0] + np.log(weights.sum(1))).sum() + share * price.sum()
        return value, share - plan.sum(0)

    price = minimize(dual, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    z = scores - price
    expected = np.exp(z - z.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    plan, *_ = sinkhorn_plan(torch.from_numpy(scores), iterations=1000, tolerance=1e-10)
    assert np.allclose(plan.exp().numpy(), expected, atol=1e-6)

"""Routers that learn by other means than a top-k gate, or do not learn: reinforce, remoe, kmeans, random."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from moe_viz.moe import Experts, MoELayer, make_router
from tests.moe.logit_router import dense_weights, logit_router

# -- reinforce -------------------------------------------------------------------------------------------------------------


def policy_gradient(router, routing, reward) -> torch.Tensor:
    term = router.feedback(routing, reward)["reinforce"]
    return torch.autograd.grad(term, routing.logits, retain_graph=True)[0]


@pytest.mark.parametrize("baseline", ["learned", "mean", "none"])
@pytest.mark.parametrize("n_experts", [2, 3, 4])
def test_policy_gradient_is_unbiased(baseline, n_experts):
    """Exact expectation over all joint actions of two tokens: the gradient of minus the expected mean reward, whatever the baseline."""
    torch.manual_seed(0)
    router = logit_router("reinforce", n_experts, baseline=baseline, policy_coef=1.0).double()
    with torch.no_grad():
        router.baseline.bias.fill_(7.0)
    routing = router(torch.randn(2, n_experts, dtype=torch.float64, requires_grad=True))
    rewards = torch.randn(2, n_experts, dtype=torch.float64)
    pi = routing.probs.detach()
    expected = torch.zeros_like(pi)
    for actions in product(range(n_experts), repeat=2):
        drawn = torch.tensor(actions)
        chance = pi.gather(1, drawn[:, None]).prod()
        reward = rewards.gather(1, drawn[:, None])[:, 0]
        expected += chance * policy_gradient(router, replace(routing, route_expert=drawn), reward)
    exact = -pi * (rewards - (pi * rewards).sum(1, keepdim=True)) / 2
    assert torch.allclose(expected, exact, atol=1e-12)


def test_learned_baseline_lowers_the_variance_and_learns_alone():
    torch.manual_seed(0)
    router = logit_router("reinforce", 4, policy_coef=1.0)
    routing = router(torch.randn(256, 4))
    reward = torch.full((256,), 5.0) + 0.1 * torch.randn(256)
    before = policy_gradient(router, routing, reward).var()
    with torch.no_grad():
        router.baseline.bias.fill_(5.0)
    after = policy_gradient(router, router(torch.randn(256, 4)), reward).var()
    assert after < before / 100
    terms = router.feedback(router(torch.randn(256, 4)), reward)
    terms["baseline"].backward()
    assert router.gate.weight.grad is None and router.baseline.bias.grad is not None
    assert set(terms) == {"reinforce", "entropy", "baseline"}


def test_reinforce_entropy_by_hand():
    router = logit_router("reinforce", 4, entropy_coef=0.5)
    routing = router(torch.zeros(3, 4))
    entropy = router.feedback(routing, torch.zeros(3))["entropy"]
    assert torch.allclose(entropy, torch.tensor(-0.5 * np.log(4.0), dtype=torch.float32))


def test_reinforce_samples_in_training_and_decides_at_evaluation():
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0]).expand(20000, 3)
    router = logit_router("reinforce", 3)
    share = router(logits).pre_counts / 20000
    assert torch.allclose(share, logits[0].softmax(0), atol=0.015)
    assert (router.eval()(logits).expert_idx == 0).all()


def test_task_gradient_does_not_reach_the_policy():
    layer = MoELayer(make_router("reinforce", 8, 4), Experts(4, 8, 16))
    layer(torch.randn(10, 8))[0].square().sum().backward()
    assert layer.router.gate.weight.grad is None
    with pytest.raises(ValueError, match="10 tokens need as many rewards"):
        layer.router.feedback(layer(torch.randn(10, 8))[1], torch.zeros(9))


def test_reinforce_finds_the_rewarded_expert():
    """A bandit: expert 2 pays 1, the others 0. The policy learns to draw it."""
    torch.manual_seed(0)
    router = make_router("reinforce", 4, 4, policy_coef=1.0)
    optimizer = torch.optim.Adam(router.parameters(), lr=0.05)
    x = torch.ones(64, 4)
    for _ in range(100):
        routing = router(x)
        optimizer.zero_grad()
        sum(router.feedback(routing, (routing.route_expert == 2).float()).values()).backward()
        optimizer.step()
    assert routing.probs[0, 2] > 0.9


# -- remoe -----------------------------------------------------------------------------------------------------------------


def test_remoe_by_hand():
    logits = torch.tensor([[1.0, -1.0, 2.0], [-1.0, -2.0, -3.0], [0.5, 0.5, 0.5]])
    router = logit_router("remoe", 3, k=1, l1_start=0.5)
    routing = router(logits)
    assert torch.equal(dense_weights(routing), logits.relu())
    assert routing.dropped.tolist() == [False, True, False] and routing.pre_counts.tolist() == [2, 1, 2]
    assert torch.allclose(routing.probs[1], torch.full((3,), 1 / 3))
    # f = E/(kT) counts = [2, 1, 2], mean gates = [0.5, 1/6, 2.5/3]
    assert torch.allclose(routing.aux["l1"], torch.tensor(0.5 * (2 * 0.5 + 1 / 6 + 2 * 2.5 / 3)))
    plain = logit_router("remoe", 3, k=1, l1_start=0.5, balanced_l1=False)(logits)
    assert torch.allclose(plain.aux["l1"], torch.tensor(0.5 * 1.5))


def test_remoe_is_unnormalised_and_closed_gates_get_no_gradient():
    router = make_router("remoe", 6, 4)
    x = torch.randn(9, 6)
    weights = dense_weights(router(x))
    with torch.no_grad():
        router.gate.weight *= 2
    assert torch.allclose(dense_weights(router(x)), 2 * weights)
    with torch.no_grad():
        router.gate.weight[1] = -100 * x[0]
    router(x[:1]).weight.sum().backward()
    assert (router.gate.weight.grad[1] == 0).all() and router.gate.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("active", "factor"), [(4, 1.2), (2, 1.0), (1, 1 / 1.2)])
def test_remoe_penalty_follows_the_density(active, factor):
    """Too dense: it rises; on target: it stays; too sparse: it falls. At evaluation nothing moves."""
    logits = torch.full((5, 4), -1.0)
    logits[:, :active] = 1.0
    router = logit_router("remoe", 4, k=2, l1_start=0.01)
    router.after_step(router(logits))
    assert router.l1.item() == pytest.approx(0.01 * factor, rel=1e-5)
    assert "l1" in router.state_dict()


def test_remoe_reaches_its_target():
    torch.manual_seed(0)
    layer = MoELayer(make_router("remoe", 16, 8, k=2, l1_start=1e-4), Experts(8, 16, 16))
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
    active = []
    for _ in range(400):
        x = (
            torch.randn(128, 16) + 1
        )  # uncentred, as hidden states are: a linear gate opens half its experts to centred tokens
        y, routing = layer(x)
        optimizer.zero_grad()
        ((y - x.flip(1)).square().mean() + routing.aux["l1"]).backward()
        optimizer.step()
        layer.router.after_step(routing)
        active.append(routing.pre_counts.sum().item() / 128)
    assert active[0] > 3 and sum(active[-50:]) / 50 == pytest.approx(2, abs=0.35)


def test_remoe_penalty_is_bounded():
    router = logit_router("remoe", 4, k=1, l1_growth=2.0)
    for _ in range(200):
        routing = router(torch.ones(3, 4))
        router.after_step(routing)
    assert torch.isfinite(routing.aux["l1"]) and router.l1 == 100
    for _ in range(200):
        router.after_step(router(-torch.ones(3, 4)))
    assert router.l1 > 0


# -- kmeans ----------------------------------------------------------------------------------------------------------------


def inertia(x: torch.Tensor, centroids: torch.Tensor) -> float:
    return torch.cdist(x, centroids).square().amin(1).sum().item()


@pytest.mark.parametrize("seed", range(4))
def test_kmeans_is_as_good_as_sklearn(seed):
    points, _ = make_blobs(1024, n_features=8, centers=6, random_state=seed)
    x = torch.tensor(points, dtype=torch.float32)
    torch.manual_seed(seed)
    router = make_router("kmeans", 8, 6, distance="euclidean", decay=0.9)
    for _ in range(60):
        batch = x[torch.randperm(1024)[:256]]
        router.after_step(router(batch))
    best = KMeans(6, n_init=10, random_state=seed).fit(points).inertia_
    assert inertia(x, router.centroids) <= 1.03 * best


def test_kmeans_running_mean_by_hand():
    """decay = 1 is the plain mean of everything a centroid has had; two training forwards count as one step."""
    router = make_router("kmeans", 2, 2, distance="euclidean", decay=1.0, revive_below=0.0)
    router(torch.tensor([[0.0, 0.0], [10.0, 0.0]]))
    order = router.centroids[:, 0].argsort()
    router(torch.tensor([[2.0, 0.0], [2.0, 2.0]]))
    router.after_step(None)
    near, far = router.centroids[order]
    assert torch.allclose(near, torch.tensor([4 / 3, 2 / 3])) and torch.allclose(far, torch.tensor([10.0, 0.0]))
    router(torch.tensor([[0.0, -2.0]]))
    router.after_step(None)
    assert torch.allclose(router.centroids[order[0]], torch.tensor([1.0, 0.0]))


def test_kmeans_by_direction_or_place():
    router = make_router("kmeans", 2, 2).eval()
    router.centroids.copy_(torch.tensor([[1.0, 0.0], [0.0, 5.0]]))
    x = torch.tensor([[9.0, 1.0], [0.1, 0.2]])
    routing = router(x)
    assert routing.expert_idx.tolist() == [0, 1] and routing.weight.tolist() == [1.0, 1.0]
    assert torch.allclose(routing.logits[:, 0] * 0.1, x[:, 0] / x.norm(dim=1))
    router.options = router.options.model_copy(update={"distance": "euclidean", "k": 2})
    routing = router(x)
    assert routing.expert_idx.tolist() == [0, 1, 0, 1]
    assert torch.allclose(routing.logits[1] * 0.1, -torch.tensor([0.81 + 0.04, 0.01 + 4.8**2]) / 2)
    assert torch.allclose(dense_weights(routing).sum(1), torch.ones(2))


def test_kmeans_evaluation_changes_nothing_and_a_checkpoint_brings_all_back():
    router = make_router("kmeans", 4, 3)
    for _ in range(3):
        router.after_step(router(torch.randn(32, 4)))
    before = copy.deepcopy(router.state_dict())
    router.eval()
    router(torch.randn(32, 4) + 5)
    assert all(torch.equal(before[name], value) for name, value in router.state_dict().items())
    again = make_router("kmeans", 4, 3)
    again.load_state_dict(before)
    batch = torch.randn(32, 4)
    for one in (router.train(), again):
        one.after_step(one(batch))
    assert torch.equal(router.centroids, again.centroids) and not torch.equal(router.centroids, before["centroids"])
    assert list(router.parameters()) == []


def test_kmeans_rescues_an_unused_centroid():
    torch.manual_seed(0)
    x = torch.cat([torch.randn(50, 2) * 0.1 + torch.tensor(c) for c in ([0.0, 0.0], [5.0, 0.0], [0.0, 5.0])])
    router = make_router("kmeans", 2, 3, distance="euclidean", decay=0.9)
    router(x)
    router.centroids[0] = torch.tensor([99.0, 99.0])
    for _ in range(80):
        router.after_step(router(x))
    assert router(x).pre_counts.tolist() == [50.0] * 3


# -- random ----------------------------------------------------------------------------------------------------------------


def test_random_counts_are_uniform_and_blind():
    torch.manual_seed(0)
    router = make_router("random", 4, 8, k=2)
    counts = sum(router(torch.full((500, 4), float(i))).pre_counts for i in range(20))
    expected = 20 * 500 * 2 / 8
    # k of E without replacement: each expert's count has variance n (k/E)(1 - k/E); 24.3 is the 99.9 % point of chi-square with 7.
    chi_square = ((counts - expected) ** 2 / (expected * (1 - 2 / 8))).sum() * 7 / 8
    assert chi_square < 24.3
    routing = router(torch.randn(200, 4))
    assert (dense_weights(routing) > 0).sum(1).eq(2).all() and routing.weight.eq(0.5).all()
    assert routing.logits is None and list(router.parameters()) == []


def test_random_per_batch():
    torch.manual_seed(0)
    router = make_router("random", 4, 8, k=2, per="batch")
    draws = [router(torch.zeros(30, 4)).pre_counts for _ in range(10)]
    assert all(sorted(draw.tolist()) == [0.0] * 6 + [30.0] * 2 for draw in draws)
    assert len({tuple(draw.tolist()) for draw in draws}) > 1


def test_random_is_reproducible_and_evaluation_disturbs_nothing():
    x = torch.zeros(50, 4)

    def run(look: bool) -> list[torch.Tensor]:
        torch.manual_seed(3)
        router = make_router("random", 4, 8)
        seen = []
        for _ in range(3):
            seen.append(router.train()(x).expert_idx)
            if look:
                assert torch.equal(router.eval()(x).expert_idx, router(x).expert_idx)
        return seen

    assert all(torch.equal(a, b) for a, b in zip(run(False), run(True)))
    first, second = make_router("random", 4, 8).eval(), make_router("random", 4, 8).eval()
    assert not torch.equal(first(x).expert_idx, second(x).expert_idx), "layers must not draw alike"
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x).expert_idx, second(x).expert_idx)


def test_random_averages_at_evaluation_if_asked():
    routing = make_router("random", 4, 5, evaluation="average").eval()(torch.zeros(3, 4))
    assert torch.allclose(dense_weights(routing), torch.full((3, 5), 0.2))


def test_draws_apart_from_a_first_pass_meet_other_experts():
    router, x = make_router("random", 4, 6, k=2), torch.randn(200, 4)
    first = router(x).route_expert.view(-1, 2)
    router.apart_from = first
    second = router(x).route_expert.view(-1, 2)
    assert not (first[:, :, None] == second[:, None, :]).any()


def test_a_centroid_that_no_token_likes_moves_to_one_that_is_badly_served():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(20, 1) + 0.1 * torch.rand(40, 2)
    router = make_router("kmeans", 2, 3, k=1)
    router.after_step(router(x))
    with torch.no_grad():
        router.centroids.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        router.mass[2] = 0.0
    for _ in range(100):
        router.after_step(router(x))
    assert (router.centroids > 0).any(-1).all(), "the third lay where no token is"

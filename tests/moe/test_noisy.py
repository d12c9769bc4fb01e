"""Noisy top-k and V-MoE: gates, smooth load and importance against references written here with numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from moe_viz.moe import make_router
from moe_viz.moe.balance import smooth_load
from moe_viz.spec import PRESETS
from tests.moe.logit_router import dense_kept, dense_weights, logit_router

T, E, K = 40, 6, 2


def _logits(seed=0, n_tokens=T):
    return torch.randn(n_tokens, E, generator=torch.Generator().manual_seed(seed))


def _softmax(rows):
    rows = np.exp(rows - rows.max(-1, keepdims=True))
    return rows / rows.sum(-1, keepdims=True)


def _cv_squared(values):
    return values.var() / values.mean() ** 2


@pytest.fixture
def noise(monkeypatch):
    """The noise that every router draws in this test, [T, E]."""
    drawn = torch.randn(T, E, generator=torch.Generator().manual_seed(99))
    monkeypatch.setattr(torch, "randn_like", lambda like: drawn.to(like.dtype))
    return drawn.numpy()


def _noisy_router(k=K, **options):
    router = logit_router("noisy_topk", E, k=k, **options)
    with torch.no_grad():
        router.noise_gate.weight.copy_(torch.randn(E, E, generator=torch.Generator().manual_seed(3)) * 0.5)
    return router


def _std(router, x):
    return np.log1p(np.exp(x.numpy() @ router.noise_gate.weight.detach().numpy().T)) + router.options.noise_epsilon


def _load_by_hand(clean, noisy, std, k):
    """Sum over tokens of P(expert i stays among the k best if its own noise is drawn again), expert by expert."""
    load = np.zeros(clean.shape[1])
    for t in range(clean.shape[0]):
        for i in range(clean.shape[1]):
            others = np.sort(np.delete(noisy[t], i))[::-1]
            load[i] += norm.cdf((clean[t, i] - others[k - 1]) / std[t, i])
    return load


@pytest.mark.parametrize("k", [2, 3, 5])
def test_noisy_topk_in_training(noise, k):
    x, router = _logits(), _noisy_router(k).train()
    routing = router(x)
    clean, std = x.numpy(), _std(router, x)
    noisy = clean + noise * std
    gates = np.zeros((T, E))
    for t in range(T):
        best = np.argsort(-noisy[t])[:k]
        gates[t, best] = _softmax(noisy[t, best])
    np.testing.assert_allclose(dense_weights(routing).detach().numpy(), gates, atol=1e-6)
    np.testing.assert_allclose(routing.logits.detach().numpy(), clean, atol=1e-6)
    np.testing.assert_allclose(routing.info["load"].numpy(), _load_by_hand(clean, noisy, std, k), atol=1e-4)
    assert routing.aux["importance"].item() == pytest.approx(_cv_squared(gates.sum(0)), abs=1e-5)
    load = _load_by_hand(clean, noisy, std, k)
    assert routing.aux["load"].item() == pytest.approx(_cv_squared(load), abs=1e-5)


def test_load_is_the_expected_number_of_tokens():
    """Over fresh noise, mean smooth load = mean count of tokens that chose the expert, for each expert by itself."""
    copies, n_tokens = 20_000, 5
    x = _logits(4, n_tokens).repeat(copies, 1)
    torch.manual_seed(0)
    routing = _noisy_router().train()(x)
    load, count = routing.info["load"] / copies, routing.pre_counts / copies
    torch.testing.assert_close(load, count, atol=5 * (n_tokens * 0.25 / copies) ** 0.5, rtol=0)
    assert load.sum().item() == pytest.approx(n_tokens * K, rel=0.01)
    assert count.max() / count.min() > 1.3  # the case tells experts apart


def test_noise_is_for_training_only():
    x, router = _logits(), _noisy_router()
    first, second = router.eval()(x), router(x)
    assert torch.equal(first.weight, second.weight)
    gates = torch.zeros(T, E).scatter(1, x.topk(K).indices, x.topk(K).values.softmax(-1))
    torch.testing.assert_close(dense_weights(first), gates)
    assert torch.equal(first.info["load"], torch.bincount(first.expert_idx, minlength=E).float())
    router.train()
    assert not torch.equal(router(x).weight, router(x).weight)
    silent = _noisy_router(noise=0.0).train()
    assert torch.equal(silent(x).weight, first.weight)


def test_cv_of_importance_is_0_when_even_and_E_minus_1_when_one_hot():
    even = torch.eye(E).repeat(4, 1) * 30 + torch.eye(E).roll(1, 0).repeat(4, 1) * 30
    assert logit_router("noisy_topk", E).eval()(even).aux["importance"].item() == pytest.approx(0, abs=1e-6)
    one = torch.zeros(T, E)
    one[:, 2] = 200.0
    routing = logit_router("noisy_topk", E).eval()(one)
    assert routing.aux["importance"].item() == pytest.approx(E - 1, rel=1e-4)


def test_load_loss_teaches_both_gates():
    torch.manual_seed(0)
    router = _noisy_router().train()
    router(_logits()).aux["load"].backward()
    assert router.gate.weight.grad.abs().sum() > 0
    assert router.noise_gate.weight.grad.abs().sum() > 0


def test_all_experts_have_full_load_when_k_is_all():
    routing = _noisy_router(k=E).train()(_logits())
    assert torch.equal(routing.info["load"], torch.full((E,), float(T)))
    assert routing.aux["load"].item() == 0


def test_paper_starts_from_equal_scores_and_lets_noise_choose():
    options = dict(PRESETS["noisy_topk_paper"])
    router = make_router(options.pop("name"), d_model=8, n_experts=8, **options)
    assert router.gate.weight.abs().sum() == 0
    torch.manual_seed(1)
    counts = router.train()(torch.randn(4000, 8)).pre_counts
    assert (counts / 4000 - 0.5).abs().max() < 0.05  # k = 4 of 8
    assert router.eval()(torch.randn(10, 8)).pre_counts.tolist() == [10] * 4 + [0] * 4


# -- V-MoE -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3])
def test_vmoe_in_training(noise, k):
    x = _logits()
    routing = logit_router("vmoe", E, k=k, noise=1.0).train()(x)
    clean, std = x.numpy(), 1 / E
    noisy = clean + noise * std
    probs = _softmax(noisy)
    threshold = np.sort(noisy, axis=1)[:, -k]
    chosen = noisy >= threshold[:, None]
    np.testing.assert_allclose(dense_weights(routing).detach().numpy(), probs * chosen, atol=1e-6)
    load = norm.cdf((clean - threshold[:, None]) / std).mean(0)
    assert routing.aux["load"].item() == pytest.approx(_cv_squared(load), abs=1e-5)
    assert routing.aux["importance"].item() == pytest.approx(_cv_squared(_softmax(clean).sum(0)), abs=1e-5)


def test_the_two_loads_differ_by_the_threshold(monkeypatch):
    """V-MoE compares a chosen expert with the k-th best, itself included; noisy top-k with the best that would take its place."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    x = torch.tensor([[2.0, 1.0, 0.0]])
    including = logit_router("vmoe", 3, k=1, noise=3.0).train()(x).info["load"]  # a standard deviation of 3/E = 1
    assert including.tolist() == pytest.approx([0.5, norm.cdf(-1.0), norm.cdf(-2.0)])
    excluding = smooth_load(x, x, 1.0, 1)[0]
    assert excluding.tolist() == pytest.approx([norm.cdf(1.0), norm.cdf(-1.0), norm.cdf(-2.0)])


def test_vmoe_serves_the_surest_tokens_first():
    x = _logits(5, 120) * 2
    routing = logit_router("vmoe", E, k=1, capacity_factor=0.5).eval()(x)
    gate, expert = x.softmax(-1).max(-1)
    kept = dense_kept(routing).sum(1).bool()
    assert routing.dropped.any()
    for e in range(E):
        mine = expert == e
        if (mine & ~kept).any():
            assert gate[mine & ~kept].max() <= gate[mine & kept].min()


def test_vmoe_with_room_for_all_is_plain_topk():
    x = _logits(6)
    roomy = logit_router("vmoe", E, k=2, capacity_factor=float(E)).eval()(x)
    first_come = logit_router("vmoe", E, k=2, capacity_factor=float(E), drop_policy="position").eval()(x)
    plain = logit_router("olmoe", E, k=2).eval()(x)
    assert not roomy.dropped.any()
    assert torch.equal(dense_weights(roomy), dense_weights(first_come))
    torch.testing.assert_close(dense_weights(roomy), dense_weights(plain))

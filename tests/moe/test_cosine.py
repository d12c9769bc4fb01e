"""The cosine router: bounded scores, invariance to lengths, and a reference written with numpy."""

import numpy as np
import pytest
import torch

from moe_viz.moe import make_router


def _router(**options):
    torch.manual_seed(0)
    return make_router("cosine", d_model=12, n_experts=5, **{"proj_dim": 4, **options})


@pytest.mark.parametrize("normalise", [True, False])
def test_logits_by_hand(normalise):
    router, x = _router(temperature=0.25, normalise_input=normalise), torch.randn(30, 12)
    weight, bias = (p.detach().double().numpy() for p in (router.projection.weight, router.projection.bias))
    token = x.double().numpy() @ weight.T + bias
    if normalise:
        token = token / np.linalg.norm(token, axis=1, keepdims=True)
    expert = router.expert_vectors.detach().double().numpy()
    expert = expert / np.linalg.norm(expert, axis=1, keepdims=True)
    np.testing.assert_allclose(router(x).logits.detach().numpy(), token @ expert.T / 0.25, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_logits_are_bounded_whatever_the_size_of_a_token(temperature):
    router = _router(temperature=temperature)
    for size in (1e-3, 1.0, 1e4):
        assert router(torch.randn(200, 12) * size).logits.abs().max() <= 1 / temperature * (1 + 1e-5)


def test_lengths_do_not_matter():
    router, x = _router(), torch.randn(20, 12)
    before = router(x).logits
    with torch.no_grad():
        router.expert_vectors *= torch.rand(5, 1) * 9 + 0.1
        router.projection.weight *= 7
        router.projection.bias *= 7
    torch.testing.assert_close(router(x).logits, before)


def test_temperature_learns_and_stops_at_its_floor():
    router = _router()
    x = torch.randn(20, 12)
    router(x).weight.sum().backward()
    assert router.log_scale.grad.abs() > 0
    assert router.projection.weight.grad.abs().sum() > 0 and router.expert_vectors.grad.abs().sum() > 0
    with torch.no_grad():
        router.log_scale.fill_(50.0)
    assert router(x).logits.abs().max() <= 100 * (1 + 1e-5)
    assert router(x).info["temperature"].item() == pytest.approx(0.01)

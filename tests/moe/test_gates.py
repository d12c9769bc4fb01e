"""The hand-written gradient of softmax gates against autograd through the router's own steps, in float64."""

import pytest
import torch

from moe_viz.moe import ROUTERS, Experts, MoELayer, make_router
from moe_viz.moe.routers import TokenChoiceRouter

T, D, E = 12, 5, 4
CASES = [
    ("topk", {"k": 2}),
    ("topk", {"k": 1}),
    ("topk", {"k": 3, "renormalize": "never"}),
    ("topk", {"k": 2, "capacity_factor": 0.6}),
    ("topk", {"k": 2, "capacity_factor": 0.6, "renormalize": "after_drop"}),
    ("topk", {"k": 2, "capacity_factor": 0.6, "drop_policy": "reroute"}),
    ("topk", {"k": 2, "capacity_factor": 0.6, "drop_policy": "probability", "noise": 1.0}),
    ("switch", {"jitter": 0.1, "capacity_factor": 0.5}),
    ("mixtral", {"k": 2}),
    ("olmoe", {"k": 3}),
    ("gshard", {"second_expert": "random", "capacity_factor": 0.5}),
    ("gshard", {"second_expert": "random", "renormalize": "after_drop", "capacity_factor": 0.5}),
    ("gshard", {"second_expert": "sampling"}),
    ("st_moe", {"threshold": 0.6}),
    ("st_moe", {"renormalize": "never"}),
    ("nllb", {}),
    ("residual", {}),
    ("cosine", {"k": 2}),
]


def _outcome(router, x, group_size, plain, monkeypatch):
    """Everything differentiable that the router returns, and its gradients for fixed cotangents of all of it."""
    with monkeypatch.context() as patch:
        if plain:
            patch.setattr(type(router), "one_gradient", False)
        torch.manual_seed(3)
        routing = router(x, group_size=group_size)
    outputs = [routing.logits, routing.probs, routing.route_weight, routing.aux["balance"], routing.aux["z"]]
    cotangents = [torch.sin(torch.arange(o.numel(), dtype=o.dtype) + i).view(o.shape) for i, o in enumerate(outputs)]
    wanted = [x, routing.logits, next(router.parameters())]
    through_probs = torch.autograd.grad(outputs[1:4], routing.probs, cotangents[1:4], retain_graph=True)
    each = [torch.autograd.grad(o, wanted, c, retain_graph=True) for o, c in zip(outputs, cotangents)]
    together = torch.autograd.grad(outputs, wanted, cotangents)
    return [*outputs, *through_probs, *(gradient for pair in each for gradient in pair), *together]


@pytest.mark.parametrize("group_size", [None, 4])
@pytest.mark.parametrize("name, options", CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_the_gradient_is_that_of_the_steps(name, options, group_size, monkeypatch):
    torch.manual_seed(0)
    router = make_router(name, D, E, **options).double().train()
    torch.nn.init.normal_(next(router.parameters()))
    assert router.one_gradient
    router.balance_group = group_size
    x = torch.randn(T, D, dtype=torch.float64, requires_grad=True)
    found, expected = (_outcome(router, x, group_size, plain, monkeypatch) for plain in (False, True))
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_the_gradient_by_finite_differences():
    torch.manual_seed(0)
    router = make_router("topk", D, E, k=2, capacity_factor=0.75, renormalize="after_drop").double()

    def outputs(x, gate):
        routing = torch.func.functional_call(router, {"gate.weight": gate}, (x,))
        return routing.logits, routing.probs, routing.route_weight, *routing.aux.values()

    inputs = [torch.randn(size, D, dtype=torch.float64, requires_grad=True) for size in (7, E)]
    assert torch.autograd.gradcheck(outputs, inputs)


def test_a_router_with_steps_of_its_own_is_left_to_autograd():
    own = [name for name in ROUTERS if not getattr(make_router(name, 4, 4), "one_gradient", False)]
    assert {"dense", "dbrx", "noisy_topk", "deepseek_v3", "kmeans", "hierarchical", "remoe"} <= set(own)
    assert not make_router("topk", 4, 4, score="sigmoid").one_gradient

    class Halved(TokenChoiceRouter):
        def weights(self, c, expert):
            return super().weights(c, expert) / 2

    assert not Halved.one_gradient


@pytest.mark.parametrize("name", list(ROUTERS))
def test_without_tokens_every_term_is_zero(name):
    router = make_router(name, 4, 4)
    for router.balance_group in (None, 2):
        for mode in (True, False):
            routing = router.train(mode)(torch.zeros(0, 4, requires_grad=True), torch.zeros(0, dtype=torch.int64))
            for term, value in routing.aux.items():
                assert value.item() == pytest.approx(0, abs=1e-6), term
                if value.requires_grad:
                    value.backward(retain_graph=True)
    for parameter in router.parameters():
        assert parameter.grad is None or not parameter.grad.isnan().any()


@pytest.mark.parametrize("name", list(ROUTERS))
@pytest.mark.parametrize("half_input", [False, True])
def test_half_precision_changes_a_training_step_only_a_little(name, half_input):
    """Under autocast the experts compute in bfloat16, the router in float32; parameters keep float32 gradients."""
    torch.manual_seed(0)
    layer = MoELayer(make_router(name, 16, 4), Experts(4, 16, 32), n_shared=1)
    x, ids = torch.randn(64, 16).bfloat16().float(), torch.randint(256, (64,))

    def step(half):
        layer.zero_grad()
        torch.manual_seed(1)
        seen = (x.bfloat16() if half and half_input else x).clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y, routing = layer(seen, ids)
        (y.float().square().mean() + sum(routing.aux.values())).backward()
        return y.float(), seen.grad.float(), layer.experts.w1.grad, layer.experts.w2.grad

    exact, rough = step(False), step(True)
    for one, other in zip(rough, exact):
        assert one.dtype == torch.float32
        assert (one - other).norm() <= 0.1 * other.norm()

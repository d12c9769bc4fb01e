"""The plain top-k line, the fixed routers, and the registry that builds them all."""

import pytest
import torch

from moe_viz.moe import ROUTERS, Experts, MoELayer, make_router
from moe_viz.moe.routers.base import full_precision, softmax, top_k
from moe_viz.spec import ROUTER_OPTIONS, router_options
from tests.moe.logit_router import dense_weights, logit_router


def test_every_declared_router_has_a_module():
    assert ROUTERS.keys() == ROUTER_OPTIONS.keys()


@pytest.mark.parametrize(
    "arguments, options, words",
    [
        (("switchh", 4, 4), {}, "unknown router 'switchh'"),
        (("topk", 4, 4), {"k": 5}, "k = 5 is more than the 4 experts"),
        (("topk", 4, 0), {}, "n_experts = 0"),
        (("topk", 4, 4), {"kk": 2}, "kk"),
        (("topk", 4, 4), {"k": 1, "renormalize": "before_drop"}, "no gradient"),
    ],
)
def test_bad_requests_are_named(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        make_router(*arguments, **options)


def test_router_and_experts_must_agree():
    with pytest.raises(ValueError, match=r"n_experts = 4, experts have 8"):
        MoELayer(make_router("topk", 4, 4), Experts(8, 4, 4))
    with pytest.raises(ValueError, match="activation = 'swish'"):
        Experts(4, 4, 4, "swish")


def test_ties_go_to_the_lowest_expert():
    for k in (1, 3, 6):
        assert top_k(torch.zeros(5, 8), k).tolist() == [list(range(k))] * 5


@pytest.mark.parametrize("k", [1, 2, 4, 5, 8])
def test_top_k_is_torch_topk_without_ties(k):
    scores = torch.randn(50, 8)
    assert torch.equal(top_k(scores, k), scores.topk(k, -1).indices)


def test_softmax_is_torch_softmax():
    logits = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(softmax(logits), logits.softmax(-1))
    probe = torch.randn(7, 5, dtype=torch.float64)
    found, wanted = (torch.autograd.grad(f, logits, probe)[0] for f in (softmax(logits), logits.softmax(-1)))
    torch.testing.assert_close(found, wanted)


def test_gate_is_a_linear_map_that_stays_precise():
    gate, x = torch.nn.Linear(4, 3, bias=False), torch.randn(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = full_precision(gate, x)
    torch.testing.assert_close(found, x @ gate.weight.T)


@pytest.mark.parametrize("k", [2, 3])
def test_mixtral_equals_softmax_over_the_chosen_logits(k):
    logits = torch.randn(20, 8)
    values, experts = logits.topk(k, -1)
    wanted = torch.zeros(20, 8).scatter(1, experts, values.softmax(-1))
    torch.testing.assert_close(dense_weights(logit_router("mixtral", 8, k=k)(logits)), wanted)
    torch.testing.assert_close(dense_weights(logit_router("topk", 8, k=k)(logits)), wanted)


def test_sigmoid_gates():
    logits = torch.randn(20, 8)
    routing = logit_router("topk", 8, k=2, score="sigmoid", renormalize="never")(logits)
    kept = dense_weights(routing) > 0
    torch.testing.assert_close(dense_weights(routing)[kept], logits.sigmoid()[kept])
    torch.testing.assert_close(routing.probs, logits.sigmoid() / logits.sigmoid().sum(-1, keepdim=True))


def test_switch_weight_is_the_probability():
    logits = torch.randn(20, 8)
    routing = logit_router("switch", 8)(logits)
    torch.testing.assert_close(routing.weight, logits.softmax(-1).max(-1).values)
    assert torch.equal(routing.expert_idx, logits.argmax(-1))


def test_jitter_is_even_on_both_sides_of_one():
    factor = logit_router("switch", 4, jitter=0.5)(torch.ones(500, 4)).logits
    assert 0.5 <= factor.min() < 0.55 and 1.45 < factor.max() <= 1.5 and abs(factor.mean().item() - 1) < 0.05


def test_only_the_router_sees_jittered_input():
    layer = MoELayer(make_router("switch", 4, 2, jitter=0.5), Experts(2, 4, 4))
    x = torch.randn(16, 4)
    before, seen = x.clone(), []
    layer.router.gate.weight.data.zero_()
    y, routing = layer(x)
    assert torch.equal(x, before)
    seen = torch.stack(
        [
            (x[t] @ layer.experts.w1[e]).relu() @ layer.experts.w2[e]
            for t, e in zip(routing.token_idx, routing.expert_idx)
        ]
    )
    torch.testing.assert_close(y, routing.weight[:, None] * seen)
    torch.nn.init.normal_(layer.router.gate.weight)
    first, second = layer.router(x).logits, layer.router(x).logits
    assert not torch.equal(first, second)
    plain = x @ layer.router.gate.weight.T
    bound = 0.5 * x.abs() @ layer.router.gate.weight.abs().T
    assert ((first - plain).abs() <= bound + 1e-6).all()
    torch.testing.assert_close(layer.router.eval()(x).logits, plain)


def test_noise_changes_the_choice_in_training_only():
    router = make_router("topk", 4, 8, noise=5.0)
    x = torch.randn(200, 4)
    assert not torch.equal(router(x).route_expert, router(x).route_expert)
    assert torch.equal(router.eval()(x).route_expert, router(x).route_expert)


def test_live_options_are_read_at_each_forward():
    router = make_router("topk", 4, 8, k=2)
    assert router(torch.randn(6, 4)).per_token == 2
    router.options = router_options("topk", k=3, capacity_factor=1.0)
    routing = router(torch.randn(8, 4))
    assert (routing.per_token, routing.capacity) == (3, 3)


def test_dense_blends_every_expert():
    layer = MoELayer(make_router("dense", 4, 3), Experts(3, 4, 4)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    y, routing = layer(x)
    outputs = layer.experts(x.expand(3, 5, 4))
    torch.testing.assert_close(y, torch.einsum("te,etd->td", routing.probs, outputs))


def test_hard_winner_passes_no_gradient_unless_straight_through():
    x = torch.randn(32, 4)
    gradients = []
    for straight_through in (False, True):
        torch.manual_seed(0)
        layer = MoELayer(make_router("hard", 4, 4, straight_through=straight_through), Experts(4, 4, 4))
        y, routing = layer(x)
        assert routing.weight.eq(1).all()
        y.sum().backward()
        gradients.append(layer.router.gate.weight.grad)
    assert gradients[0] is None and gradients[1].abs().max() > 0


def test_hash_is_blind_to_context_and_survives_a_checkpoint():
    router, other = (make_router("hash", 4, 4, scheme="random", vocab_size=50) for _ in range(2))
    ids = torch.randint(50, (100,))
    expert = router(torch.randn(100, 4), ids).expert_idx
    assert torch.equal(expert, router.eval()(torch.randn(100, 4), ids).expert_idx)
    assert torch.equal(expert, router.table[ids])
    other.load_state_dict(router.state_dict())
    assert torch.equal(other.table, router.table)
    assert not list(router.parameters())
    with pytest.raises(ValueError, match="token_ids"):
        router(torch.randn(100, 4))


def test_balanced_hash_differs_by_at_most_the_largest_frequency():
    torch.manual_seed(0)
    counts = (torch.rand(200) ** 4 * 1000).round()
    router = make_router("hash", 4, 8, scheme="balanced", vocab_size=200)
    router.set_frequencies(counts)
    loads = torch.zeros(8).index_add(0, router.table, counts)
    assert loads.max() - loads.min() <= counts.max()
    assert loads.max() / loads.mean() < 1.01


def test_a_disabled_expert_falls_silent_and_routing_stays():
    for name in ("topk", "soft"):
        layer = MoELayer(make_router(name, 8, 4), Experts(4, 8, 8)).eval()
        x = torch.randn(16, 8)
        y, routing = layer(x)
        layer.disabled = frozenset({2})
        without, again = layer(x)
        torch.testing.assert_close(routing.probs, again.probs)
        layer.disabled = frozenset({0, 1, 3})
        torch.testing.assert_close(without + layer(x)[0], y)


def test_shared_experts_see_every_token():
    layer = MoELayer(make_router("switch", 4, 4, capacity_factor=0.25), Experts(4, 4, 4), n_shared=2)
    x = torch.randn(16, 4)
    y, routing = layer(x)
    shared = layer.shared
    torch.testing.assert_close(y[routing.dropped], ((x @ shared.w1[0]).relu() @ shared.w2[0])[routing.dropped])
    assert shared.w1.shape == (1, 4, 8)


def test_a_token_scales_the_shared_experts_by_its_own_gate():
    layer = MoELayer(make_router("switch", 4, 4, capacity_factor=0.25), Experts(4, 4, 4), n_shared=1, shared_gate=True)
    x = torch.randn(16, 4)
    y, routing = layer(x)
    share = 1 / (1 + (-(x * layer.shared_gate.weight[0]).sum(-1, keepdim=True)).exp())
    wanted = share * ((x @ layer.shared.w1[0]).relu() @ layer.shared.w2[0])
    torch.testing.assert_close(y[routing.dropped], wanted[routing.dropped])
    assert MoELayer(make_router("switch", 4, 4), Experts(4, 4, 4), shared_gate=True).shared_gate is None


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh", "identity", "swiglu"])
def test_activations_forward_and_backward(activation):
    experts = Experts(3, 4, 5, activation, bias=True).double()
    layer = MoELayer(make_router("topk", 4, 3, capacity_factor=0.8).double(), experts)
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    routing = layer.router(x)
    layout = experts(x.expand(3, 7, 4))
    wanted = torch.einsum("te,etd->td", dense_weights(routing), layout)
    found = layer.mix(x, routing)
    torch.testing.assert_close(found, wanted)
    leaves = [x, *experts.parameters(), layer.router.gate.weight]
    for ours, theirs in zip(
        *(torch.autograd.grad(y.square().sum(), leaves, retain_graph=True) for y in (found, wanted))
    ):
        torch.testing.assert_close(ours, theirs)

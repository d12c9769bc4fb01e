"""What must hold for every registered router, whatever its family. Exemptions come from the facts a router declares, not from its name."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from moe_viz.moe import ROUTERS, Experts, MoELayer, SoftRouting, SparseRouting, make_router
from moe_viz.moe.dispatch import plan_buffers, plan_sorted, run_experts
from moe_viz.spec import ROUTER_OPTIONS, causality

EVERY = pytest.mark.parametrize("name", list(ROUTERS))
VOCABULARY = 256
POLICIES = ("position", "probability", "random", "batch_priority", "reroute")


def build(name, n_experts, d_model=4, d_hidden=4, dtype=torch.float64, seed=0, experts=None, **options):
    """A layer with that router, or None where the router refuses this many experts (k and such are lowered first)."""
    torch.manual_seed(seed)
    options = {"slots_per_expert": 64, **{key: value for key, value in options.items() if value is not None}}
    known = {key: value for key, value in options.items() if key in ROUTER_OPTIONS[name].model_fields}
    for attempt in ({}, {"k": n_experts}, {"k": 1}):
        try:
            router = make_router(name, d_model, n_experts, **{**known, **attempt})
            break
        except ValueError:
            continue
    else:
        return None
    layer = MoELayer(router, Experts(n_experts, d_model, d_hidden, **(experts or {}))).to(dtype)
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def inputs(n_tokens, d_model=4, dtype=torch.float64, seed=1):
    torch.manual_seed(seed)
    return torch.randn(n_tokens, d_model, dtype=dtype), torch.randint(VOCABULARY, (n_tokens,))


def expert(experts, e, x):
    """f_e(x) written plainly."""
    h = x @ experts.w1[e] + (0 if experts.b1 is None else experts.b1[e])
    return F.relu(h) @ experts.w2[e] + (0 if experts.b2 is None else experts.b2[e])


def plain_loop(experts, x, routing):
    """y = sum over e of w_te f_e(x_t), one expert at a time, from the public fields of the routing alone."""
    y = torch.zeros_like(x)
    for e in range(experts.n_experts):
        if isinstance(routing, SoftRouting):
            y = y + routing.combine[:, e].to(x.dtype) @ expert(experts, e, routing.dispatch[:, e].to(x.dtype).T @ x)
            continue
        mine = routing.expert_idx == e
        rows = x[routing.token_idx[mine]]
        if routing.in_weight is not None:
            rows = rows * routing.in_weight[mine][:, None]
        y = y.index_add(
            0, routing.token_idx[mine], routing.weight[mine][:, None].to(x.dtype) * expert(experts, e, rows)
        )
    return y


def gradients(y, layer, x):
    wanted = [x, *layer.experts.parameters(), *layer.router.parameters()]
    probe = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).view_as(y)
    return torch.autograd.grad(y, wanted, probe, retain_graph=True, allow_unused=True)


def assert_same_as_loop(layer, x, ids, atol):
    routing = layer.router(x.requires_grad_(), ids)
    y, expected = layer.mix(x, routing), plain_loop(layer.experts, x, routing)
    torch.testing.assert_close(y, expected, atol=atol, rtol=atol)
    for found, wanted in zip(gradients(y, layer, x), gradients(expected, layer, x)):
        if found is None or wanted is None:
            assert (found is None or not found.any()) and (wanted is None or not wanted.any())
        else:
            torch.testing.assert_close(found, wanted, atol=atol, rtol=atol)


SHAPES = st.tuples(st.integers(1, 12), st.sampled_from([1, 2, 3, 4, 8]), st.sampled_from([3, 4, 8]))


@EVERY
@settings(max_examples=12)
@given(
    shape=SHAPES, factor=st.sampled_from([None, 0.5, 1.0, 2.0]), policy=st.sampled_from(POLICIES), bias=st.booleans()
)
def test_dispatch_equals_the_plain_loop_with_all_gradients(name, shape, factor, policy, bias):
    n_tokens, n_experts, d_model = shape
    options = {"capacity_factor": factor, "drop_policy": policy}
    layer = build(name, n_experts, d_model, 5, experts={"bias": bias}, **options)
    if layer is not None:
        assert_same_as_loop(layer, *inputs(n_tokens, d_model), atol=1e-9)


@EVERY
@pytest.mark.parametrize("factor", [None, 0.7])
@pytest.mark.parametrize("bias", [False, True])
def test_grouped_products_equal_the_plain_loop(name, factor, bias):
    layer = build(name, 8, 8, 12, torch.float32, experts={"bias": bias}, capacity_factor=factor)
    assert layer.experts.can_group(torch.zeros(1, 8))
    assert_same_as_loop(layer, *inputs(40, 8, torch.float32), atol=2e-5)


@EVERY
def test_buffers_equal_sorted_rows(name):
    """The two ways of laying out rows give one answer; which one runs depends on device, type and sizes."""
    layer = build(name, 4, 8, 12, torch.float32, capacity_factor=0.7)
    x, ids = inputs(24, 8, torch.float32)
    routing = layer.router(x, ids)
    if isinstance(routing, SparseRouting):
        weight = routing.route_weight
        both = [run_experts(layer.experts, x, weight, None, plan(routing)) for plan in (plan_sorted, plan_buffers)]
        torch.testing.assert_close(*both, atol=1e-5, rtol=1e-5)


@EVERY
@settings(max_examples=15)
@given(shape=SHAPES, factor=st.sampled_from([None, 0.3, 1.0, 1.25]), policy=st.sampled_from(POLICIES))
def test_routes_keep_to_their_buffers(name, shape, factor, policy):
    n_tokens, n_experts, d_model = shape
    layer = build(name, n_experts, d_model, capacity_factor=factor, drop_policy=policy)
    if layer is None:
        return
    x, ids = inputs(n_tokens, d_model)
    before = x.clone()
    _, routing = layer(x, ids)
    assert torch.equal(x, before), "the input was changed in place"
    assert not routing.pre_counts.requires_grad and not routing.post_counts.requires_grad
    if isinstance(routing, SoftRouting):
        return
    places = list(zip(routing.expert_idx.tolist(), routing.slot_idx.tolist()))
    assert len(set(places)) == len(places), "two routes share a slot"
    assert all(slot >= 0 for _, slot in places)
    pairs = list(zip(routing.token_idx.tolist(), routing.expert_idx.tolist()))
    assert len(set(pairs)) == len(pairs), "a token is sent to one expert twice"
    kept = torch.bincount(routing.expert_idx, minlength=n_experts)
    assert kept.tolist() == routing.post_counts.tolist()
    assert int(routing.requested.sum()) == int(routing.pre_counts.sum())
    assert not (routing.kept & ~routing.requested).any()
    assert not routing.route_weight[~routing.kept].any()
    if routing.capacity is None:
        assert torch.equal(routing.kept, routing.requested)
    else:
        assert all(slot < routing.capacity for _, slot in places)
        if policy != "reroute" and "drop_policy" in ROUTER_OPTIONS[name].model_fields:
            assert torch.equal(routing.post_counts, routing.pre_counts.clamp(max=routing.capacity))
    reached = torch.zeros(n_tokens, dtype=torch.bool)
    reached[routing.token_idx] = True
    assert torch.equal(routing.dropped, ~reached)
    assert not layer.mix(x, routing)[routing.dropped].any()


@EVERY
@pytest.mark.parametrize("n_tokens, n_experts", [(1, 1), (5, 1), (1, 8), (3, 8), (16, 4), (0, 4)])
def test_everything_stays_finite(name, n_tokens, n_experts):
    layer = build(name, n_experts, 8, 8, torch.float32, capacity_factor=1.0)
    if layer is None:
        pytest.skip(f"{name} refuses {n_experts} experts")
    x, ids = inputs(n_tokens, 8, torch.float32)
    y, routing = layer(x.requires_grad_(), ids)
    assert y.shape == x.shape
    terms = [term for term in routing.aux.values() if term.requires_grad]
    loss = y.sum() + sum(terms)
    if loss.requires_grad:  # without tokens, a router without weights has nothing to pass a gradient to
        loss.backward()
    for tensor in (
        y,
        *([] if n_tokens == 0 else routing.aux.values()),
        *(p.grad for p in layer.parameters() if p.grad is not None),
    ):
        assert tensor.isfinite().all()


@EVERY
def test_every_expert_may_be_chosen(name):
    if "k" in ROUTER_OPTIONS[name].model_fields and (layer := build(name, 2, k=2)) is not None:
        y, _ = layer(*inputs(6))
        assert y.isfinite().all()


@EVERY
def test_evaluation_is_deterministic_unless_declared_otherwise(name):
    layer = build(name, 4, capacity_factor=1.0).eval()
    x, ids = inputs(32)
    (first, _), (second, _) = layer(x, ids), layer(x, ids)
    assert torch.equal(first, second) or ROUTER_OPTIONS[name].facts.stochastic_eval


@EVERY
def test_task_gradient_reaches_the_router_where_declared(name):
    layer = build(name, 4)
    x, ids = inputs(64)
    y, _ = layer(x, ids)
    y.square().sum().backward()
    moved = any(p.grad is not None and p.grad.abs().max() > 1e-9 for p in layer.router.parameters())
    assert moved == ROUTER_OPTIONS[name].facts.differentiable


@EVERY
def test_a_causal_router_does_not_look_ahead(name):
    """Changing the last tokens leaves the output of the earlier ones alone, exactly where it is computed so (more in test_causality.py)."""
    x, ids = inputs(32)
    later_x, later_ids = x.clone(), ids.clone()
    later_x[20:], later_ids[20:] = torch.randn_like(x[20:]) * 3, torch.randint(VOCABULARY, (12,))

    def leaks(layer):
        outputs = []
        for tokens, numbers in ((x, ids), (later_x, later_ids)):
            torch.manual_seed(0)
            outputs.append(layer(tokens, numbers)[0][:20])
        return not torch.allclose(*outputs, atol=1e-12, rtol=0)

    plain, short = build(name, 4).eval(), build(name, 4, capacity_factor=0.5)
    if causality(plain.router.options, 4):
        assert not leaks(plain)
    else:
        assert leaks(short), "called not causal, but nothing leaks"


@EVERY
def test_permuting_tokens_permutes_the_output(name):
    facts = ROUTER_OPTIONS[name].facts
    if facts.stochastic_eval:
        pytest.skip("still random at evaluation")
    layer = build(name, 4).eval()
    x, ids = inputs(24)
    order = torch.randperm(24)
    torch.testing.assert_close(layer(x, ids)[0][order], layer(x[order], ids[order])[0], atol=1e-9, rtol=1e-9)


@EVERY
def test_the_router_stays_precise_under_autocast(name):
    layer = build(name, 4, 8, 8, torch.float32)
    x, ids = inputs(16, 8, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y, routing = layer(x, ids)
    assert y.isfinite().all()
    for tensor in (routing.probs, *([] if routing.logits is None else [routing.logits]), *routing.aux.values()):
        assert tensor.dtype == torch.float32


@EVERY
def test_bad_inputs_are_named(name):
    layer = build(name, 4)
    ids = torch.zeros(6, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"\[6, 5\]"):
        layer(torch.zeros(6, 5, dtype=torch.float64), ids)
    with pytest.raises(ValueError, match=r"6 tokens.*groups of 4"):
        layer(torch.zeros(6, 4, dtype=torch.float64), ids, group_size=4)

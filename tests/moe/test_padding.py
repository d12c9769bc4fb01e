"""A mask for padding: a batch with padded rows gives what the batch without them gives, for every router, drop policy and group size."""

import copy
from itertools import product

import pytest
import torch

from moe_viz.moe import ROUTERS, Experts, MoELayer, SoftRouting, SparseRouting, make_router
from moe_viz.moe.padding import INFO_OF_TOKENS
from moe_viz.training.metrics.statistics import layer_sums
from tests.moe.test_invariants import POLICIES, build, inputs

EVERY = pytest.mark.parametrize("name", list(ROUTERS))
N_REAL, N_ROWS = 24, 37


def padded(n_real: int, n_rows: int, seed: int):
    """x, ids and a random mask; padded rows hold what must never be read."""
    x, ids = inputs(n_rows, seed=seed)
    mask = torch.zeros(n_rows, dtype=torch.bool)
    mask[torch.randperm(n_rows)[:n_real]] = True
    x[~mask] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30]).double()
    ids[~mask] = -1  # no token: the hash table does not know it
    return x, ids, mask


def run(layer, x, ids, group_size, mask):
    torch.manual_seed(3)
    x = x.clone().requires_grad_()
    y, routing = layer(x, ids, group_size, mask=mask)
    reward = torch.arange(len(x)).double() if mask is None else torch.zeros(len(x)).double()
    if mask is not None:
        reward[mask] = torch.arange(int(mask.sum())).double()
        reward[~mask] = torch.nan
    aux = routing.aux | layer.router.feedback(routing, reward)
    loss = y.square().sum() + sum(aux.values())
    if loss.requires_grad:  # without tokens, a router without weights has nothing to pass a gradient to
        loss.backward()
    layer.router.after_step(routing)
    return (
        torch.zeros_like(x) if x.grad is None else x.grad,
        y.detach(),
        routing,
        {name: term.detach() for name, term in aux.items()},
    )


def assert_as_without_padding(layer, x, ids, mask, group_size=None):
    """Outputs, routes, losses, metrics, gradients and state are those of the batch without its padded rows."""
    other = copy.deepcopy(layer)
    grad, y, routing, aux = run(layer, x, ids, group_size, mask)
    grad_0, y_0, routing_0, aux_0 = run(other, x[mask], ids[mask], group_size, None)
    rows = mask.nonzero().squeeze(-1)
    same = {
        "y": (y[mask], y_0),
        "gradient of x": (grad[mask], grad_0),
        "probs": (routing.probs[mask], routing_0.probs),
        "asked": (routing.pre_counts, routing_0.pre_counts),
        "kept": (routing.post_counts, routing_0.post_counts),
        "dropped": (routing.dropped[mask], routing_0.dropped),
        **{name: (aux[name], aux_0[name]) for name in aux_0},
        **{f"sum {i}": pair for i, pair in enumerate(zip(layer_sums(routing), layer_sums(routing_0), strict=True))},
    }
    nothing = {
        "y": y[~mask],
        "gradient of x": grad[~mask],
        "probs": routing.probs[~mask],
        "dropped": routing.dropped[~mask],
    }
    if routing_0.logits is not None:
        same["logits"] = routing.logits[mask], routing_0.logits
    if routing_0.residual_mix is not None:
        same["residual_mix"] = routing.residual_mix[mask], routing_0.residual_mix
    if isinstance(routing_0, SparseRouting):
        same["tokens"] = routing.token_idx, rows[routing_0.token_idx]
        for name in ("expert_idx", "slot_idx", "weight"):
            same[name] = getattr(routing, name), getattr(routing_0, name)
    else:
        assert isinstance(routing, SoftRouting)
        for name in ("dispatch", "combine"):
            same[name] = getattr(routing, name)[mask], getattr(routing_0, name)
            nothing[name] = getattr(routing, name)[~mask]
    for name, value in routing_0.info.items():
        if isinstance(value, torch.Tensor):
            same[f"info {name}"] = routing.info[name][mask] if name in INFO_OF_TOKENS else routing.info[name], value
    for (name, mine), theirs in zip(layer.named_parameters(), other.parameters(), strict=True):
        assert (mine.grad is None) == (theirs.grad is None), name
        if mine.grad is not None:
            same[name] = mine.grad, theirs.grad
    same |= {name: (mine, theirs) for (name, mine), theirs in zip(layer.named_buffers(), other.buffers(), strict=True)}
    for name, (mine, theirs) in same.items():
        # x branches before its rows are taken, so what comes back is summed in another order; all else is equal to the bit.
        tolerance = 1e-12 if name == "gradient of x" else 0
        torch.testing.assert_close(
            mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m, name=name: f"{name}: {m}"
        )
    for name, values in nothing.items():
        assert not values.any(), name
    assert routing.capacity == routing_0.capacity and set(aux) == set(aux_0)


@EVERY
def test_a_padded_batch_is_routed_as_the_batch_without_padding(name):
    """Each policy, group size and mode meets each router once."""
    for seed, policy in enumerate(POLICIES):
        group_size = (None, 6, 24, 1, None)[seed]
        layer = build(name, 4, capacity_factor=0.75 if seed < 4 else None, drop_policy=policy).train(seed != 2)
        assert_as_without_padding(layer, *padded(N_REAL, N_ROWS, seed), group_size)


@pytest.mark.nightly
@pytest.mark.parametrize("policy", POLICIES)
@EVERY
def test_every_setting_routes_a_padded_batch_as_without_padding(name, policy):
    gates = ((1, "never"), (2, "before_drop"), (2, "after_drop"), (4, "never"))
    choices = product((0.4, 1.0, 16.0, None), (None, 1, 2, 12), (True, False), gates)
    for seed, (factor, group_size, training, (k, renormalize)) in enumerate(choices):
        layer = build(name, 4, capacity_factor=factor, drop_policy=policy, k=k, renormalize=renormalize, noise=0.3)
        if layer is not None:
            assert_as_without_padding(layer.train(training), *padded(12 * (seed % 4), 40, seed), group_size)


@EVERY
@pytest.mark.parametrize("n_real", [0, 1])
def test_no_or_one_real_token_is_routed_as_such_a_batch(name, n_real):
    assert_as_without_padding(build(name, 4, capacity_factor=1.0), *padded(n_real, 9, n_real))


@EVERY
def test_a_mask_without_padding_changes_nothing(name):
    x, ids = inputs(16)
    assert_as_without_padding(build(name, 4, capacity_factor=0.75), x, ids, torch.ones(16, dtype=torch.bool), 8)


@pytest.mark.parametrize("name", ["topk", "deepseek_v3", "kmeans", "hash", "nllb"])
def test_groups_of_balance_and_counts_of_a_whole_step_are_of_real_tokens(name):
    for settle in (
        lambda router: setattr(router, "balance_group", 6),
        lambda router: setattr(router, "global_counts", torch.ones(4, dtype=torch.float64)),
    ):
        layer = build(name, 4)
        settle(layer.router)
        assert_as_without_padding(layer, *padded(N_REAL, N_ROWS, 5))


def test_shared_experts_answer_real_tokens_alone():
    torch.manual_seed(0)
    layer = MoELayer(make_router("topk", 4, 4), Experts(4, 4, 8), n_shared=1, shared_gate=True).double()
    layer.disabled = frozenset({1})
    assert_as_without_padding(layer, *padded(N_REAL, N_ROWS, 6))


def test_a_shift_of_what_the_router_sees_leaves_padding_out():
    layer, (x, ids, mask) = build("switch", 4), padded(8, 12, 7)
    shift = torch.ones(4, dtype=torch.float64)
    y, routing = layer(x, ids, router_shift=shift, mask=mask)
    expected, plain = layer(x[mask], ids[mask], router_shift=shift)
    assert torch.equal(y[mask], expected) and torch.equal(routing.expert_idx, plain.expert_idx)


@EVERY
def test_what_a_router_shows_of_each_token_is_known_by_name(name):
    """T is a number that nothing else has, so what has as many rows is of tokens."""
    for training in (True, False):
        routing = build(name, 4, capacity_factor=1.0).train(training).router(*inputs(53))
        of_tokens = {k for k, v in routing.info.items() if isinstance(v, torch.Tensor) and v.shape[:1] == (53,)}
        assert of_tokens <= set(INFO_OF_TOKENS)


def test_half_precision_and_autocast_keep_their_types():
    layer = build("topk", 4, 8, 8, torch.float32)
    x, ids = inputs(12, 8, torch.float32)
    mask = torch.arange(12) < 7
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x, ids, mask=mask)[0].dtype == layer(x, ids)[0].dtype
    layer.bfloat16()
    y, routing = layer(x.bfloat16(), ids, mask=mask)
    assert y.dtype == torch.bfloat16 and routing.probs.dtype == torch.float32


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(12), r"bool tensor of shape \[12\].*torch.float32"),
        (torch.ones(12, dtype=torch.int64), "torch.int64"),
        (torch.ones(11, dtype=torch.bool), r"shape \[11\]"),
        (torch.ones(3, 4, dtype=torch.bool), r"shape \[3, 4\]"),
        ([True] * 12, "got list"),
    ],
)
def test_what_is_no_mask_is_refused_in_words(mask, words):
    layer, (x, ids) = build("topk", 4), inputs(12)
    for call in (layer, layer.router):
        with pytest.raises(ValueError, match=words):
            call(x, ids, mask=mask)


def test_groups_that_do_not_divide_the_real_tokens_are_refused_as_without_padding():
    layer, (x, ids, mask) = build("topk", 4), padded(10, 12, 8)
    with pytest.raises(ValueError, match="10 tokens cannot be routed in groups of 4"):
        layer(x, ids, 4, mask=mask)
    with pytest.raises(ValueError, match="token_ids has 10 entries for 12 rows"):
        layer(x, ids[mask], mask=mask)
    with pytest.raises(ValueError, match=r"shape \[tokens, 4\]; got \[3, 4, 4\]"):
        layer(x.view(3, 4, 4), ids, mask=mask)

"""The layer as others build on it: groups with room to spare, activation checkpointing, half precision, failed exports, any vocabulary."""

import copy

import pytest
import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from moe_viz.moe import ROUTERS, Experts, MoELayer, dispatch, make_router
from moe_viz.moe.dispatch import plan_buffers, run_experts
from moe_viz.moe.routing import ListedRouting, _kept_numbers, _kept_tokens, numbers, tokens_of_routes
from tests.moe.test_invariants import build, inputs, plain_loop

EVERY = pytest.mark.parametrize("name", list(ROUTERS))
STATEFUL = pytest.mark.parametrize("name", ["kmeans", "deepseek_v3", "remoe"])


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "soft"])
@pytest.mark.parametrize("group_size", [1, 2, 4])
def test_groups_with_more_slots_than_routes_sum_over_their_routes(name, group_size):
    layer = build(name, 4, capacity_factor=16.0)
    x, ids = inputs(8)
    y, routing = layer(x, ids, group_size)
    if routing.residual_mix is None:
        torch.testing.assert_close(y, plain_loop(layer.experts, x, routing))
    if isinstance(routing, ListedRouting):
        in_weight = routing.route_in_weight
        by_buffers = run_experts(layer.experts, x, routing.route_weight, in_weight, plan_buffers(routing))
        torch.testing.assert_close(by_buffers, plain_loop(layer.experts, x, routing))


@EVERY
def test_a_checkpointed_forward_counts_once(name):
    layer, again = (build(name, 4, dtype=torch.float32) for _ in range(2))
    x, ids = inputs(16, dtype=torch.float32)
    seen = []
    for one, repeats in ((layer, False), (again, True)):
        one.router.global_counts = torch.zeros(4)
        data = x.clone().requires_grad_()
        torch.manual_seed(5)

        def run(data, one=one):
            y, routing = one(data, ids)
            return y.square().sum() + sum(routing.aux.values()), routing

        loss, routing = checkpoint(run, data, use_reentrant=False) if repeats else run(data)
        loss.backward()
        one.router.after_step(routing)
        seen.append((one.router.global_counts, data.grad, dict(one.router.named_buffers())))
    torch.testing.assert_close(seen[1], seen[0])


def test_a_reentrant_checkpoint_leaves_counts_and_centroids_as_without_it():
    for name in ("topk", "kmeans"):
        seen = []
        for repeats in (False, True):
            layer = build(name, 4, dtype=torch.float32)
            layer.router.global_counts = torch.zeros(4)
            x, ids = inputs(16, dtype=torch.float32)
            kept = []

            def run(data, layer=layer, ids=ids, kept=kept):
                y, routing = layer(data, ids)
                kept.append(routing)
                return y

            data = x.requires_grad_()
            y = checkpoint(run, data, use_reentrant=True) if repeats else run(data)
            y.square().sum().backward()
            layer.router.after_step(kept[0])
            seen.append((layer.router.global_counts, dict(layer.router.named_buffers())))
        torch.testing.assert_close(seen[1], seen[0])


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_state_and_counts_stay_exact_in_half_precision(name, dtype):
    layer = build(name, 2, dtype=dtype)
    assert all(b.dtype.itemsize >= 4 for b in layer.router.buffers() if b.is_floating_point())
    assert all(p.dtype == dtype for p in layer.parameters())
    x = torch.ones(3001, 4, dtype=dtype)
    routing = layer(x, torch.zeros(3001, dtype=torch.int64))[1]
    assert routing.pre_counts.dtype.itemsize >= 4 and routing.post_counts.dtype.itemsize >= 4
    assert routing.probs.dtype.itemsize >= 4 and all(term.dtype.itemsize >= 4 for term in routing.aux.values())
    if name in (
        "hash",
        "topk",
        "switch",
        "deepseek_v3",
    ):  # equal tokens choose alike: a whole number that half precision lacks
        assert set(routing.pre_counts.tolist()) - {0.0} == {3001.0}


@STATEFUL
def test_state_moves_as_finely_in_half_precision_as_in_full(name):
    half = build(name, 4, dtype=torch.bfloat16)
    full = copy.deepcopy(half).float()
    for step in range(40):
        x, ids = inputs(64, dtype=torch.bfloat16, seed=step)
        for layer, data in ((half, x), (full, x.float())):
            layer.router.after_step(layer.router(data, ids))
    for (word, buffer), other in zip(half.router.named_buffers(), full.router.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, msg=word)


@EVERY
def test_a_refused_export_leaves_real_tensors_behind(name):
    _kept_numbers.cache_clear()
    _kept_tokens.cache_clear()
    layer = build(name, 4, dtype=torch.float32)
    x, ids = inputs(7, dtype=torch.float32)

    class Refused(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, ids):
            self.layer(x, ids)
            raise RuntimeError("refused")

    with pytest.raises(Exception):  # noqa: B017 - some routers look at data before the refusal is reached
        torch.export.export(Refused(), (x, ids), strict=False)
    layer = build(name, 4, dtype=torch.float32)
    assert type(layer(x, ids)[0].detach()) is torch.Tensor
    assert type(numbers(7, x.device)) is type(tokens_of_routes(7, 2, x.device)) is torch.Tensor


def test_a_hash_table_of_any_vocabulary_loads():
    trained = make_router("hash", 4, 4, scheme="balanced")
    trained.set_frequencies(torch.arange(300))
    fresh = make_router("hash", 4, 4)
    fresh.load_state_dict(trained.state_dict())
    assert fresh.table.equal(trained.table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (torch.tensor([0, 1000]), "names expert 1000"),
        (torch.tensor([0, -1]), "names expert -1"),
        (torch.tensor([0.0, 1.0]), "whole numbers"),
        (torch.zeros(2, 2, dtype=torch.int64), "a list"),
        (torch.zeros(0, dtype=torch.int64), "a list"),
    ],
)
def test_a_hash_table_that_no_training_left_is_refused_in_words_and_changes_nothing(table, words):
    router = make_router("hash", 4, 8)
    before = router.table.clone()
    with pytest.raises(ValueError, match=words):
        router.load_state_dict({"table": table})
    assert router.table.equal(before)


@pytest.mark.parametrize("token", [-1, 256])
def test_a_token_beyond_the_vocabulary_is_refused_in_words(token):
    router = make_router("hash", 4, 8)
    with pytest.raises(ValueError, match=f"token_ids has {token}"):
        router(torch.zeros(2, 4), torch.tensor([0, token]))


@EVERY
@pytest.mark.parametrize("n_tokens", [0, 1])
def test_no_tokens_and_one_are_routed_in_both_modes(name, n_tokens):
    layer = build(name, 4)
    x, ids = inputs(n_tokens)
    for mode in (True, False):
        y, routing = layer.train(mode)(x, ids)
        assert y.shape == x.shape and y.isfinite().all()
        assert all(term.isfinite() for term in routing.aux.values())


@EVERY
def test_rows_that_do_not_lie_side_by_side_are_read_alike(name):
    layer = build(name, 4).eval()
    x, ids = inputs(12)
    strided = F.pad(x, (0, 3))[:, :4]
    assert not strided.is_contiguous()
    torch.testing.assert_close(layer(strided, ids)[0], layer(x, ids)[0])


@EVERY
def test_three_axes_are_refused_with_what_is_wanted(name):
    layer = build(name, 4)
    with pytest.raises(ValueError, match=r"shape \[tokens, 4\]"):
        layer(torch.zeros(2, 3, 4, dtype=torch.float64), torch.zeros(6, dtype=torch.int64))


@EVERY
def test_a_copy_and_a_loaded_state_answer_alike(name):
    layer = build(name, 4).eval()
    other = build(name, 4, seed=3).eval()
    other.load_state_dict(layer.state_dict())
    x, ids = inputs(12)
    y = layer(x, ids)[0]
    torch.testing.assert_close(copy.deepcopy(layer)(x, ids)[0], y)
    torch.testing.assert_close(other(x, ids)[0], y)
    assert all(t.is_meta for t in copy.deepcopy(layer).to("meta").state_dict().values())


def test_a_collapsed_dropless_layer_in_double_precision_has_gradients_of_gradients(monkeypatch):
    """Its experts multiply their own rows one after another, since buffers for the fullest would be mostly empty."""
    monkeypatch.setattr(dispatch, "FEW_ROWS", 0)
    layer = MoELayer(make_router("switch", d_model=8, n_experts=8), Experts(8, 8, 8, bias=True)).double()
    with torch.no_grad():
        layer.router.gate.weight.zero_()
    x = torch.randn(16, 8, dtype=torch.float64, requires_grad=True)
    assert isinstance(dispatch.plan_buffers(layer.router(x)).ends, tuple)
    assert torch.autograd.gradcheck(lambda x: layer(x)[0], (x,)) and torch.autograd.gradgradcheck(
        lambda x: layer(x)[0], (x,)
    )

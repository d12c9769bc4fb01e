"""The records of routing: which kind each router returns, and that what is derived equals what is stored."""

import pytest
import torch

from moe_viz.moe import ROUTERS, SoftRouting, SparseRouting, make_router
from moe_viz.moe.routing import CompleteRouting, ListedRouting
from moe_viz.spec import ROUTER_OPTIONS


def routed(name, **options):
    known = {word: value for word, value in options.items() if word in ROUTER_OPTIONS[name].model_fields}
    return make_router(name, 8, 4, **known)(torch.randn(24, 8), torch.randint(16, (24,)))


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_returns_one_kind_of_record(name):
    routing = routed(name)
    assert isinstance(routing, SoftRouting if name == "soft" else SparseRouting)
    assert routing.probs.shape == (24, 4) and routing.dropped.shape == (24,) and routing.dropped.dtype == torch.bool
    if isinstance(routing, SoftRouting):
        assert not routing.dropped.any() and routing.dispatch.shape == routing.combine.shape
    else:
        assert routing.dispatch is None and routing.combine is None


@pytest.mark.parametrize("k", [1, 2])
def test_a_complete_routing_is_the_listed_one_whose_buffers_are_never_full(k):
    """Slots and masks that follow from the sorted order equal those that were counted route by route."""
    torch.manual_seed(0)
    router, x = make_router("topk", 8, 4, k=k), torch.randn(24, 8)
    complete = router(x)
    router.options = type(router.options)(k=k, capacity_factor=16.0)
    listed = router(x)
    assert isinstance(complete, CompleteRouting) and isinstance(listed, ListedRouting)
    for name in ("route_token", "route_expert", "requested", "kept"):
        assert torch.equal(getattr(complete, name), getattr(listed, name)), name
    for expert in range(4):  # a slot each, numbered from 0; which route has which is the policy's
        mine = (complete.slot_idx[complete.expert_idx == expert], listed.slot_idx[listed.expert_idx == expert])
        assert all(slots.sort().values.tolist() == list(range(len(slots))) for slots in mine)

"""Causality is computed, and what is computed is so: later tokens are exchanged or added, and the outputs of earlier ones are looked at."""

import copy

import pytest
import torch

from moe_viz.moe import ROUTERS
from moe_viz.spec import RunConfig, causality, causality_of, router_options
from moe_viz.spec.causality import ORDER, POLICY, SIZE
from tests.moe.test_invariants import POLICIES, VOCABULARY, build, inputs

EVERY = pytest.mark.parametrize("name", list(ROUTERS))
FACTORS = (None, 0.3, 1.0, 4.0)
"""With 4 experts no buffer overflows at 4, whatever k is."""
N_EXPERTS, EARLIER, TOKENS, MORE = 4, 20, 32, 48
TRIES = 6


def outputs(layer, x, ids):
    """Of the earlier tokens, with the same draws and the same state each time."""
    torch.manual_seed(0)
    return copy.deepcopy(layer)(x, ids)[0][:EARLIER].detach()


def leaks(layer, seed: int) -> bool:
    """Whether the earlier tokens' outputs depend on which tokens follow (training and evaluation), or on how many (evaluation)."""
    x, ids = inputs(MORE, seed=seed)
    x = x + x.mean(0)  # some experts are asked for more than others
    other_x, other_ids = x.clone(), ids.clone()
    other_x[EARLIER:], other_ids[EARLIER:] = (
        3 * torch.randn_like(x[EARLIER:]),
        torch.randint(VOCABULARY, (MORE - EARLIER,)),
    )
    apart = []
    for training in (True, False):
        layer.train(training)
        before = outputs(layer, x[:TOKENS], ids[:TOKENS])
        apart.append(before - outputs(layer, other_x[:TOKENS], other_ids[:TOKENS]))
    if not layer.router.options.facts.stochastic_eval:
        apart.append(before - outputs(layer, x, ids))
    return bool(torch.stack([difference.abs().max() for difference in apart]).max() > 1e-9)


def setting(name, **options):
    """With the router's own k where it allows no other."""
    return build(name, N_EXPERTS, **options) or build(name, N_EXPERTS, **{**options, "k": None})


def assert_computed_is_so(layer):
    options = layer.router.options
    found = causality(options, N_EXPERTS)
    layer.train()(*inputs(TOKENS, seed=99))  # what takes its first centres from the first batch has done so
    assert bool(found) == found.causal == (not found.reason)
    if found:
        assert not any(leaks(layer, seed) for seed in range(2)), f"{options} is called causal"
    else:
        assert any(leaks(layer, seed) for seed in range(TRIES)), f"{options} is called not causal: {found.reason}"


@EVERY
def test_what_is_computed_is_seen_in_the_outputs(name):
    """Each policy and each buffer meets each router."""
    for n, policy in enumerate(POLICIES):
        assert_computed_is_so(setting(name, drop_policy=policy, capacity_factor=FACTORS[(n + 1) % 4], k=1 + n % 2))


@pytest.mark.nightly
@EVERY
@pytest.mark.parametrize("policy", POLICIES)
def test_every_gate_policy_and_buffer_is_as_computed(name, policy):
    for factor in FACTORS:
        for k in (1, 2, 4):
            for rounding in ("ceil", "floor"):
                options = {"capacity_factor": factor, "k": k, "capacity_rounding": rounding}
                assert_computed_is_so(setting(name, drop_policy=policy, **options))


@pytest.mark.parametrize(
    ("name", "options", "n_experts", "source", "reason"),
    [
        ("topk", {}, 8, "", ""),
        ("topk", {"k": 2, "capacity_factor": 1.0}, 8, "order", ORDER),
        ("topk", {"k": 1, "capacity_factor": 1.0}, 8, "size", SIZE),
        ("topk", {"k": 2, "capacity_factor": 4.0}, 8, "", ""),
        ("topk", {"k": 2, "capacity_factor": 4.0}, 16, "order", ORDER),
        ("topk", {"k": 2, "capacity_factor": 1.0, "drop_policy": "probability"}, 8, "policy", POLICY["probability"]),
        ("switch", {"capacity_factor": 1.25, "drop_policy": "reroute"}, 8, "policy", POLICY["reroute"]),
        ("switch", {"capacity_factor": 0.5, "drop_policy": "random"}, 1, "size", SIZE),
        ("hierarchical", {"k": 1, "k_groups": 2, "capacity_factor": 1.0}, 8, "order", ORDER),
        ("hierarchical", {"k": 1, "k_groups": 1, "capacity_factor": 1.0}, 8, "size", SIZE),
        ("vmoe", {}, 8, "", ""),
        ("vmoe", {"capacity_factor": 1.0}, 8, "policy", POLICY["batch_priority"]),
        ("expert_choice", {"capacity_factor": 2.0}, 8, "gate", None),
        ("expert_choice", {"capacity_factor": 8.0}, 8, "", ""),
        ("sinkhorn", {"k": 2}, 8, "gate", None),
        ("sinkhorn", {"k": 8}, 8, "", ""),
        ("base", {}, 1, "", ""),
        ("soft", {}, 1, "gate", None),
    ],
)
def test_the_reason_is_that_of_the_setting(name, options, n_experts, source, reason):
    found = causality(router_options(name, **options), n_experts)
    assert found.source == source and (reason is None or found.reason == reason)
    assert bool(found.reason) == bool(source)


def test_a_config_and_its_flat_form_agree():
    for router in ({"name": "topk", "k": 2, "capacity_factor": 1.0}, {"name": "topk", "k": 2}, {"name": "soft"}):
        config = RunConfig(task="domains", router=router)
        assert causality_of(config) == causality_of(config.flat()) == causality(config.router, config.n_experts)

"""Our routers and losses against those of transformers, on random and on adversarial logits.

Where transformers follows another convention (a balancing loss of k at uniform routing, layers pooled, softmax over
everything before scaling), the test states the convention as a formula, so that each difference is written down.
"""

from __future__ import annotations

import pytest
import torch

from tests.moe.logit_router import dense_kept, dense_weights, logit_router

transformers = pytest.importorskip("transformers", minversion="5.23", reason="parity needs transformers 5.23 or newer")

T, E = 96, 8
TIGHT = {"atol": 1e-5, "rtol": 1e-5}


def _cases() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(7)
    normal = torch.randn(T, E, generator=draw)
    one_sided = normal.clone()
    one_sided[:, 3] += 6
    return {
        "normal": normal,
        "tiny": normal * 0.01,
        "large": normal * 20,
        "huge": normal * 1e4,
        "shifted": normal + 80,
        "negative": normal - 80,
        "one_sided": one_sided,
    }


CASES = _cases()
TIED = {
    "constant": torch.full((T, E), 0.37),
    "zero": torch.zeros(T, E),
    "two_levels": (torch.arange(T * E).reshape(T, E) % 2).float(),
    "three_levels": (torch.arange(T * E).reshape(T, E) % 3).float(),
}
every_case = pytest.mark.parametrize("case", CASES)
every_tie = pytest.mark.parametrize("case", TIED)


def _scatter(weights: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return torch.zeros(index.shape[0], E).scatter_add(1, index, weights.float())


def _identity(module: torch.nn.Module, name: str = "weight") -> torch.nn.Module:
    with torch.no_grad():
        getattr(module, name).copy_(torch.eye(E))
    return module


# -- token choice without capacity ----------------------------------------------------------------------------------


def _mixtral(k: int):
    from transformers.models.mixtral import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralTopKRouter

    return _identity(MixtralTopKRouter(MixtralConfig(hidden_size=E, num_local_experts=E, num_experts_per_tok=k)))


def _olmoe(k: int):
    from transformers.models.olmoe import OlmoeConfig
    from transformers.models.olmoe.modeling_olmoe import OlmoeTopKRouter

    config = OlmoeConfig(hidden_size=E, num_experts=E, num_experts_per_tok=k, norm_topk_prob=False)
    return _identity(OlmoeTopKRouter(config))


def _qwen2(k: int, norm: bool):
    from transformers.models.qwen2_moe import Qwen2MoeConfig
    from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeTopKRouter

    config = Qwen2MoeConfig(hidden_size=E, num_experts=E, num_experts_per_tok=k, norm_topk_prob=norm)
    return _identity(Qwen2MoeTopKRouter(config))


def _dbrx(k: int, p: float):
    from transformers.models.dbrx.configuration_dbrx import DbrxConfig
    from transformers.models.dbrx.modeling_dbrx import DbrxFFN

    ffn = {
        "hidden_size": E,
        "ffn_hidden_size": E,
        "moe_num_experts": E,
        "moe_top_k": k,
        "moe_normalize_expert_weights": p,
    }
    block = DbrxFFN(DbrxConfig(d_model=E, ffn_config=ffn))
    return lambda logits: (logits, *block.route_tokens_to_experts(logits))


PLAIN = {
    "mixtral k=2": (lambda: _mixtral(2), "mixtral", {"k": 2}),
    "mixtral k=4": (lambda: _mixtral(4), "mixtral", {"k": 4}),
    "mixtral as topk": (lambda: _mixtral(3), "topk", {"k": 3}),
    "mixtral all experts": (lambda: _mixtral(E), "mixtral", {"k": E}),
    "olmoe k=1": (lambda: _olmoe(1), "olmoe", {"k": 1}),
    "olmoe k=4": (lambda: _olmoe(4), "olmoe", {"k": 4}),
    "qwen2 k=4": (lambda: _qwen2(4, False), "olmoe", {"k": 4}),
    "qwen2 normalised": (lambda: _qwen2(4, True), "olmoe", {"k": 4, "renormalize": "before_drop"}),
    "dbrx p=1": (lambda: _dbrx(4, 1.0), "dbrx", {"k": 4}),
    "dbrx p=2": (lambda: _dbrx(4, 2.0), "dbrx", {"k": 4, "norm_p": 2.0}),
    "dbrx p=3": (lambda: _dbrx(2, 3.0), "dbrx", {"k": 2, "norm_p": 3.0}),
}


@every_case
@pytest.mark.parametrize("peer", PLAIN)
def test_dropless_routers_give_the_same_weights(peer, case):
    build, name, options = PLAIN[peer]
    logits = CASES[case]
    _, weights, index = build()(logits.clone())
    routing = logit_router(name, E, **options)(logits)
    torch.testing.assert_close(dense_weights(routing), _scatter(weights, index), **TIGHT)
    assert routing.token_idx.numel() == T * options["k"]
    if case != "huge":  # there all losers have probability exactly 0, and which of them is chosen means nothing
        chosen = torch.zeros(T, E, dtype=torch.int64).scatter(1, index, 1)
        assert torch.equal(dense_kept(routing), chosen)


@every_tie
@pytest.mark.parametrize("peer", PLAIN)
def test_ties_give_the_same_sorted_weights(peer, case):
    """Which of two equal experts wins is nobody's promise; the weights, largest first, are."""
    build, name, options = PLAIN[peer]
    _, weights, index = build()(TIED[case].clone())
    ours = dense_weights(logit_router(name, E, **options)(TIED[case]))
    theirs = _scatter(weights, index)
    torch.testing.assert_close(ours.sort(1).values, theirs.sort(1).values, **TIGHT)


def _deepseek(k: int, n_group: int, topk_group: int, scaling: float, norm: bool, bias: torch.Tensor):
    from transformers.models.deepseek_v3 import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

    config = DeepseekV3Config(
        hidden_size=E,
        n_routed_experts=E,
        num_local_experts=E,
        num_experts_per_tok=k,
        n_group=n_group,
        topk_group=topk_group,
        routed_scaling_factor=scaling,
        norm_topk_prob=norm,
    )
    router = _identity(DeepseekV3TopkRouter(config))
    router.e_score_correction_bias.copy_(bias)
    return router


BIASES = {
    "none": torch.zeros(E),
    "mixed": torch.tensor([0.3, -0.2, 0.1, 0.0, -0.4, 0.25, -0.05, 0.15]),
    "all_negative": -torch.linspace(1.1, 2.4, E),  # a mask of 0 instead of -inf would let forbidden groups in
}


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("n_group, topk_group, k", [(1, 1, 2), (4, 2, 3), (2, 1, 4), (4, 1, 2), (4, 4, 6)])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("case", ["normal", "tiny", "one_sided"])
def test_deepseek_v3(case, norm, n_group, topk_group, k, bias):
    peer = _deepseek(k, n_group, topk_group, 2.5, norm, BIASES[bias])
    _, weights, index = peer(CASES[case])
    router = logit_router(
        "deepseek_v3",
        E,
        k=k,
        n_group=n_group,
        topk_group=topk_group,
        routed_scaling=2.5,
        renormalize="before_drop" if norm else "never",
    )
    router.bias.copy_(BIASES[bias])
    routing = router.eval()(CASES[case])
    torch.testing.assert_close(dense_weights(routing), _scatter(weights, index), **TIGHT)


# -- with capacity ---------------------------------------------------------------------------------------------------


def _switch(capacity: int):
    from transformers.models.switch_transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers.modeling_switch_transformers import SwitchTransformersTop1Router

    config = SwitchTransformersConfig(
        hidden_size=E, d_model=E, num_experts=E, expert_capacity=capacity, router_jitter_noise=0.0
    )
    return SwitchTransformersTop1Router(config)


@pytest.mark.parametrize("capacity", [1, 6, 12, T])
@every_case
def test_switch_keeps_the_same_tokens(case, capacity):
    peer = _switch(capacity)
    _identity(peer.classifier)
    kept, gate, logits = peer(CASES[case].clone()[None])
    routing = logit_router("switch", E, capacity_factor=capacity * E / T)(CASES[case])
    assert routing.capacity == capacity
    assert torch.equal(dense_kept(routing), kept[0].long())
    torch.testing.assert_close(dense_weights(routing), kept[0] * gate[0], **TIGHT)
    torch.testing.assert_close(routing.logits, logits[0], **TIGHT)


@pytest.mark.parametrize("capacity", [5, 12])
@pytest.mark.parametrize("case", ["constant", "zero"])
def test_switch_breaks_ties_towards_the_first_expert(case, capacity):
    peer = _switch(capacity)
    _identity(peer.classifier)
    kept, _, _ = peer(TIED[case].clone()[None])
    routing = logit_router("switch", E, capacity_factor=capacity * E / T)(TIED[case])
    assert torch.equal(dense_kept(routing), kept[0].long())


def _nllb(before_drop: bool, fraction: float = 1.0, priority: bool = False, capacity: int | None = None):
    from transformers.models.nllb_moe import NllbMoeConfig
    from transformers.models.nllb_moe.modeling_nllb_moe import NllbMoeTop2Router

    config = NllbMoeConfig(
        d_model=E,
        num_experts=E,
        expert_capacity=64,
        second_expert_policy="all",
        normalize_router_prob_before_dropping=before_drop,
        moe_eval_capacity_token_fraction=fraction,
        batch_prioritized_routing=priority,
    )
    router = NllbMoeTop2Router(config)
    router.expert_capacity = capacity
    _identity(router.classifier)
    return router


@pytest.mark.parametrize("priority", [False, True])
@pytest.mark.parametrize("fraction", [0.0625, 0.25, 1.0])
@pytest.mark.parametrize("renormalize", ["before_drop", "after_drop"])
@pytest.mark.parametrize("name", ["nllb", "gshard"])
@pytest.mark.parametrize("case", ["normal", "large", "shifted", "one_sided"])
def test_top2_at_evaluation(case, name, renormalize, fraction, priority):
    peer = _nllb(renormalize == "before_drop", fraction, priority).eval()
    _, weights, _ = peer(CASES[case])
    policy = "batch_priority" if priority else "position"
    router = logit_router(
        name, E, capacity_factor=fraction * E / 2, renormalize=renormalize, drop_policy=policy, second_expert="all"
    )
    routing = router.eval()(CASES[case])
    torch.testing.assert_close(dense_weights(routing), weights, **TIGHT)


@pytest.mark.parametrize("renormalize", ["before_drop", "after_drop"])
@pytest.mark.parametrize("case", ["normal", "one_sided"])
def test_top2_in_training(case, renormalize):
    """fairseq's training capacity, 2 * ceil(T / E), is our factor 1 where E divides T."""
    peer = _nllb(renormalize == "before_drop").train()
    _, weights, _ = peer(CASES[case])
    router = logit_router("nllb", E, capacity_factor=1.0, renormalize=renormalize)
    routing = router.train()(CASES[case])
    assert routing.capacity == peer.expert_capacity
    torch.testing.assert_close(dense_weights(routing), weights, **TIGHT)


# -- losses ----------------------------------------------------------------------------------------------------------


def _pooled_loss(layers: list[torch.Tensor], k: int) -> torch.Tensor:
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    return load_balancing_loss_func(tuple(layers), num_experts=E, top_k=k)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case != "huge"]
)  # there which losers are counted is arbitrary, as above
@pytest.mark.parametrize("name, k", [("mixtral", 2), ("mixtral", 4), ("olmoe", 1), ("olmoe", 3), ("dbrx", 2)])
def test_balance_loss_of_one_layer_is_k_times_ours(name, k, case):
    ours = logit_router(name, E, k=k)(CASES[case]).aux["balance"]
    torch.testing.assert_close(_pooled_loss([CASES[case]], k), k * ours, **TIGHT)


@pytest.mark.parametrize("case", [case for case in CASES if case != "huge"])
@pytest.mark.parametrize("name, k", [("mixtral", 2), ("olmoe", 1), ("dbrx", 4)])
def test_balance_loss_of_a_padded_batch_and_its_gradient(name, k, case):
    """Right and left padding, gaps, and no padding: the attention mask [4 sequences, 24 tokens] of the peer is our mask."""
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    place = torch.arange(T // 4)
    attention = torch.stack([place < 17, place >= 5, place % 3 > 0, place >= 0]).long()
    theirs_in, ours_in = (CASES[case].clone().requires_grad_() for _ in range(2))
    theirs = load_balancing_loss_func((theirs_in,), num_experts=E, top_k=k, attention_mask=attention)
    ours = logit_router(name, E, k=k)(ours_in, mask=attention.bool().flatten()).aux["balance"]
    torch.testing.assert_close(theirs, k * ours, **TIGHT)
    theirs.backward()
    ours.backward()
    torch.testing.assert_close(theirs_in.grad, k * ours_in.grad, **TIGHT)


def test_pooled_layers_hide_opposite_collapse_and_ours_does_not():
    left, right = torch.full((T, 2), -9.0), torch.full((T, 2), -9.0)
    left[:, 0] = right[:, 1] = 9.0
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    pooled = load_balancing_loss_func((left, right), num_experts=2, top_k=1)
    ours = [logit_router("olmoe", 2, k=1)(layer).aux["balance"] for layer in (left, right)]
    assert pooled.item() == pytest.approx(1.0, abs=1e-4)
    assert [loss.item() for loss in ours] == pytest.approx([2.0, 2.0], abs=1e-4)


@every_case
def test_switch_balance_loss_and_its_gradient(case):
    from transformers.models.switch_transformers.modeling_switch_transformers import load_balancing_loss_func

    theirs_in, ours_in = (CASES[case].clone().requires_grad_() for _ in range(2))
    probs = theirs_in.softmax(-1)
    theirs = load_balancing_loss_func(probs[None], probs.argmax(-1)[None])
    ours = logit_router("switch", E)(ours_in).aux["balance"]
    torch.testing.assert_close(ours, theirs, **TIGHT)
    theirs.backward()
    ours.backward()
    torch.testing.assert_close(ours_in.grad, theirs_in.grad, **TIGHT)


@every_case
@pytest.mark.parametrize("name", ["switch", "st_moe", "mixtral", "deepseek_v3"])
def test_z_loss_and_its_gradient(name, case):
    from transformers.models.switch_transformers.modeling_switch_transformers import router_z_loss_func

    theirs_in, ours_in = (CASES[case].clone().requires_grad_() for _ in range(2))
    theirs = router_z_loss_func(theirs_in[None])
    ours = logit_router(name, E)(ours_in).aux["z"]
    torch.testing.assert_close(ours, theirs, **TIGHT)
    theirs.backward()
    ours.backward()
    torch.testing.assert_close(ours_in.grad, theirs_in.grad, **TIGHT)

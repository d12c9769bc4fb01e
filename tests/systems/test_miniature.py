"""Miniatures: every published system opens in the lab with its own choices, and says what it lacks."""

import pytest

from moe_viz.spec import causality_of
from moe_viz.systems import PUBLISHED
from moe_viz.systems.miniature import LAYERS, TRAINING, WIDTH, miniature


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_miniature_has_the_systems_own_choices_and_names_what_it_lacks(name):
    one, found = PUBLISHED[name], miniature(name)
    s, config = one.system, found.config
    said = " · ".join(found.lacks)
    assert (config.d_model, config.n_layers) == (WIDTH, LAYERS) and f"here {LAYERS} of {WIDTH}" in said
    if s.expert_ffn is None:
        assert (config.n_experts, config.router.k) == (1, 1)
        return
    assert config.router.name == one.gate or (not one.gate and "its own gate" in said)
    assert config.n_experts == s.experts or f"{s.experts} experts in a layer" in said
    assert getattr(config.router, "k", s.k) == s.k or f"{s.k} experts chosen" in said
    assert config.d_hidden / config.d_model == pytest.approx(s.expert_ffn / s.d_model, abs=2 / WIDTH)
    assert config.shared_gate == s.shared_gate
    assert bool(config.n_shared) == bool(s.shared_ffn and one.gate != "residual")
    assert ("encoder" in said) == bool(s.encoder_layers) and ("MLA" in said) == (s.attention == "mla")
    assert ("no experts" in said) == (s.n_moe_layers < s.layers)
    assert config.task.name == ("digits" if "MoE-" in name and name.startswith(("V-", "DiT-")) else "domains")
    if config.task.name == "domains":
        assert causality_of(config).source != "gate"  # where buffers alone look ahead, the lab says so


def test_choices_that_papers_give_are_in_the_run():
    deepseek = miniature("DeepSeek-V3").config
    assert (deepseek.router.k, deepseek.router.n_group, deepseek.router.topk_group) == (8, 8, 4)
    assert (deepseek.n_shared, deepseek.balance_coef, deepseek.balance_scope) == (1, 0.0001, "sequence")
    qwen = miniature("Qwen1.5-MoE-A2.7B").config
    assert (qwen.n_experts, qwen.router.k, qwen.n_shared, qwen.shared_gate) == (60, 4, 4, True)
    assert miniature("Switch-Base-8").config.router.capacity_factor == 1.25
    assert miniature("ST-MoE-32B").config.z_coef == 0.001
    assert miniature("DeepSpeed 1.3B+PR-MoE-64/128").config.router.name == "residual"
    assert TRAINING.keys() <= PUBLISHED.keys()
    with pytest.raises(KeyError):
        miniature("GPT-5")

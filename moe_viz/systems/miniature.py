"""A published system in miniature: a run of the lab with that system's own choices, and what of the system it cannot have.

Every choice is a knob that exists. Coefficients stand here only where the system's paper or code gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moe_viz.spec import PRESETS, RunConfig
from moe_viz.spec.describe import bounds
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.systems.system import System
from moe_viz.systems.table import PUBLISHED, Published

WIDTH, LAYERS = 64, 2
MOST_EXPERTS, MOST_SHARED = 64, 4
GATES: dict[str, dict[str, Any]] = {
    "switch": PRESETS["switch_paper"],
    "gshard": PRESETS["gshard_paper"],
    "st_moe": PRESETS["st_moe_paper"],
    "vmoe": PRESETS["vmoe_paper"],
    "nllb": PRESETS["nllb"],
    "residual": PRESETS["pr_moe"],
    "dbrx": PRESETS["dbrx_release"],
}
"""Gate -> the options of its paper; gates that are not here have their own defaults."""
OPTIONS: dict[str, dict[str, Any]] = {"DeepSeek-V3": PRESETS["deepseek_v3"]}
"""System -> options of its gate that its paper gives and its kin's do not share."""
TRAINING: dict[str, dict[str, Any]] = {
    "DeepSeek-V3": {"balance_coef": 0.0001, "balance_scope": "sequence"},
    "DeepSeekMoE-16B": {"balance_coef": 0.001, "balance_scope": "sequence"},
    "DeepSeek-V2-Lite": {"balance_coef": 0.001, "balance_scope": "sequence"},
    "OLMoE-1B-7B-0924": {"balance_coef": 0.01, "z_coef": 0.001},
    "Qwen1.5-MoE-A2.7B": {"balance_coef": 0.001},
    "Qwen2-57B-A14B": {"balance_coef": 0.001},
    "Qwen3-30B-A3B": {"balance_scope": "global", "micro_batches": 4},
    "ST-MoE-L": {"balance_coef": 0.01, "z_coef": 0.001},
    "ST-MoE-32B": {"balance_coef": 0.01, "z_coef": 0.001},
    "NLLB-200 54B": {"balance_coef": 0.01},
    "GShard 2048E 36L": {"balance_coef": 0.01},
    **{name: {"balance_coef": 0.01} for name in PUBLISHED if name.startswith("Switch-")},
}
"""System -> how its training is balanced, where its paper or code says so."""
IMAGES = ("V-MoE", "DiT-MoE")


@dataclass(frozen=True)
class Miniature:
    """config: the run;  lacks: what the system has and the run has not, in sentences."""

    config: RunConfig
    lacks: tuple[Sentence, ...]


def miniature(name: str) -> Miniature:
    """The miniature of a published system. Raises KeyError for a name that the table does not have."""
    one = PUBLISHED[name]
    s = one.system
    if s.expert_ffn is None:
        config = RunConfig(
            task="domains",
            router={"name": "topk", "k": 1},
            n_experts=1,
            d_model=WIDTH,
            d_hidden=_hidden(s),
            n_layers=LAYERS,
        )
        return Miniature(config, tuple(_lacks(one, config)))
    n_experts = min(s.experts, MOST_EXPERTS)
    options = {**GATES.get(one.gate, {"name": _gate(one)}), **OPTIONS.get(name, {})}
    router = RunConfig(task="domains", router={"name": options["name"]}).router
    if "k" in type(router).model_fields:
        low, high = bounds(type(router).model_fields["k"])
        options = {**options, "k": int(max(low or 1, min(s.k, n_experts, high or s.k)))}
    config = RunConfig(
        task="digits" if name.startswith(IMAGES) else "domains",
        router=options,
        n_experts=n_experts,
        n_layers=LAYERS,
        d_model=WIDTH,
        d_hidden=_hidden(s),
        n_shared=_shared(one),
        shared_gate=s.shared_gate,
        **TRAINING.get(name, {}),
    )
    return Miniature(config, tuple(_lacks(one, config)))


def _gate(one: Published) -> str:
    """The system's gate; where none of ours is exactly that, one that chooses as many experts."""
    return one.gate or ("switch" if one.system.k == 1 else "mixtral")


def _hidden(s: System) -> int:
    """Hidden units that stand to the width as in the system, a multiple of four."""
    return max(4, round(WIDTH * (s.expert_ffn or s.dense_ffn or 4 * s.d_model) / s.d_model / 4) * 4)


def _shared(one: Published) -> int:
    """Shared experts as wide as routed ones; the gate `residual` brings its own network beside them."""
    if not one.system.shared_ffn or one.gate == "residual" or not one.system.expert_ffn:
        return 0
    return min(MOST_SHARED, max(1, round(one.system.shared_ffn / one.system.expert_ffn)))


def _lacks(one: Published, config: RunConfig) -> Iterator[Sentence]:
    s = one.system
    yield Sentence(
        N_("{layers} layers of width {width}: here {own_layers} of {own_width}"),
        layers=s.layers,
        width=s.d_model,
        own_layers=config.n_layers,
        own_width=config.d_model,
    )
    if s.expert_ffn is not None and not one.gate:
        yield Sentence(N_("its own gate: none of ours is exactly that; here the one named above, with as many chosen"))
    if s.experts > config.n_experts:
        yield Sentence(N_("{n} experts in a layer: here {own}"), n=s.experts, own=config.n_experts)
    if s.expert_ffn is not None and getattr(config.router, "k", s.k) != s.k:
        yield Sentence(N_("{n} experts chosen: here {own}"), n=s.k, own=config.router.k)
    if one.gate == "deepseek_v3" and one.name not in OPTIONS:
        yield Sentence(
            N_("groups of experts and the scale of the gates, where it has them: our table does not hold these")
        )
    if s.n_moe_layers < s.layers and s.expert_ffn is not None:
        yield Sentence(N_("{n} of its layers have no experts: here each has"), n=s.layers - s.n_moe_layers)
    if s.experts_per_layer is not None and len(set(s.experts_per_layer)) > 1:
        yield Sentence(N_("different numbers of experts in its layers"))
    if s.shared_ffn and s.expert_ffn and one.gate != "residual" and s.shared_ffn != config.n_shared * s.expert_ffn:
        yield Sentence(
            N_("a shared FFN {ratio} times as wide as an expert: here {own}"),
            ratio=f"{s.shared_ffn / s.expert_ffn:.3g}",
            own=config.n_shared,
        )
    if s.gated:
        yield Sentence(N_("gated FFNs (SwiGLU): here two matrices with a ReLU between"))
    if s.zero_experts:
        yield Sentence(N_("{n} null experts"), n=s.zero_experts)
    if s.encoder_layers:
        yield Sentence(N_("an encoder beside the decoder"))
    if s.attention == "mla":
        yield Sentence(N_("latent attention (MLA)"))
    elif s.kv_heads < s.heads:
        yield Sentence(N_("query heads that share keys and values"))
    if s.kv_layers is not None:
        yield Sentence(N_("layers without keys and values of their own"))
    if s.idle:
        yield Sentence(N_("weights that text does not meet"))
    if one.name.startswith("DiT-MoE"):
        yield Sentence(N_("diffusion: here images are classified"))

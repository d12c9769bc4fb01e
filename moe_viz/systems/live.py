"""The live model of the lab as a `System`: its shape from its settings, what only the model knows from `ModelSize`."""

from __future__ import annotations

from moe_viz.records.model_size import ModelSize
from moe_viz.spec import RunConfig
from moe_viz.systems.system import System

VARYING = ("expert_choice", "soft", "remoe")
"""Routers with which the number of experts that a token meets is not fixed."""


def chosen(config: RunConfig) -> int | None:
    """Experts that each token is sent to; None where that is not fixed."""
    router = config.router
    if router.name in VARYING:
        return None
    if router.name == "dense":
        return config.n_experts
    return min(getattr(router, "k", 1) * getattr(router, "k_groups", 1), config.n_experts)


def live_system(config: RunConfig, size: ModelSize) -> System:
    """The shape of a run's model. Its `count` is the arithmetic's, not the tensors'.

    A router that is no plain linear one differs by `extra_per_layer`; so do weights before and after the layers, by `extra`.
    """
    d, layers = config.d_model, config.n_layers
    has_attention = size.heads > 0
    is_biased = size.parts["router"] == layers * config.n_experts * (d + 1)
    plain_router = config.n_experts * (d + is_biased)
    beside = config.d_hidden if size.parts["beside"] else 0
    return System(
        layers=layers,
        d_model=d,
        heads=size.heads,
        kv_heads=size.heads,
        head_dim=size.head_dim,
        vocab=size.vocab,
        experts=config.n_experts,
        k=chosen(config) or 1,
        expert_ffn=config.d_hidden,
        gated=False,
        shared_ffn=config.n_shared * config.d_hidden + beside,
        shared_gate=bool(config.n_shared and config.shared_gate),
        selection_bias=is_biased,
        tied=not size.parts["embedding"],
        norm="layer",
        norms_per_layer=2 if has_attention else 0,
        positions=size.positions,
        extra_per_layer=size.parts["router"] // layers - plain_router,
        extra=size.parts["other"],
    )

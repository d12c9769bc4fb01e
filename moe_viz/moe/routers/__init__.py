"""The registry: every router by its name, and `make_router`, which builds one from validated options.

May import: the rest of `moe` but the layer, and `spec`. Must not know: the layer, a model, how it is trained.
"""

from __future__ import annotations

from typing import Any

from moe_viz.moe.routers.assignment import BaseRouter, SinkhornRouter
from moe_viz.moe.routers.base import Choice, Router, TokenChoiceRouter
from moe_viz.moe.routers.cosine import CosineRouter
from moe_viz.moe.routers.expert_side import ExpertChoiceRouter, SoftRouter
from moe_viz.moe.routers.fine_grained import DBRXRouter, DeepSeekV3Router, OLMoERouter
from moe_viz.moe.routers.fixed import DenseRouter, HardRouter, HashRouter
from moe_viz.moe.routers.learned import ReinforceRouter, ReMoERouter
from moe_viz.moe.routers.noisy import NoisyTopKRouter, VMoERouter
from moe_viz.moe.routers.parameter_free import KMeansRouter, RandomRouter
from moe_viz.moe.routers.second_expert import GShardRouter, NLLBRouter, STMoERouter
from moe_viz.moe.routers.topk import MixtralRouter, SwitchRouter, TopKRouter
from moe_viz.moe.routers.two_branches import HierarchicalRouter, ResidualRouter
from moe_viz.spec import RouterOptions, router_options

ROUTERS: dict[str, type[Router]] = {
    "dense": DenseRouter,
    "hard": HardRouter,
    "topk": TopKRouter,
    "noisy_topk": NoisyTopKRouter,
    "switch": SwitchRouter,
    "gshard": GShardRouter,
    "st_moe": STMoERouter,
    "mixtral": MixtralRouter,
    "dbrx": DBRXRouter,
    "olmoe": OLMoERouter,
    "deepseek_v3": DeepSeekV3Router,
    "nllb": NLLBRouter,
    "vmoe": VMoERouter,
    "cosine": CosineRouter,
    "hierarchical": HierarchicalRouter,
    "residual": ResidualRouter,
    "expert_choice": ExpertChoiceRouter,
    "soft": SoftRouter,
    "base": BaseRouter,
    "sinkhorn": SinkhornRouter,
    "remoe": ReMoERouter,
    "reinforce": ReinforceRouter,
    "kmeans": KMeansRouter,
    "hash": HashRouter,
    "random": RandomRouter,
}
"""Registry name -> class."""


def make_router(name: str, d_model: int, n_experts: int, **options: Any) -> Router:
    """A router by its registry name. Raises ValueError for an unknown name, a bad option, or more choices than experts."""
    return router_from(router_options(name, **options), d_model, n_experts)


def router_from(options: RouterOptions, d_model: int, n_experts: int) -> Router:
    """A router from options that are validated already. Raises ValueError where they do not fit n_experts."""
    sizes: dict[str, object] = {"d_model": d_model, "n_experts": n_experts}
    for word, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{word} = {value!r} must be a whole number of at least 1")
    options.check_experts(n_experts)
    if options.name not in ROUTERS:
        raise ValueError(f"router {options.name!r} has no module; known: {', '.join(ROUTERS)}")
    return ROUTERS[options.name](d_model, n_experts, options)


__all__ = ["ROUTERS", "Choice", "Router", "TokenChoiceRouter", "make_router", "router_from"]

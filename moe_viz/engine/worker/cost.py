"""What a run costs, estimated from its config before anything is built: a server is shared, so no single run may be larger than its share.

Estimates, not measurements: right within a factor of two for the models of this package on a CPU, which is enough to keep one config from
taking the memory of all, or from making everybody wait for one step. D width, H hidden units, E experts, T tokens, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass

from moe_viz.engine import device
from moe_viz.engine.protocol import TooCostly
from moe_viz.spec import Config, MixtureConfig, RunConfig
from moe_viz.spec.knobs import N_

PER_PARAMETER = 16
"""Bytes: the number itself, its gradient, and two moments of AdamW, all float32."""
PER_ACTIVATION = 10
"""Bytes for each hidden number of each route, kept for the backward pass in two or three forms."""
MIXING = 3
"""Soft MoE keeps its [T, slots] weights in more forms than other numbers, and its two softmaxes cost about ten times as many operations each."""
MOST_PADDING = 4
"""Rows of dropless buffers for each route, at the most; as in `moe.dispatch`."""
DEVICE_TIMES = 30
"""Multiply-adds that an accelerator makes, at the least, in the time of one on a core."""
VOCABULARY = {"bytes": 256, "bpe": 2048}
PATCHES = {"digits": 16, "photo": 64}
MIXTURE_BYTES = 1e6
"""Of a mixture with its points and the frames of its fit."""


@dataclass(frozen=True)
class Cost:
    """model_bytes: held as long as the run is in memory.  step_bytes: during a step.  step_work: multiply-adds of its forward pass."""

    model_bytes: float
    step_bytes: float
    step_work: float


def estimate(config: Config, padded: bool = False) -> Cost:
    """The estimate for one run. padded: it computes in buffers, empty slots and all, as on an accelerator; otherwise on its routes alone."""
    if isinstance(config, MixtureConfig):
        # a few hundred points in float64 and their E responsibilities: what torch itself takes is more
        return Cost(MIXTURE_BYTES, MIXTURE_BYTES, 0.0)
    assert isinstance(config, RunConfig), "there are two kinds of configs"
    n_tokens, width, hidden, layers = config.batch_tokens, config.d_model, config.d_hidden, config.n_layers
    vocabulary = VOCABULARY.get(getattr(config.task, "tokenizer", ""), 0)
    routes = (_slots(config) if padded else _routes(config)) + n_tokens * config.n_shared
    mixed = n_tokens * config.n_experts * getattr(config.router, "slots_per_expert", 0)
    experts = config.n_experts + config.n_shared + (config.router.name == "residual")
    parameters = layers * (experts * (2 * width * hidden + width + hidden) + 4 * width**2 + width * config.n_experts)
    parameters += 2 * vocabulary * width
    step = layers * (routes * (width + hidden) + n_tokens * (8 * width + config.n_experts) + MIXING * mixed)
    work = layers * (2 * routes * width * hidden + n_tokens * 4 * width**2 + mixed * (2 * width + 20 * MIXING))
    passes = 2 if getattr(config.router, "consistency", 0.0) else 1
    return Cost(
        PER_PARAMETER * parameters,
        PER_ACTIVATION * passes * (step / config.micro_batches + n_tokens * vocabulary / config.micro_batches),
        passes * (work + n_tokens * vocabulary * width),
    )


def refuse_costly(config: Config, step_bytes: float, step_work: float) -> None:
    """Raises TooCostly where a step would take more memory or more time than any run may have here: of the device where it computes on one."""
    on_device = device.kind_of(config) != "cpu"
    cost = estimate(config, padded=on_device)
    if on_device:
        step_bytes, step_work = device.room() or step_bytes, DEVICE_TIMES * step_work
    if cost.step_bytes > step_bytes:
        raise TooCostly(
            N_(
                "One step of this model would need about {need:,.0f} MB; {most:,.0f} MB is the most on this server. Choose fewer tokens, experts per token, layers or hidden units."
            ),
            need=cost.step_bytes / 1e6,
            most=step_bytes / 1e6,
        )
    if cost.step_work > step_work:
        raise TooCostly(
            N_(
                "One step of this model would take about {times:.1f} times as long as any step may on this server. Choose fewer tokens, experts per token, layers or hidden units."
            ),
            times=cost.step_work / step_work,
        )


def _slots(config: RunConfig) -> float:
    """Rows of the buffers of one layer, as `moe.dispatch` makes them: as many as fit the fullest expert, where nothing is dropped."""
    routes, n_experts = _routes(config), config.n_experts
    factor = getattr(config.router, "capacity_factor", None)
    if factor is None:
        return min(MOST_PADDING, n_experts) * routes
    slots = max(getattr(config.router, "min_capacity", 1), factor * routes / n_experts)
    return n_experts * min(slots, routes)


def _routes(config: RunConfig) -> float:
    """Tokens that experts compute in one step and layer."""
    router, n_tokens = config.router, config.batch_tokens
    length = getattr(config.task, "block", PATCHES.get(config.task.name, n_tokens))
    groups = max(n_tokens / length, 1)
    if router.name == "soft":
        return groups * config.n_experts * router.slots_per_expert
    if router.name == "expert_choice":
        return max(n_tokens * router.capacity_factor, groups * config.n_experts)
    if router.name in ("dense", "remoe"):
        return n_tokens * config.n_experts
    return n_tokens * getattr(router, "k", 1) * getattr(router, "k_groups", 1)

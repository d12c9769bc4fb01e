"""One training step of the MoE layer (forward, backward with the balancing loss, fused AdamW), as ratios.

Against the *dense limit*: one dense feed-forward network of hidden width k*h, the same active multiplications, with AdamW over as
many parameters as all experts have. Against *peers*: the MoE blocks of transformers at the same sizes, and those of lucidrains' packages
and DeepSpeed's gate where they are installed (`make parity`, then PYTHONPATH=.venv/peers). `python -m benchmarks.layer`.

One thread, CPU time of that thread, medians of interleaved rounds: the ratios hold on a busy machine, the milliseconds are its own.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import nn

from benchmarks.table import Row, show
from moe_viz.moe import Experts, MoELayer, make_router

SIZES = {(1024, 64, 128, 8, 2): 2.0, (4096, 128, 256, 8, 2): 1.4, (256, 32, 64, 8, 2): 3.3}
"""(T, d, h, E, k) -> the ratio to the dense limit that we hold ourselves to."""

BALANCE = 0.01
Step = Callable[[], object]


def adamw(parameters) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-4, fused=True)


def dense_limit(t: int, d: int, h: int, e: int, k: int) -> Step:
    """What no sparse layer can beat: the matrix products alone, and the optimiser."""
    w1, w2 = (nn.Parameter(torch.randn(shape) * 0.1) for shape in ((d, k * h), (k * h, d)))
    stored = [nn.Parameter(torch.randn(shape)) for shape in ((e, d, h), (e, h, d))]
    for parameter in stored:
        parameter.grad = torch.randn_like(parameter)
    optimizer, x, grad = adamw(stored), torch.randn(t, d, requires_grad=True), torch.randn(t, d)

    def step() -> None:
        ((x @ w1).relu() @ w2).backward(grad)
        optimizer.step()
        w1.grad = w2.grad = x.grad = None

    return step


def training_step(model: nn.Module, forward: Callable, t: int, d: int) -> Step:
    """forward(x) -> (y, extra loss or None)."""
    optimizer, x, grad = adamw(model.parameters()), torch.randn(t, d, requires_grad=True), torch.randn(t, d)

    def step() -> None:
        y, extra = forward(x)
        if extra is None:
            y.backward(grad)
        else:
            torch.autograd.backward((y, extra), (grad, torch.tensor(BALANCE)))
        optimizer.step()
        optimizer.zero_grad()
        x.grad = None

    return step


def ours(t: int, d: int, h: int, e: int, k: int, router: str = "topk", activation: str = "relu", **options) -> Step:
    options = {"k": k, **options} if router not in ("dense", "hash") else options
    layer = MoELayer(make_router(router, d, e, **options), Experts(e, d, h, activation))

    def forward(x):
        y, routing = layer(x)
        return y, routing.aux["balance"]

    return training_step(layer, forward, t, d)


def transformers_mixtral(t: int, d: int, h: int, e: int, k: int, implementation: str) -> Step:
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock, load_balancing_loss_func

    config = MixtralConfig(hidden_size=d, intermediate_size=h, num_local_experts=e, num_experts_per_tok=k)
    config._experts_implementation = implementation
    block = MixtralSparseMoeBlock(config)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.05)
    logits = []
    block.gate.register_forward_hook(lambda module, args, out: logits.append(out[0]))

    def forward(x):
        logits.clear()
        y = block(x[None])[0]
        return y, load_balancing_loss_func((logits[0],), e, k)

    return training_step(block, forward, t, d)


def transformers_switch(t: int, d: int, h: int, e: int) -> Step:
    from transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers import modeling_switch_transformers as switch

    capacity = int(1.25 * t / e)
    config = SwitchTransformersConfig(
        d_model=d, d_ff=h, num_experts=e, expert_capacity=capacity, dropout_rate=0.0, router_jitter_noise=0.0
    )
    block = switch.SwitchTransformersSparseMLP(config)

    def forward(x):
        y = block(x[None])
        return (y[0] if isinstance(y, tuple) else y).view(t, d), None

    return training_step(block, forward, t, d)


def lucidrains(t: int, d: int, h: int, e: int) -> Step:
    """mixture-of-experts: one-hot dispatch, ReLU experts stacked as ours."""
    layer = import_module("mixture_of_experts").MoE(d, num_experts=e, hidden_dim=h, second_policy_train="all")

    def forward(x):
        y, loss = layer(x[None])
        return y[0], loss / layer.loss_coef

    return training_step(layer, forward, t, d)


def st_moe(t: int, d: int, h: int, e: int) -> Step:
    """st-moe-pytorch, with experts of the same hidden width (they are gated: half as much again to compute as ours)."""
    layer = import_module("st_moe_pytorch").MoE(
        d, num_experts=e, expert_hidden_mult=1.5 * h / d, threshold_train=0.0, balance_loss_coef=1.0
    )

    def forward(x):
        found = layer(x[None])
        return found.outputs[0], found.balance_loss

    return training_step(layer, forward, t, d)


def deepspeed(t: int, d: int, h: int, e: int) -> Step:
    """DeepSpeed's top-2 gate with the one-hot dispatch of its MoE layer, on stacked ReLU experts."""
    top2gating = import_module("deepspeed.moe.sharded_moe").top2gating
    gate, experts = nn.Linear(d, e, bias=False), Experts(e, d, h)

    def forward(x):
        loss, combine, dispatch, _ = top2gating(gate(x), 1.25, 4, top2_2nd_expert_sampling=False)
        slots = torch.einsum("sec,sm->ecm", dispatch.type_as(x), x)
        return torch.einsum("sec,ecm->sm", combine, experts(slots)), loss

    return training_step(nn.ModuleList([gate, experts]), forward, t, d)


WITH_CAPACITY = {
    "lucidrains mixture-of-experts": ("mixture_of_experts", lucidrains),
    "lucidrains st-moe": ("st_moe_pytorch", st_moe),
    "DeepSpeed gate, einsum dispatch": ("deepspeed", deepspeed),
}
"""Peer -> its module, its step; left out where the module is not installed."""


def medians(steps: Mapping[str, Step], rounds: int, seconds: float = 0.02) -> dict[str, list[float]]:
    """Milliseconds of CPU time per step, per round: every round runs all contenders in turn."""
    repeats = {}
    for name, step in steps.items():
        for _ in range(3):
            step()
        start = time.thread_time()
        step()
        repeats[name] = max(1, int(seconds / max(time.thread_time() - start, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.thread_time()
            for _ in range(repeats[name]):
                step()
            times[name].append((time.thread_time() - start) / repeats[name] * 1e3)
    return times


def rows(times: dict[str, list[float]], reference: str, limits: Mapping[str, float] | None = None) -> list[Row]:
    """Median of each round's own ratio to the reference, so that a slow moment hits both sides alike."""
    table = []
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times[reference]))
        goal = f" (at most {limits[name]})" if limits and name in limits else ""
        table.append(Row(name + goal, statistics.median(values), "ms", ratio))
    return table


def against_limit(rounds: int) -> None:
    for (t, d, h, e, k), goal in SIZES.items():
        size = (t, d, h, e, k)
        steps = {
            "dense limit": dense_limit(*size),
            "topk, dropless": ours(*size),
            "topk, capacity 1.25": ours(*size, capacity_factor=1.25),
        }
        title = f"Layer step / dense limit, (T, d, h, E, k) = {size}"
        show(title, rows(medians(steps, rounds), "dense limit", {"topk, dropless": goal}))


def against_peers(rounds: int) -> None:
    for size in SIZES:
        t, d, h, e, _ = size
        steps = {"ours: mixtral, swiglu": ours(*size, router="mixtral", activation="swiglu")}
        for implementation in ("grouped_mm", "batched_mm", "eager"):
            steps[f"transformers Mixtral, {implementation}"] = transformers_mixtral(*size, implementation)
        times = medians(steps, rounds)
        show(f"Peer / ours (above 1: ours is faster), {size}", rows(times, "ours: mixtral, swiglu"))
        steps = {
            "ours: switch, capacity 1.25": ours(t, d, h, e, 1, router="switch", capacity_factor=1.25),
            "transformers Switch, capacity 1.25": transformers_switch(t, d, h, e),
        }
        show(f"Peer / ours, {(t, d, h, e, 1)}", rows(medians(steps, rounds), "ours: switch, capacity 1.25"))
        here = {name: peer for name, (module, peer) in WITH_CAPACITY.items() if find_spec(module)}
        if here and t <= 1024:  # their tensors are of T * E * C numbers
            steps = {"ours: gshard, capacity 1.25": ours(*size, router="gshard", capacity_factor=1.25)}
            steps |= {name: peer(t, d, h, e) for name, peer in here.items()}
            show(f"Peer / ours, top-2, {size}", rows(medians(steps, rounds), "ours: gshard, capacity 1.25"))


def many_experts(rounds: int) -> None:
    """Cost of more experts at the same active work."""
    steps = {f"E = {e}": ours(4096, 64, 128, e, 2) for e in (8, 64)}
    limits = {"E = 64": 1.5}
    show("Layer step at (4096, 64, 128, E, 2) / the same with E = 8", rows(medians(steps, rounds), "E = 8", limits))


PARTS = {"limit": against_limit, "peers": against_peers, "experts": many_experts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS), help="only this table")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for part in [arguments.part] if arguments.part else PARTS:
        PARTS[part](arguments.rounds)


if __name__ == "__main__":
    main()

"""Looking at a run without touching it: the probe batch, the reader's own text, a continuation. Evaluation mode, no gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from moe_viz.moe import Routing
from moe_viz.records.snapshot import Continuation
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.tasks import Batch, ProbeLabels, Task, observing
from moe_viz.tasks.images import ImageTask
from moe_viz.tasks.picture import read_picture
from moe_viz.training.devices import random_stream, stream_seed
from moe_viz.training.inspect.traces import trace_of

if TYPE_CHECKING:
    from moe_viz.training.trainer import Trainer

MOST_NEW_TOKENS = 512


def route(model: Any, batch: Batch, config: RunConfig, step: int, device: torch.device) -> list[Routing]:
    """The present model's routing of a batch, one per layer, on a random stream of its own."""
    with random_stream(device, "look", config.seed, step), observing(model):
        model(batch)
        return model.routings


def traces_of(routings: list[Routing], labels: ProbeLabels, config: RunConfig, step: int) -> list[RoutingTrace]:
    return [
        trace_of(routing, labels, step=step, layer=layer, router=config.router.name)
        for layer, routing in enumerate(routings)
    ]


def probe(
    model: Any, task: Task, config: RunConfig, step: int, device: torch.device
) -> tuple[list[RoutingTrace], dict[str, Any]]:
    """Traces of the probe batch, and what else views may show.

    extras: `images` [N, H, W] or [N, H, W, 3], or `points` [T, 2] of the probe where the task has them; for every display value of the routers
    (`Routing.info`: `bias` [E], thresholds, ...) a list of one entry per layer, arrays or plain values; `dispatch` and `combine`
    (soft MoE), per layer [T, E, S]; `aux`, per layer {term: value} of the probe batch, unweighted.
    """
    routings = route(model, task.probe, config, step, device)
    extras: dict[str, Any] = {
        "aux": [{name: float(term) for name, term in routing.aux.items()} for routing in routings]
    }
    for name in ("images", "points"):
        if getattr(task.probe_labels, name) is not None:
            extras[name] = getattr(task.probe_labels, name)
    for name in dict.fromkeys(name for routing in routings for name in routing.info):
        extras[name] = [_shown(routing.info.get(name)) for routing in routings]
    if all(routing.combine is not None for routing in routings):
        extras |= {name: [_shown(getattr(routing, name)) for routing in routings] for name in ("dispatch", "combine")}
    return traces_of(routings, task.probe_labels, config, step), extras


def _shown(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def route_text(trainer: Trainer, text: str) -> list[RoutingTrace]:
    """One trace per layer of the reader's text."""
    return _route_ids(trainer, _text_task(trainer).encode(text))


def route_image(trainer: Trainer, data: bytes) -> tuple[list[RoutingTrace], np.ndarray]:
    """One trace per layer of the reader's picture, and the picture as the model sees it: [H, W] or [H, W, 3] in 0..1."""
    if not isinstance(trainer.task, ImageTask):
        raise ValueError(Sentence(N_("This task has no images.")))
    batch, labels = trainer.task.own_image(read_picture(data))
    routings = route(trainer.model, batch, trainer.config, trainer.step_number, trainer.device)
    return traces_of(routings, labels, trainer.config, trainer.step_number), labels.images[0]


def continue_text(trainer: Trainer, text: str, n_tokens: int, temperature: float) -> Continuation:
    """The text, `n_tokens` more tokens by the model, and how all of them are routed."""
    if not 1 <= n_tokens <= MOST_NEW_TOKENS:
        raise ValueError(f"n_tokens = {n_tokens} must be 1 to {MOST_NEW_TOKENS}")
    if not 0 <= temperature <= 10:
        raise ValueError(f"temperature = {temperature} must be 0 to 10")
    task = _text_task(trainer)
    prompt = task.encode(text)
    generator = torch.Generator().manual_seed(stream_seed("continue", trainer.config.seed, trainer.step_number))
    with random_stream(trainer.device, "continue", trainer.config.seed, trainer.step_number):
        ids = trainer.model.generate(prompt, n_tokens, temperature, generator)
    return Continuation(_route_ids(trainer, ids), len(prompt), task.decode(ids[len(prompt) :]))


def _text_task(trainer: Trainer) -> Any:
    if not trainer.task.is_text:
        raise ValueError(f"task = {trainer.config.task.name!r} is not text: it cannot read a sentence")
    return trainer.task


def _route_ids(trainer: Trainer, ids: Tensor) -> list[RoutingTrace]:
    """Traces of exactly these tokens: what fills the last row up to its length is cut off again."""
    task = trainer.task
    batch = task.ids_batch(ids)
    routings = route(trainer.model, batch, trainer.config, trainer.step_number, trainer.device)
    traces = traces_of(routings, task.labels(batch), trainer.config, trainer.step_number)
    return [_first(trace, len(ids)) for trace in traces]


def _first(trace: RoutingTrace, n_tokens: int) -> RoutingTrace:
    columns = {name: value[:n_tokens] for name, value in vars(trace).items() if isinstance(value, np.ndarray)}
    return RoutingTrace(trace.step, trace.layer, trace.router, trace.capacity, **columns)

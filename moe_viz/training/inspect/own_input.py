"""The reader's own input through a run as it stands: a text, a picture, and a text that the model writes on. Nothing about the run changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from moe_viz.records.snapshot import Continuation
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.tasks import ProbeLabels
from moe_viz.tasks.images import ImageTask
from moe_viz.tasks.picture import read_picture
from moe_viz.training.devices import random_stream, stream_seed
from moe_viz.training.inspect.probe import route, traces_of
from moe_viz.training.inspect.traces import joined
from moe_viz.training.run import Run
from moe_viz.training.transfer import to_host

MOST_NEW_TOKENS = 512


def route_text(run: Run, text: str) -> list[RoutingTrace]:
    """One trace per layer of the reader's text."""
    return _route_ids(run, _text_task(run).encode(text))


def route_image(run: Run, data: bytes) -> tuple[list[RoutingTrace], np.ndarray]:
    """One trace per layer of the reader's picture, and the picture as the model sees it: [H, W] or [H, W, 3] in 0..1."""
    if not isinstance(run.task, ImageTask):
        raise ValueError(Sentence(N_("This task has no images.")))
    batch, labels = run.task.own_image(read_picture(data))
    routings = route(run.model, batch, run.config, run.step_number, run.device)
    assert labels.images is not None
    return traces_of(routings, labels, run.config, run.step_number), labels.images[0]


def continue_text(run: Run, text: str, n_tokens: int, temperature: float) -> Continuation:
    """The text, `n_tokens` more tokens by the model, and how all of them are routed."""
    if not 1 <= n_tokens <= MOST_NEW_TOKENS:
        raise ValueError(f"n_tokens = {n_tokens} must be 1 to {MOST_NEW_TOKENS}")
    if not 0 <= temperature <= 10:
        raise ValueError(f"temperature = {temperature} must be 0 to 10")
    task = _text_task(run)
    prompt = task.encode(text)
    generator = torch.Generator().manual_seed(stream_seed("continue", run.config.seed, run.step_number))
    with random_stream(run.device, "continue", run.config.seed, run.step_number):
        model: Any = run.model  # a task of text has a model that writes it
        ids = model.generate(prompt, n_tokens, temperature, generator)
    return Continuation(_route_ids(run, ids), len(prompt), task.decode(ids[len(prompt) :]))


def _text_task(run: Run) -> Any:
    if not run.task.is_text:
        raise ValueError(f"task = {run.config.task.name!r} is not text: it cannot read a sentence")
    return run.task


def _route_ids(run: Run, ids: Tensor) -> list[RoutingTrace]:
    """Traces of exactly these tokens. What fills the last row up to its length is masked: it takes no slot and counts in nothing.

    A router that works row by row gets the short last row by itself, since its groups are all of one size.
    """
    task = _text_task(run)
    batch = task.ids_batch(ids)
    alone = batch.mask is not None and run.config.router.facts.per_sequence
    whole = batch.inputs[:-1].numel() if alone else 0
    parts = [task.ids_batch(ids[:whole]), task.ids_batch(ids[whole:])] if whole else [batch]
    routings = [route(run.model, part, run.config, run.step_number, run.device) for part in parts]
    routings, batch = to_host((routings, batch))
    labels = task.labels(batch)
    if not whole:
        return traces_of(routings[0], labels, run.config, run.step_number)
    split = (_labels_of(labels, slice(0, whole)), _labels_of(labels, slice(whole, len(ids))))
    first, last = (traces_of(of, part, run.config, run.step_number) for of, part in zip(routings, split, strict=True))
    return [joined(one, other) for one, other in zip(first, last, strict=True)]


def _labels_of(labels: ProbeLabels, part: slice) -> ProbeLabels:
    return ProbeLabels(labels.tokens[part], labels.group[part], labels.sequence[part], labels.position[part])

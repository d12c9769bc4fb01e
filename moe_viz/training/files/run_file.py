"""A run as one file for others: made by export, and read again by import with every value checked, because it comes from anywhere.

The file is a checkpoint (safetensors with a JSON header, no pickle, nothing compressed but the keyframes, whose size is known from
their shape) whose header also says what its numbers mean. Nothing in it names a file or is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from moe_viz.records import table_files
from moe_viz.records.codec import Packed, raw_bytes, unpack
from moe_viz.records.history import History
from moe_viz.records.metric_info import METRICS
from moe_viz.spec import ROUTER_OPTIONS, Config
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.training.devices import resolve_device
from moe_viz.training.files.checkpoint import Checkpoint
from moe_viz.training.scripted_run import ScriptedRun

R_co = TypeVar("R_co", bound=ScriptedRun[Any], covariant=True)

COLUMN = re.compile(r"[a-z_]{1,40}(\.\d{1,3}){0,2}")
MOST_COLUMNS, MOST_STEPS = 4096, 10**9
MOST_TOKENS = 8192
LONGEST_LABEL = 200
OWN = ("model.", "optimizer.", "frames.")
"""How the names of tensors begin that are read from such a file."""
MOST_RAW_BYTES = 256_000_000
"""Keyframes once decompressed, which is how they are checked: a quarter of a second."""


class Reads(Protocol[R_co]):
    """What makes a run of a checkpoint: a class of runs, or `Runs`."""

    def of(self, checkpoint: Checkpoint, /) -> R_co: ...


def export(run: ScriptedRun[Any], most_bytes: int, name: str = "") -> bytes:
    """The run as one file of at most `most_bytes` if its model allows: the history is thinned where there is no room for all of it."""
    run.collect()
    header: dict[str, Any] = table_files.about("run", run.config.flat(), run.step_number, metrics=list(METRICS)) | {
        "name": name
    }
    del header["config"]  # it stands beside this already
    moment = replace(run.moment(**header), pending=None)
    whole = moment.to_bytes()
    if len(whole) <= most_bytes:
        return whole
    without = len(replace(moment, history=None).to_bytes())
    history = History.from_arrays(*run.history.to_arrays())
    history.budget(max((most_bytes - without) * 9 // 10, 0))
    return replace(moment, history=history).to_bytes()


def imported(kind: Reads[R_co], data: bytes, allow: Callable[[Any], None]) -> tuple[R_co, str]:
    """The run of such a file, on a device of this machine, and its name. Raises ValueError (a `Sentence`) for anything else."""
    try:
        checkpoint = Checkpoint.from_bytes(data, "the file")
        own = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith(OWN)}
        checkpoint = replace(checkpoint, tensors=own, pending=None)
        _check(checkpoint)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(Sentence(_REFUSED, why=_short(error))) from error
    allow(checkpoint.config)
    # a sentence in the file would be a stranger's words on our page
    stopped = _STOPPED if checkpoint.stopped else ""
    try:
        run = kind.of(replace(checkpoint, stopped=stopped, config=_here(checkpoint.config)))
    except ValueError as error:
        raise ValueError(Sentence(_REFUSED, why=_short(error))) from error
    return run, str(checkpoint.extra.get("name", ""))


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _here(config: Config) -> Config:
    """The config on a device that this machine has."""
    try:
        resolve_device(config.flat().get("device", "cpu"))
    except ValueError:
        return config.settled("auto")
    return config


def _check(checkpoint: Checkpoint) -> None:
    """Raise ValueError unless every number could have come from a run here."""
    for _ in checkpoint.script.moments() if checkpoint.script is not None else ():
        pass  # an event that cannot follow those before it raises
    history = checkpoint.history or History()
    if (history.epoch != checkpoint.epoch and checkpoint.history is not None) or max(
        checkpoint.epoch, checkpoint.step
    ) > MOST_STEPS:
        raise ValueError(f"history of epoch {history.epoch}, run at step {checkpoint.step} of epoch {checkpoint.epoch}")
    if not all(torch.isfinite(tensor).all() for tensor in checkpoint.tensors.values()):
        raise ValueError("its parameters are not finite")
    bad = [name for name in history.columns if not COLUMN.fullmatch(name)]
    if bad or len(history.columns) > MOST_COLUMNS:
        raise ValueError(f"{len(history.columns)} columns, {len(bad)} of them with a name that no metric has")
    if np.isinf(history.rows(limit=None).to_numpy(np.float64)).any():
        raise ValueError("infinite values in the history")
    total, forms, n_experts = 0, {}, checkpoint.config.flat()["n_experts"]
    for frame, batches in history.keyframes.packed():
        form = (len(frame.layers), *{packed.shape[2] for packed in frame.layers})
        if forms.setdefault(frame.epoch, form) != form or not 0 <= frame.epoch <= checkpoint.epoch:
            raise ValueError(f"keyframes of epoch {frame.epoch} with {form} layers and experts")
        for layer, packed in enumerate(frame.layers):
            total += raw_bytes(packed) if min(packed.shape) >= 0 else 0
            if total > MOST_RAW_BYTES or packed.layer != layer or not 0 <= frame.step <= MOST_STEPS:
                raise ValueError(f"keyframes of {total} bytes; layer {packed.layer} at step {frame.step}")
            _check_keyframe(packed, frame.step, batches[packed.batch])
    if forms.get(checkpoint.epoch, (0, n_experts))[1:] != (n_experts,):
        raise ValueError(f"keyframes of other experts than the {n_experts} of its settings")


def _check_keyframe(packed: Packed, step: int, labels: dict[str, np.ndarray]) -> None:
    n_tokens, k, n_experts = packed.shape
    if not (0 < n_tokens <= MOST_TOKENS and 0 <= k <= n_experts <= 1024 and packed.router in ROUTER_OPTIONS):
        raise ValueError(f"a keyframe of shape {packed.shape} and router {packed.router[:40]!r}")
    if any(
        not isinstance(text, str) or len(text) > LONGEST_LABEL for name in ("tokens", "group") for text in labels[name]
    ):
        raise ValueError("labels that are not short texts")
    trace = unpack(packed, step, labels)
    most_slots = 64 * n_tokens
    sound = np.isfinite(trace.probs).all() and np.isfinite(trace.weight).all() and (packed.capacity or 0) <= most_slots
    for values, end in ((trace.expert, n_experts), (trace.slot, most_slots)):
        sound = sound and (values >= -1).all() and (values < end).all()
    if not sound:
        raise ValueError(f"the keyframe of step {step} names experts, slots or gates that cannot be")


_REFUSED = N_(
    "This file cannot be imported ({why}). A run is imported from the file that Export made, whole and unchanged."
)
_STOPPED = N_("This run had stopped before it was exported. Reset it, or turn a knob, to go on.")

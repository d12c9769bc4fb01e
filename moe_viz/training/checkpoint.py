"""A run at one moment, as bytes: safetensors for every tensor, JSON in its header for the rest. No pickle anywhere.

Holds the flat config, step, epoch, the model's parameters and buffers, the optimiser's moments and, where wanted, the history (as
Parquet). Random numbers need no state of their own: each step draws from a stream seeded by (seed, step).
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from moe_viz.records.history import History
from moe_viz.spec import RunConfig
from moe_viz.training.adamw import FusedAdamW

FORMAT = "moe_viz.run"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a run. Tensor names: `model.<name>`, `optimizer.<moment>.<parameter name>`. stopped: why it had diverged, or ""."""

    config: RunConfig
    step: int
    epoch: int
    tensors: dict[str, Tensor]
    stopped: str = ""

    def to_bytes(self, more: dict[str, Tensor] | None = None) -> bytes:
        about = {"format": FORMAT, "version": VERSION, "config": self.config.flat(), "step": self.step}
        about |= {"epoch": self.epoch, "torch": torch.__version__, "stopped": self.stopped}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        tensors |= more or {}
        return save(tensors, {"moe_viz": json.dumps(about | {"crc": _crc(about, tensors)})})

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "checkpoint") -> Checkpoint:
        """Read what `to_bytes` wrote. Raises ValueError saying what is wrong with anything else."""
        try:
            tensors = load(data)
            length = int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
        except (SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"{source} is broken or not a safetensors file: {error}") from error
        if "moe_viz" not in header:
            raise ValueError(f"{source} is a safetensors file, but not a moe_viz checkpoint")
        try:
            about = json.loads(header["moe_viz"])
            if (about["format"], about["version"]) != (FORMAT, VERSION):
                raise ValueError(f"format {about['format']} {about['version']}, expected {FORMAT} {VERSION}")
            if about.pop("crc", None) not in (None, _crc(about, tensors)):
                raise ValueError("its content has changed since it was written")
            step, epoch = about["step"], about["epoch"]
            if not (isinstance(step, int) and isinstance(epoch, int) and step >= 0 and epoch >= 0):
                raise ValueError(f"step = {step!r} and epoch = {epoch!r} must be whole numbers from 0")
            return cls(RunConfig.from_flat(about["config"]), step, epoch, tensors, str(about.get("stopped", "")))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{source} has a bad header: {error}") from error


def _crc(about: dict[str, Any], tensors: dict[str, Tensor]) -> int:
    """Checksum of all content. safetensors has none: a flipped bit of a weight would load as a slightly different model."""
    value = zlib.crc32(json.dumps(about).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy(), value)
    return value


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one, never half of it."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def pack_history(history: History) -> dict[str, Tensor]:
    """A history's Parquet files as byte tensors, so that a checkpoint stays one file that is written at once."""
    rows, keyframes = BytesIO(), BytesIO()
    history.to_parquet(rows, keyframes)
    files = {"history.rows": rows, "history.keyframes": keyframes}
    return {name: torch.frombuffer(file.getbuffer(), dtype=torch.uint8) for name, file in files.items()}


def unpack_history(checkpoint: Checkpoint, source: str) -> History:
    """The history of a checkpoint; an empty one, in the checkpoint's epoch, where it holds none. Raises ValueError where it is broken."""
    files = [checkpoint.tensors.get(name) for name in ("history.rows", "history.keyframes")]
    if files[0] is None:
        history = History()
        history.epoch = checkpoint.epoch
        return history
    try:
        return History.from_parquet(*(BytesIO(data.numpy()) for data in files if data is not None))
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise ValueError(f"the history in {source} is broken: {error}") from error


def tensors_of(model: nn.Module, optimizer: FusedAdamW) -> dict[str, Tensor]:
    """Copies of everything that defines the run's future, on the model's device."""
    found = {f"model.{name}": tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            found[f"optimizer.{moment}.{name}"] = value.detach().clone()
    return found


@torch.no_grad()
def put_back(tensors: dict[str, Tensor], model: nn.Module, optimizer: FusedAdamW) -> None:
    """Copy tensors into a model of the same shape. Raises ValueError, before anything is changed, where they do not fit."""
    wanted: dict[str, Tensor] = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    given = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    if wanted.keys() != given.keys():
        odd = sorted(wanted.keys() ^ given.keys())
        raise ValueError(f"the checkpoint does not fit its config: {len(odd)} tensors differ, the first is {odd[0]!r}")
    for name, tensor in wanted.items():
        _same_form(name, given[name], tensor)
    moments = _moments(tensors, dict(model.named_parameters()))
    model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in given.items()})
    optimizer.state.clear()
    optimizer.state.update(moments)


def _moments(tensors: dict[str, Tensor], parameters: dict[str, nn.Parameter]) -> dict[nn.Parameter, dict[str, Any]]:
    found: dict[nn.Parameter, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if not name.startswith("optimizer."):
            continue
        _, moment, parameter_name = name.split(".", 2)
        if parameter_name not in parameters:
            raise ValueError(f"the checkpoint has optimiser state for {parameter_name!r}, which the model has not")
        parameter = parameters[parameter_name]
        if moment != "step":
            _same_form(name, tensor, parameter)
        # AdamW keeps its step counter on the parameter's device only where it is fused
        found.setdefault(parameter, {})[moment] = tensor.to(parameter.device, copy=True)
    return found


def _same_form(name: str, given: Tensor, wanted: Tensor) -> None:
    if given.shape != wanted.shape or given.dtype != wanted.dtype:
        have, want = (f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in (given, wanted))
        raise ValueError(f"the checkpoint's {name} is {have}; the model needs {want}")

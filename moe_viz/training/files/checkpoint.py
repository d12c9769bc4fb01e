"""A run at one moment, as bytes or a file: safetensors for every number, JSON in its header for the rest. No pickle anywhere.

Holds the flat config, step, epoch, the model's parameters and buffers, the optimiser's moments and, where wanted, the history: all of
it, or what came after a moment that is kept elsewhere. Random numbers need no state: each step draws from a stream seeded by (seed, step).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save, save_file
from safetensors.torch import load
from torch import Tensor, nn

from moe_viz.moe.routers import Router
from moe_viz.records.files import atomically
from moe_viz.records.history import History, Mark
from moe_viz.records.script import Script
from moe_viz.spec import Config, config_of
from moe_viz.training.optimizer import FusedAdamW
from moe_viz.training.transfer import to_host

FORMAT = "moe_viz.run"
VERSION = 2
KEY = "moe_viz"
"""Name of the entry in a file's metadata that says everything but the numbers."""
CHECKSUM = "moe_viz.crc32"
HISTORY = "history."


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a run. Tensor names: `model.<name>`, `optimizer.<moment>.<parameter name>`, and others. stopped: why it had diverged, or ""."""

    config: Config
    step: int
    epoch: int
    tensors: dict[str, Tensor]
    stopped: str = ""
    history: History | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """What else the file says about itself, for people and other programs."""
    script: Script | None = None
    """What was done so far. None in files of a version that kept none."""
    pending: tuple[Script, int] | None = None
    """The script that was being played, where it had not come to its end, and how many of its events had been."""

    def to_bytes(self) -> bytes:
        """The whole as one file's content."""
        return save(*self._parts(None))

    def to_file(self, path: str | Path, since: Mark | None = None) -> None:
        """Write it atomically; of the history only what came after `since`."""
        arrays, header = self._parts(since)
        with atomically(path) as draft:
            try:
                save_file(arrays, draft, header)
            except SafetensorError as error:  # the only thing that can go wrong with sound arrays is the disk
                raise OSError(str(error)) from error

    def _parts(self, since: Mark | None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        about: dict[str, Any] = {"format": FORMAT, "version": VERSION, "config": self.config.flat(), "step": self.step}
        about |= {"epoch": self.epoch, "torch": torch.__version__, "stopped": self.stopped, "said": self.extra}
        if self.script is not None:
            about["script"] = self.script.model_dump(mode="json", by_alias=True)
        if self.pending is not None:
            script, played = self.pending
            about["pending"] = [script.model_dump(mode="json", by_alias=True), played]
        arrays = {name: tensor.contiguous().numpy() for name, tensor in to_host(self.tensors).items()}
        if self.history is not None:
            rows, about["history"] = self.history.to_arrays(since)
            arrays |= {HISTORY + name: np.ascontiguousarray(array) for name, array in rows.items()}
        text = json.dumps(about)
        return arrays, {KEY: text, CHECKSUM: str(_crc(text, arrays))}

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "checkpoint") -> Checkpoint:
        """Read what `to_bytes` or `to_file` wrote. Raises ValueError saying what is wrong with anything else."""
        try:
            tensors = load(data)
            length = int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
        except (SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"{source} is broken or not a safetensors file: {error}") from error
        if KEY not in header:
            raise ValueError(f"{source} is a safetensors file, but not a moe_viz checkpoint")
        try:
            about = json.loads(header[KEY])
            if (about["format"], about["version"]) != (FORMAT, VERSION):
                raise ValueError(f"format {about['format']} {about['version']}, expected {FORMAT} {VERSION}")
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            if header.get(CHECKSUM) != str(_crc(header[KEY], arrays)):
                raise ValueError("its content has changed since it was written")
            return cls._of(about, tensors, arrays)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"{source} has a bad header: {error}") from error

    @classmethod
    def _of(cls, about: dict[str, Any], tensors: dict[str, Tensor], arrays: dict[str, np.ndarray]) -> Checkpoint:
        step, epoch = about["step"], about["epoch"]
        if not (isinstance(step, int) and isinstance(epoch, int) and step >= 0 and epoch >= 0):
            raise ValueError(f"step = {step!r} and epoch = {epoch!r} must be whole numbers from 0")
        history = None
        if "history" in about:
            rows = {name.removeprefix(HISTORY): array for name, array in arrays.items() if name.startswith(HISTORY)}
            history = History.from_arrays(rows, about["history"])
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(HISTORY)}
        config = config_of(about["config"])
        script = Script.model_validate(about["script"]) if "script" in about else None
        pending = None
        if "pending" in about:
            pending = (Script.model_validate(about["pending"][0]), int(about["pending"][1]))
        return cls(config, step, epoch, own, str(about["stopped"]), history, dict(about["said"]), script, pending)


def _crc(text: str, arrays: Mapping[str, np.ndarray]) -> int:
    """Checksum of all content. safetensors has none: a flipped bit of a weight would load as a slightly different model."""
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        value = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), value)
        value = zlib.crc32(array.reshape(-1).view(np.uint8).data, value)
    return value


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all parameters and buffers among these tensors (`model.<name>`), by name."""
    digest = sha256()
    parameters = to_host({name: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    for name in sorted(parameters):
        array = parameters[name].contiguous().numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def views_of(model: nn.Module, optimizer: FusedAdamW) -> dict[str, Tensor]:
    """Everything that defines the run's future, shared with the run: to be written before the next step."""
    tensors = {f"model.{name}": tensor.detach() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{moment}.{name}"] = value.detach()
    return tensors


def tensors_of(model: nn.Module, optimizer: FusedAdamW) -> dict[str, Tensor]:
    """Copies of the same, on the model's device; on the host where there is no room on it."""
    views = views_of(model, optimizer)
    try:
        return {name: tensor.clone() for name, tensor in views.items()}
    except torch.OutOfMemoryError:
        return {name: tensor.clone() for name, tensor in to_host(views).items()}


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
    for path, module in model.named_modules():
        if isinstance(module, Router):
            module.check_state({name: given[f"model.{path}.{name}"] for name in module.state_dict()})
    moments = _moments(tensors, dict(model.named_parameters()))
    model.load_state_dict({name.removeprefix("model."): tensor for name, tensor in given.items()})
    optimizer.state.clear()
    optimizer.state.update(moments)


def _moments(tensors: dict[str, Tensor], parameters: dict[str, nn.Parameter]) -> dict[nn.Parameter, dict[str, Any]]:
    moments: dict[nn.Parameter, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if not name.startswith("optimizer."):
            continue
        _, moment, parameter_name = name.split(".", 2)
        if parameter_name not in parameters:
            raise ValueError(f"the checkpoint has optimiser state for {parameter_name!r}, which the model has not")
        parameter = parameters[parameter_name]
        if moment not in ("step", "exp_avg", "exp_avg_sq"):
            raise ValueError(f"the checkpoint has an optimiser moment {moment!r}")
        _same_form(name, tensor, parameter if moment != "step" else torch.zeros(()))
        # AdamW keeps its step counter on the parameter's device only where it is fused
        moments.setdefault(parameter, {})[moment] = tensor.to(parameter.device, copy=True)
    if any(len(kept) != 3 for kept in moments.values()):
        raise ValueError("the checkpoint lacks an optimiser moment")
    return moments


def _same_form(name: str, given: Tensor, wanted: Tensor) -> None:
    if given.shape != wanted.shape or given.dtype != wanted.dtype:
        have, want = (f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in (given, wanted))
        raise ValueError(f"the checkpoint's {name} is {have}; the model needs {want}")

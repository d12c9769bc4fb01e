"""From the device to the host: what is looked at is gathered first and copied once, because each copy waits for all that is queued there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def to_host(tree: T) -> T:
    """The same nest of dicts, lists, tuples and dataclasses with every tensor on the host and detached.

    One copy; none where all are there; one for each where the device has no room to gather them.
    """
    away: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.device.type != "cpu":
            away[id(tensor)] = tensor
        return tensor

    _mapped(tree, note)
    here = _copied(away)
    return _mapped(tree, lambda tensor: here[id(tensor)] if id(tensor) in here else tensor.detach())


def _copied(away: dict[int, Tensor]) -> dict[int, Tensor]:
    """The tensors through one buffer of bytes, those of large numbers first: every part then begins at a multiple of its size."""
    if not away:
        return {}
    order = sorted(away, key=lambda key: -away[key].element_size())
    try:
        flat = [away[key].detach().contiguous().view(-1).view(torch.uint8) for key in order]
        parts = torch.cat(flat).cpu().split([len(part) for part in flat])
    except torch.OutOfMemoryError:  # a full device must still give up what is to be saved
        return {key: tensor.detach().cpu() for key, tensor in away.items()}
    return {key: part.view(away[key].dtype).view(away[key].shape) for key, part in zip(order, parts)}


def _mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_mapped(value, change) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(_mapped(value, change) for value in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        twin = copy.copy(tree)
        vars(twin).update({name: _mapped(value, change) for name, value in vars(tree).items()})
        return twin
    return tree


__all__ = ["to_host"]

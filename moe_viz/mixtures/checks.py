"""What may be given to a mixture: every refusal names the value and what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from moe_viz.mixtures.experts import EXPERTS, TWO_CLASSES
from moe_viz.mixtures.gates import GATES


def among(name: str, value: Any, allowed: Any) -> None:
    """Raises ValueError where `value` is none of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}: allowed are {', '.join(allowed)}")


def whole(name: str, value: Any, least: int) -> None:
    """Raises ValueError unless `value` is a whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} = {value!r}: a whole number from {least} is needed")


def options(branching: Any, expert: Any, gate: Any, seed: Any, nu: Any) -> tuple[int, ...]:
    """The branching as a tuple. Raises ValueError on an option outside its range."""
    levels = tuple(branching) if isinstance(branching, (tuple, list)) else ()
    if not levels:
        raise ValueError(f"branching = {branching!r}: one whole number per level is needed, for example (2, 2)")
    for children in levels:
        whole("branching" if len(levels) > 1 else "n_experts", children, 1)
    among("expert", expert, EXPERTS)
    among("gate", gate, GATES)
    whole("seed", seed, 0)
    if isinstance(nu, bool) or not isinstance(nu, (int, float)) or not 0 < nu < float("inf"):
        raise ValueError(f"nu = {nu!r}: a finite number above 0 is needed")
    return levels


def matrix(values: Any, name: str) -> Tensor:
    """A copy as float64 [N, columns]. Raises ValueError where it is not finite numbers in two dimensions."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}: [N, columns] with at least one of each is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity: finite numbers are needed")
    return torch.from_numpy(array)


def classes(values: np.ndarray, expert: str, labels: np.ndarray | None) -> tuple[np.ndarray, Tensor]:
    """Sorted labels and one-hot rows [N, C]. `values` [N] labels or [N, C] one-hot. Raises ValueError on an unknown or missing class."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("y holds NaN or infinity: class labels are needed")
    if values.ndim == 2:
        if not (np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()):
            raise ValueError("y [N, C] must be one-hot rows; give labels as y [N]")
        known, coded = np.arange(values.shape[1]), np.array(values, dtype=np.float64)
    else:
        known = np.unique(values) if labels is None else labels
        if unknown := sorted(set(np.unique(values).tolist()) - set(known.tolist())):
            raise ValueError(f"y holds {unknown[:5]}: fitted with the classes {known.tolist()}")
        coded = (values[:, None] == known).astype(np.float64)
    if len(known) < 2 or (expert in TWO_CLASSES and len(known) != 2):
        raise ValueError(
            f"y holds {len(known)} classes: expert = {expert!r} needs {'exactly' if expert in TWO_CLASSES else 'at least'} 2"
        )
    return known, torch.from_numpy(coded)

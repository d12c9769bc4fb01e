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


def plain(values: Any, name: str) -> np.ndarray:
    """`values` as an array, tensors detached and on the CPU. Raises ValueError on complex numbers and dates: they are no numbers to fit."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().resolve_conj()
        values = values.float() if values.dtype == torch.bfloat16 else values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if array.dtype.kind in "US" and array.ndim == 1 and isinstance(values, (list, tuple)):
        labels_are_whole(np.array(values, dtype=object))  # numpy has made text of every number and NaN among them
    if array.dtype.kind in "cmM":
        kind = "complex numbers" if array.dtype.kind == "c" else "dates or durations"
        raise ValueError(f"{name} holds {kind}: give real numbers, for example the real part or the days since a date")
    return array


def cell(name: str, index: tuple[int, ...]) -> str:
    """Where in `name` an entry stands, in words; rows and columns counted from 0."""
    return f"{name}, row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")


def _number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, (complex, np.datetime64, np.timedelta64))


def matrix(values: Any, name: str) -> Tensor:
    """A copy as float64 [N, columns]. Raises ValueError where it is not finite numbers in two dimensions."""
    array = plain(values, name)
    if array.dtype.kind not in "fiub":
        for index, value in np.ndenumerate(array):
            if not _number(value):
                raise ValueError(
                    f"{name} is not an array of numbers: {cell(name, index)} holds {value!r}; leave the row out or code it"
                )
    array = np.array(array, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}: [N, columns] with at least one of each is needed")
    if not (finite := np.isfinite(array)).all():
        row, column = (int(at) for at in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} holds NaN or infinity ({cell(name, (row, column))}): leave the row out or fill the value in"
        )
    return torch.from_numpy(array)


def _missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA: the last is equal to nothing, not even by an answer."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def labels_are_whole(values: np.ndarray) -> None:
    """Raises ValueError where a label [N] is missing, or where labels of several types cannot be sorted."""
    if values.dtype.kind not in "fO":
        return
    kinds: dict[str, int] = {}
    for row, value in enumerate(values.tolist()):
        if _missing(value):
            what = "NaN or another missing value" if values.dtype.kind == "f" else f"{value!r}"
            raise ValueError(f"y holds {what} ({cell('y', (row,))}): class labels are needed; leave the row out")
        kinds.setdefault("number" if isinstance(value, (bool, int, float)) else type(value).__name__, row)
    if len(kinds) > 1:
        where = ", ".join(f"{kind} (row {row})" for kind, row in kinds.items())
        raise ValueError(f"y mixes labels of several types, {where}: give them all as text or all as numbers")


def classes(values: np.ndarray, expert: str, labels: np.ndarray | None) -> tuple[np.ndarray, Tensor]:
    """Sorted labels and one-hot rows [N, C]. `values` [N] labels or [N, C] one-hot. Raises ValueError on an unknown or missing class."""
    if values.ndim == 1:
        labels_are_whole(values)
    else:
        values = matrix(values, "y").numpy()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise ValueError(f"y holds infinity ({cell('y', (row,))}): class labels are needed; leave the row out")
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

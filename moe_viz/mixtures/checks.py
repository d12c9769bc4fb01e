"""What may be given to a mixture: every refusal names the value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor

from moe_viz.mixtures.experts import EXPERTS, OF_DISTANCES, TWO_CLASSES
from moe_viz.mixtures.gates import GATES
from moe_viz.mixtures.methods import ERRORS, METHODS


class NotANumber(ValueError, TypeError):
    """An entry of a type that is no number."""


def among(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raises ValueError where `value` is none of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} = {value!r}: allowed are {', '.join(allowed)}")


def whole(name: str, value: Any, least: int) -> None:
    """Raises ValueError unless `value` is a whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} = {value!r}: a whole number from {least} is needed")


def _real(value: Any) -> bool:
    """Whether `value` is a finite real number."""
    return not isinstance(value, bool) and isinstance(value, Real) and bool(np.isfinite(float(value)))


def above_zero(name: str, value: Any) -> None:
    """Raises ValueError unless `value` is a finite number above 0."""
    if not _real(value) or value <= 0:
        raise ValueError(f"{name} = {value!r}: a finite number above 0 is needed")


def levels(branching: Any) -> tuple[int, ...]:
    """The branching as a tuple. Raises ValueError where it is none."""
    given = tuple(branching) if isinstance(branching, (tuple, list)) else ()
    if not given:
        raise ValueError(f"branching = {branching!r}: one whole number per level is needed, for example (2, 2)")
    return given


def options(branching: tuple[int, ...], expert: Any, gate: Any, seed: Any, nu: Any) -> None:
    """Raises ValueError on an option outside its range."""
    for children in branching:
        whole("branching" if len(branching) > 1 else "n_experts", children, 1)
    among("expert", expert, EXPERTS)
    among("gate", gate, GATES)
    whole("seed", seed, 0)
    above_zero("nu", nu)


def way_to_fit(method: Any, ridge: Any, error: Any, expert: str) -> None:
    """Raises ValueError on a way to fit that is none, or that this kind of expert cannot go."""
    among("method", method, METHODS)
    among("error", error, ERRORS)
    if not _real(ridge) or ridge < 0:
        raise ValueError(f"ridge = {ridge!r}: a finite number from 0 is needed")
    if error == "likelihood":
        return
    if method in ("em", "hard_em"):
        raise ValueError(
            f"method = {method!r} climbs the likelihood only: error = {error!r} needs gradient, adam or ascent"
        )
    if expert not in OF_DISTANCES:
        raise ValueError(
            f"error = {error!r} is of squared distances: expert = {expert!r} is none of {', '.join(OF_DISTANCES)}"
        )


def plain(values: Any, name: str) -> np.ndarray:
    """`values` as an array, tensors detached and on the CPU. Raises ValueError on complex numbers and dates: they are no numbers to fit."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().resolve_conj()
        values = values.float() if values.dtype == torch.bfloat16 else values
    if issparse(values):
        raise ValueError(f"{name} is sparse: give it as a dense array, {name}.toarray()")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if array.dtype.kind in "US" and array.ndim == 1 and isinstance(values, (list, tuple)):
        labels_are_whole(np.array(values, dtype=object))  # numpy has made text of every number and NaN among them
    if array.dtype.kind in "cmM":
        if array.dtype.kind == "c":
            raise ValueError(
                f"Complex data not supported: {name} holds complex numbers; give the real part, or both parts"
            )
        raise ValueError(f"{name} holds dates or durations: give real numbers, for example the days since a date")
    return array


def with_columns(values: Any, name: str) -> Any:
    """What scikit-learn reads the columns' names and number from: a table as it is, all else as an array."""
    return values if hasattr(values, "columns") else plain(values, name)


def weights(values: Any, n_points: int) -> Tensor:
    """[N]; ones where None. Raises ValueError on what is no weight."""
    if values is None:
        return torch.ones(n_points, dtype=torch.float64)
    array = plain(values, "sample_weight")
    if array.shape != (n_points,):
        raise ValueError(f"sample_weight has shape {array.shape}: [N] with N = {n_points} is needed, as x has")
    found = matrix(array[:, None], "sample_weight")[:, 0]
    if (found < 0).any():
        row = int((found < 0).nonzero()[0, 0])
        raise ValueError(f"sample_weight is negative ({cell('sample_weight', (row,))}): 0 leaves a row out")
    if not (found > 0).any():
        raise ValueError(
            "sample_weight is zero for every row: sample weights must contain at least one non-zero number"
        )
    return found


def enough_rows(counted: np.ndarray, n_points: int) -> None:
    """Raises ValueError where one row is all there is."""
    if counted.sum() < 2:
        beside = f" with a weight above zero, of {n_points}" if n_points > 1 else ""
        raise ValueError(f"x has 1 sample{beside}: at least 2 rows are needed to fit anything")


def cell(name: str, index: tuple[int, ...]) -> str:
    """Where in `name` an entry stands, in words; rows and columns counted from 0."""
    return f"{name}, row {index[0]}" + (f", column {index[1]}" if len(index) > 1 else "")


def _refuse_no_number(value: Any, where: str, name: str) -> None:
    """Raises ValueError where `value` cannot be read as a number."""
    reason: Exception | None = None
    try:
        float(value)
    except (TypeError, ValueError) as error:
        reason = error
    if reason or isinstance(value, (complex, np.datetime64, np.timedelta64)):
        kind = NotANumber if isinstance(reason, TypeError) else ValueError
        why = f" ({reason})" if isinstance(reason, TypeError) else ""
        raise kind(f"{name} is not an array of numbers: {where} holds {value!r}{why}; leave the row out or code it")


def matrix(values: Any, name: str) -> Tensor:
    """A copy as float64 [N, columns]. Raises ValueError where it is not finite numbers in two dimensions."""
    titles = list(getattr(values, "columns", []))
    array = plain(values, name)

    def where(index: tuple[int, ...]) -> str:
        title = titles[index[1]] if len(index) > 1 and index[1] < len(titles) else None
        return cell(name, index) + (f" ({title!r})" if isinstance(title, str) else "")

    if array.dtype.kind not in "fiub":
        for index, value in np.ndenumerate(array):
            _refuse_no_number(value, where(index), name)
    array = np.array(array, dtype=np.float64)
    if array.ndim != 2:
        hint = f". Reshape your data: {name}[:, None] is one column, {name}[None] one row" if array.ndim == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}: [N, columns] with at least one of each is needed{hint}")
    if not array.size:
        what = "feature" if len(array) else "sample"
        raise ValueError(
            f"{name} has 0 {what}(s) (shape={array.shape}) while a minimum of 1 is required: [N, columns] with at least one of each"
        )
    if not (finite := np.isfinite(array)).all():
        at = tuple(int(each) for each in np.argwhere(~finite)[0])
        raise ValueError(f"{name} holds NaN or infinity ({where(at)}): leave the row out or fill the value in")
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


def classes(values: np.ndarray, expert: str, counted: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """Sorted labels of the rows that are `counted` [N], and these one-hot [N', C]. `values` [N] labels or [N, C] one-hot. Raises ValueError on a missing or continuous one."""
    if values.ndim == 1:
        labels_are_whole(values)
        _labels_are_classes(values)
        known = np.unique(values[counted])
    else:
        known = np.arange(values.shape[1])
    coded = one_hot(values[counted], known)
    if len(known) < 2:
        raise ValueError(
            f"y holds {len(known)} classes: expert = {expert!r} needs {'exactly' if expert in TWO_CLASSES else 'at least'} 2; 1 class is no choice"
        )
    if expert in TWO_CLASSES and len(known) > 2:
        raise ValueError(
            f"y holds {len(known)} classes: expert = {expert!r} needs exactly 2. Only binary classification is supported. Take expert = 'multinomial'"
        )
    return known, coded


def _labels_are_classes(values: np.ndarray) -> None:
    """Raises ValueError where labels [N] are measurements: infinite ones, and numbers that are not whole."""
    if values.dtype.kind != "f":
        return
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise ValueError(f"y holds infinity ({cell('y', (row,))}): class labels are needed; leave the row out")
    if (parts := values != np.floor(values)).any():
        row = int(np.argwhere(parts)[0, 0])
        raise ValueError(
            f"y is continuous ({cell('y', (row,))} holds {values[row]}): class labels are needed; take an expert that regresses, or cut y into classes"
        )


def one_hot(values: np.ndarray, known: np.ndarray) -> Tensor:
    """[N] labels among `known`, or one-hot rows [N, C] as they are. Raises ValueError on any other."""
    if values.ndim == 1:
        labels_are_whole(values)
        if unknown := sorted(set(np.unique(values).tolist()) - set(known.tolist())):
            raise ValueError(f"y holds {unknown[:5]}: fitted with the classes {known.tolist()}")
        return torch.from_numpy((values[:, None] == known).astype(np.float64))
    coded = matrix(values, "y")
    if coded.shape[1] != len(known):
        raise ValueError(f"y has {coded.shape[1]} columns: fitted with {len(known)} classes")
    if not (((coded == 0) | (coded == 1)).all() and (coded.sum(1) == 1).all()):
        raise ValueError("y [N, C] must be one-hot rows; give labels as y [N]")
    return coded

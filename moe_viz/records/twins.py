"""Twin runs: the same seed and data, one knob different. Where they part, and how far each metric drifts since, over several pairs.

One pair says little: which of two runs is ahead at one step is mostly the luck of one seed. Differences are therefore taken within pairs
(same seed, same step: the noise of the data cancels) and reported with Student's t interval over the pairs (Student 1908, Biometrika 6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moe_viz.records.moved_tokens import who_moved
from moe_viz.records.trace import RoutingTrace

T_95 = {2: 12.706205, 3: 4.302653, 4: 3.182446, 5: 2.776445, 6: 2.570582, 7: 2.446912, 8: 2.364624}
"""Two-sided 95 % quantile of Student's t for n values (n - 1 degrees of freedom)."""
MOST_PAIRS = max(T_95)
WINDOW = 50
"""Newest rows that `gap_table` averages: single steps are noisy."""


@dataclass(frozen=True)
class Parting:
    """The first token that two runs route differently: at `step`, in `layer`, `before` the first run's expert and `after` the second's.

    tokens: how many of the batch (in that layer) differ at that step;  since: the last step at which all were known to be routed alike,
    None where they differed at the first look.
    """

    step: int
    layer: int
    index: int
    token: str
    before: int
    after: int
    tokens: int
    since: int | None

    @property
    def exact(self) -> bool:
        """Whether the step before was looked at too, so that this is the very first."""
        return self.since is not None and self.since == self.step - 1


def parting(one: Sequence[RoutingTrace], two: Sequence[RoutingTrace], since: int | None = None) -> Parting | None:
    """The first token (lowest layer, then order of the batch) that the runs route differently at this moment; None where none does.

    one, two: a trace per layer, same batch. Raises ValueError where steps, layers or batches differ.
    """
    if [(t.step, t.layer) for t in one] != [(t.step, t.layer) for t in two]:
        raise ValueError("twins are compared at the same step and layers")
    for first, second in zip(one, two):
        table = who_moved(first, second)
        if len(table):
            row = table.iloc[0]
            return Parting(
                int(first.step), int(first.layer), int(row["index"]), str(row["token"]), int(row["before"]),
                int(row["after"]), len(table), since,
            )  # fmt: skip
    return None


def agreement(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """[S] share of tokens with the same first choice, from first choices [S, T] of both runs at the same steps; NaN without tokens."""
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape:
        raise ValueError(f"first choices {one.shape} and {two.shape} are not of the same steps and tokens")
    return (one == two).mean(1) if one.shape[1] else np.full(len(one), np.nan)


def t_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high) with the 95 % t interval of independent values; blanks left out. low and high are NaN for fewer than two."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if len(values) < 2:
        return mean, math.nan, math.nan
    if len(values) > MOST_PAIRS:
        raise ValueError(f"{len(values)} pairs; the interval is tabulated for 2 to {MOST_PAIRS}")
    half = T_95[len(values)] * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


Pair = tuple[pd.DataFrame, pd.DataFrame]
"""Histories of two twins: columns `epoch`, `step` and one per metric."""


def differences(pairs: Sequence[Pair], column: str) -> pd.DataFrame:
    """Second minus first of one metric: index step, one column per pair; only steps that some pair measured in both runs."""
    columns = {}
    for number, (one, two) in enumerate(pairs):
        first, second = (_newest(frame, column) for frame in (one, two))
        columns[number] = second - first  # aligned by step; NaN where only one has it
    return pd.DataFrame(columns).dropna(how="all").rename_axis("step")


def gap(pairs: Sequence[Pair], column: str) -> pd.DataFrame:
    """The drift of one metric: columns step, mean, low, high (95 % t interval over pairs, blank for one pair), pairs."""
    table = differences(pairs, column)
    rows = [
        (int(step), *t_interval(row), int(np.isfinite(row).sum())) for step, row in zip(table.index, table.to_numpy())
    ]
    return pd.DataFrame(rows, columns=["step", "mean", "low", "high", "pairs"])


def gap_table(pairs: Sequence[Pair], columns: Sequence[str], window: int = WINDOW) -> pd.DataFrame:
    """One row per metric over the newest `window` rows: column, one, two (means over pairs), gap, low, high, pairs.

    Each pair gives one difference (of its means over the rows that both have); the interval is over pairs, never over steps, whose noise
    is not independent. Metrics that no pair has are left out.
    """
    rows = []
    for column in columns:
        ones, twos = [], []
        for one, two in pairs:
            both = pd.concat([_newest(one, column), _newest(two, column)], axis=1, join="inner").dropna().tail(window)
            if len(both):
                ones.append(float(both.iloc[:, 0].mean()))
                twos.append(float(both.iloc[:, 1].mean()))
        if ones:
            mean, low, high = t_interval(np.subtract(twos, ones))
            rows.append((column, float(np.mean(ones)), float(np.mean(twos)), mean, low, high, len(ones)))
    return pd.DataFrame(rows, columns=["column", "one", "two", "gap", "low", "high", "pairs"])


def verdict(low: float, high: float) -> str:
    """What an interval of a gap allows to say: "higher", "lower", "unclear" (it holds 0), or "one pair" (there is no interval)."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "one pair"
    return "higher" if low > 0 else "lower" if high < 0 else "unclear"


def _newest(history: pd.DataFrame, column: str) -> pd.Series:
    """One metric of the newest epoch by step; empty where the history lacks it."""
    if column not in history or history.empty:
        return pd.Series(dtype=float)
    rows = history[history["epoch"] == history["epoch"].max()]
    values = np.asarray(rows[column], float)
    steps = pd.Index(rows["step"], name="step")
    return pd.Series(np.where(np.isfinite(values), values, np.nan), index=steps, name=column)

"""What several runs that trained in lock-step have come to, number by number: the rows of a table of differences.

A number that a router does not define is None. Per-layer numbers are those of one layer: they are never pooled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from moe_viz.records.numbers import number
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec.knobs import N_


@dataclass(frozen=True)
class Row:
    """One line of the table. form: how a value is written;  better: "min" or "max" where one direction is better, else ""."""

    name: str
    title: str
    form: str
    better: str = ""


ROWS = (
    Row("step", N_("Step"), "d"),
    Row("loss", N_("Training loss"), ".3f", "min"),
    Row("task_metric", N_("Task metric"), ".3f"),
    Row("max_load", N_("Largest load"), ".1%", "min"),
    Row("dead_experts", N_("Dead experts"), "d", "min"),
    Row("drop_rate", N_("Dropped routes"), ".1%", "min"),
    Row("token_entropy", N_("Token entropy (nats)"), ".3f"),
    Row("load_entropy", N_("Load entropy (1 = even)"), ".3f", "max"),
    Row("expert_calls", N_("Expert calls per token"), ".2f"),
    Row("tokens_per_second", N_("Tokens per second"), ",.0f", "max"),
)
"""In reading order: where the run is, what it has learned, how it routes, what it costs."""


MOST_DECIMALS = 6


def expert_calls(snapshot: Snapshot, layer: int) -> float | None:
    """How many times an expert ran per token of the probe batch: kept routes over tokens, or slots over tokens where tokens are blended."""
    trace = snapshot.traces[layer]
    if not trace.n_tokens:
        return None
    if "dispatch" in snapshot.extras and trace.capacity is not None:
        return trace.n_experts * trace.capacity / trace.n_tokens
    return float(trace.kept.sum() / trace.n_tokens)


def values(snapshot: Snapshot, layer: int) -> dict[str, float | int | None]:
    """Row name -> value of one run at this moment."""
    found: dict[str, float | int | None] = {"step": snapshot.step, "expert_calls": expert_calls(snapshot, layer)}
    for row in ROWS:
        if row.name not in found:
            value = snapshot.metrics.get(row.name)
            found[row.name] = value[layer] if isinstance(value, list) else value
    return found


def written_gap(
    row: Row, one: float, two: float, gap: float, low: float, high: float
) -> tuple[str, str, str, str, str]:
    """Both values, their gap and its interval, all with as many decimals as the widest of the last three needs to have three digits.

    So the gap is never finer, nor coarser, than what is seen of the two values. low, high: NaN where there is no interval.
    """
    share = row.form.endswith("%")
    scale, unit = (100.0, "%") if share else (1.0, "")
    least = int(row.form[1]) if row.form.startswith(".") else 0
    largest = max((abs(value) * scale for value in (gap, low, high) if np.isfinite(value)), default=0.0)
    decimals = least if not largest else min(max(2 - math.floor(math.log10(largest)), least), MOST_DECIMALS)

    def text(value: float, form: str) -> str:
        return number(scale * value, f"{form if value else ''}.{decimals}f") + (unit if np.isfinite(value) else "")

    return text(one, ""), text(two, ""), text(gap, "+"), text(low, "+"), text(high, "+")


def written(row: Row, value: float | int | None, reference: float | int | None = None) -> str:
    """A value as the table shows it, with its difference from `reference` in brackets; a dash where there is none."""
    text = number(value, row.form)
    if value is None or reference is None or not np.isfinite([value, reference]).all() or row.name == "step":
        return text
    apart = number(value - reference, "+" + row.form)
    return f"{text} ({apart})" if any(digit in apart for digit in "123456789") else text

"""The rows of the page: the live model, the reader's own system, the published ones; and what memory and traffic each takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from moe_viz.records.numbers import number
from moe_viz.spec.knobs import N_
from moe_viz.systems import PUBLISHED, Count, Published, System, count
from moe_viz.systems.table import ACCELERATORS
from moe_viz.ui.i18n import _
from moe_viz.ui.sizes.state import Memory, Sizes

GB = 1e9
ACTIVE = {
    "all": N_("active: all"),
    "no_input_embedding": N_("active: no input embedding"),
    "no_embedding": N_("active: no embedding"),
}
MUCH = 0.01
"""A count that is further off its print is said with its reason."""
NOT_IN_PRINT = ("Switch-XXL", "GLaM 0.1B/64E", "Kimi-K2")
"""Published figures that contradict one another."""


@dataclass(frozen=True)
class Row:
    """One system of the page. published: None for the reader's own and for the live model;  k_is_fixed: its active weights can be told."""

    name: str
    system: System
    published: Published | None = None
    k_is_fixed: bool = True

    @cached_property
    def count(self) -> Count:
        return count(self.system)

    def active(self, convention: str) -> float:
        """NaN where it cannot be told."""
        return float(self.count.active(convention)) if self.k_is_fixed else math.nan


def live_name() -> str:
    return _("the live model in the lab")


def own_name() -> str:
    return _("your own")


def rows(page: Sizes) -> Iterator[Row]:
    """The live model and the reader's own first, where there are any; then what is published."""
    if page.live is not None:
        yield Row(live_name(), page.live.system, k_is_fixed=page.live.k_is_fixed)
    own, _wrong = page.own
    if own is not None and page.changes:
        yield Row(own_name(), own)
    for name, one in PUBLISHED.items():
        yield Row(name, one.system, one)


def amount(n: float | None) -> str:
    """So many weights as people say it: in full, in millions or in billions."""
    if n is None or n < 1e6:
        return number(n, ",.0f")
    if n < GB:
        return _("{n} M").format(n=number(n / 1e6, ",.4g"))
    return _("{n} B").format(n=number(n / GB, ",.4g"))


def off(one: Published) -> float | None:
    """How far the count is off the published total, as a part of that."""
    return count(one.system).total / (one.total_b * GB) - 1 if one.total_b else None


def percent_off(one: Published | None) -> float | None:
    """The same in percent; None where nothing was published."""
    apart = off(one) if one is not None else None
    return None if apart is None else 100 * apart


def weights(row: Row, memory: Memory) -> float:
    """Bytes of what is resident."""
    return row.count.weight_bytes(memory.bytes, memory.experts(row.system), memory.expert_bytes)


def cache(row: Row, memory: Memory) -> float:
    """Bytes of keys and values: as many bits as a number has, 8 at least."""
    return row.count.kv_bytes_per_token(max(1.0, min(memory.bytes, 2.0))) * memory.context


def traffic(row: Row, memory: Memory) -> float:
    """Bytes that one token sends to its experts and gets back; NaN where that varies."""
    if not row.k_is_fixed:
        return math.nan
    return row.count.all_to_all_bytes_per_token(max(1.0, min(memory.bytes, 2.0)), memory.ranks)


def fitting(needed: float) -> str:
    """The smallest accelerator that holds so many bytes, or how many of the largest do."""
    for card in sorted(ACCELERATORS, key=lambda card: card.gigabytes):
        if needed <= card.gigabytes * GB:
            return card.name
    largest = max(ACCELERATORS, key=lambda card: card.gigabytes)
    return f"{math.ceil(needed / (largest.gigabytes * GB))} × {largest.name}"

"""One system in detail: its parts, what was published of it, and the memory that holds it on each kind of card."""

from __future__ import annotations

import math

import streamlit as st

from moe_viz.records.numbers import number
from moe_viz.systems import Published
from moe_viz.systems.count import PARTS
from moe_viz.systems.system import CONVENTIONS
from moe_viz.systems.table import ACCELERATORS, translator
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _, language
from moe_viz.ui.sizes.rows import GB, Row, cache, traffic, weights
from moe_viz.ui.sizes.state import Memory


def details(row: Row, memory: Memory) -> None:
    """Parts and memory of one system; what was published beside them."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(parts_table(row))
        if row.published is not None:
            st.caption(print_of(row.published))
    with right:
        st.markdown(memory_table(row, memory))


def _markdown(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    lines = [" | ".join(head), "|".join([":--", *["--:"] * (len(head) - 1)])]
    return "\n".join(f"| {line} |" for line in [*lines, *(" | ".join(cells) for cells in body)])


def bold(text: str) -> str:
    return f"**{text}**"


def parts_table(row: Row) -> str:
    """Weights of each part, and the three counts of active ones."""
    c = row.count
    body = [
        (_(words), number(c.parts[part], ",d"), number(c.parts[part] / c.total, ".1%")) for part, words in PARTS.items()
    ]
    body.append((bold(_("all weights")), f"**{number(c.total, ',d')}**", "100%"))
    for convention, words in CONVENTIONS.items():
        value = row.active(convention)
        is_theirs = row.published is not None and row.published.convention == convention
        mark = " ◂" if is_theirs else ""
        share = number(value / c.total, ".1%")
        body.append((_("active: {what}").format(what=_(words)) + mark, number(value, ",.0f"), share))
    return _markdown((_("Part"), _("weights"), _("share")), body)


def print_of(one: Published) -> str:
    """What was published of it, and where."""
    said = translator(language())
    total = _("published total: {n} B").format(n=number(one.total_b, ",.12g")) if one.total_b else ""
    active = ""
    if one.active_b:
        active = _("published active: {n} B, counted {how} ◂").format(
            n=number(one.active_b, ",.6g"), how=_(CONVENTIONS[one.convention])
        )
    parts = [total, active, said(one.note), _("Source: {source}").format(source=one.source)]
    return escape_markdown(" · ".join(filter(None, parts)), 1000)


def memory_table(row: Row, memory: Memory) -> str:
    """Bytes of weights and cache, and how many of each card hold them."""
    held, kept = weights(row, memory), cache(row, memory)
    body = [
        (_("weights in memory"), f"{number(held / GB, ',.2f')} GB"),
        (_("KV cache of {n} tokens").format(n=number(memory.context, ",d")), f"{number(kept / GB, ',.2f')} GB"),
        (bold(_("together")), f"**{number((held + kept) / GB, ',.2f')} GB**"),
        (_("all-to-all for each token"), f"{number(traffic(row, memory) / 1e3, ',.1f')} kB"),
    ]
    for card in ACCELERATORS:
        n = math.ceil((held + kept) / (card.gigabytes * GB))
        body.append(
            (f"{card.name}, {card.gigabytes} GB", _("one is enough") if n == 1 else _("{n} of them").format(n=n))
        )
    return _markdown((_("Memory"), ""), body)

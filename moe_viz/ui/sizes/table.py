"""The part *All systems*: every system in one table and one chart, what memory holds it, and what does not add up in print."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts.sizes import total_and_active
from moe_viz.records.numbers import MISSING, number
from moe_viz.systems import PUBLISHED, count
from moe_viz.systems.table import translator
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _, language
from moe_viz.ui.sizes.details import details
from moe_viz.ui.sizes.rows import (
    ACTIVE,
    GB,
    MUCH,
    NOT_IN_PRINT,
    Row,
    cache,
    fitting,
    off,
    percent_off,
    rows,
    traffic,
    weights,
)
from moe_viz.ui.sizes.state import BITS, CONTEXT, EXPERT_BITS, RANKS, RESIDENT, Memory, Sizes
from moe_viz.ui.widgets.charts import draw_chart
from moe_viz.ui.widgets.tables import show_table, table_twin


def draw(page: Sizes) -> None:
    """The whole part."""
    shown = list(rows(page))
    st.markdown(
        _(
            "**Published** are the figures of those who made a system; all others are counted from its configuration by one rule. "
            "{exact} of {n} totals come out to the last parameter, {near} within 1 %."
        ).format(
            exact=sum(round((one.total_b or 0) * GB) == count(one.system).total for one in PUBLISHED.values()),
            n=len(PUBLISHED),
            near=sum(abs(off(one) or 0) <= MUCH for one in PUBLISHED.values()),
        )
    )
    controls(page.memory)
    big_table(shown, page.memory)
    chart = total_and_active(
        pd.DataFrame(
            {
                "name": [row.name for row in shown if row.published],
                "year": [row.published.year for row in shown if row.published],
                "total": [row.count.total / GB for row in shown if row.published],
                "active": [row.active("all") / GB for row in shown if row.published],
            }
        ),
        _,
    )
    draw_chart(chart, "total_and_active", _("All weights and active weights of each published system, by year."))
    table_twin([chart], "sizes_twin")
    one_system(page, {row.name: row for row in shown})
    in_print()


def controls(memory: Memory) -> None:
    """What is asked of memory and traffic."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="memory_controls"):
        _choice(memory, "bits", BITS, _("Bits of a number"), str)
        _choice(
            memory,
            "expert_bits",
            EXPERT_BITS,
            _("Bits in experts"),
            lambda value: _("the same") if value == "same" else str(value),
        )
        _choice(
            memory,
            "resident",
            RESIDENT,
            _("Experts of a layer in memory"),
            lambda value: _("all of them") if value == "all" else _("at most {n}").format(n=value),
        )
        _choice(memory, "context", CONTEXT, _("Tokens in the KV cache"), lambda value: number(value, ",d"))
        _choice(memory, "ranks", RANKS, _("Devices that share the experts"), str)


def _choice(memory: Memory, word: str, values: tuple[Any, ...], label: str, form: Any) -> None:
    key = f"sizes_{word}"
    st.session_state[key] = getattr(memory, word)
    st.selectbox(
        label,
        values,
        format_func=form,
        key=key,
        width=165,
        on_change=lambda: setattr(memory, word, st.session_state[key]),
    )


def big_table(shown: list[Row], memory: Memory) -> None:
    """One row for each system."""
    said = translator(language())
    table = pd.DataFrame(
        [
            {
                _("System"): row.name,
                _("year"): row.published.year if row.published else None,
                _("total, billions"): row.count.total / GB,
                _("published total"): row.published.total_b if row.published else None,
                _("off by, %"): percent_off(row.published),
                **{_(title): row.active(convention) / GB for convention, title in ACTIVE.items()},
                _("published active"): row.published.active_b if row.published else None,
                _("its convention"): _(ACTIVE[row.published.convention])
                if row.published and row.published.convention
                else "",
                _("one expert, millions"): (row.count.per_expert or math.nan) / 1e6,
                _("FFN share, %"): 100 * row.count.ffn_share,
                _("GFLOPs a token"): row.count.flops_per_token / 1e9 if row.k_is_fixed else None,
                _("weights, GB"): weights(row, memory) / GB,
                _("KV cache, GB"): cache(row, memory) / GB,
                _("card that holds both"): fitting(weights(row, memory) + cache(row, memory)),
                _("all-to-all, kB a token"): traffic(row, memory) / 1e3,
                _("what must be known"): said(row.published.note) if row.published else "",
                _("source"): row.published.source if row.published else "",
            }
            for row in shown
        ]
    )
    forms = dict.fromkeys(table.select_dtypes("number"), ",.4g") | {_("year"): ".0f", _("off by, %"): "+.3f"}
    forms |= {_("published total"): ",.6g", _("FFN share, %"): ".1f"}
    show_table(table, forms, height=440, key="sizes_table")
    st.caption(
        _(
            "GB are 10⁹ bytes. Cards by their makers' gigabytes, nothing left for anything else; keys, values and what devices send one another "
            "take 8 bits a number at least and 16 at most. Active weights with a varying number of experts are left blank."
        )
    )


def one_system(page: Sizes, by_name: Mapping[str, Row]) -> None:
    """One system in detail: its parts, its memory on every card."""
    names = list(by_name)
    if page.system not in by_name:
        page.system = names[0]
    st.session_state["sizes_system"] = page.system
    st.selectbox(
        _("One system in detail"),
        names,
        key="sizes_system",
        on_change=lambda: setattr(page, "system", st.session_state["sizes_system"]),
    )
    row = by_name[page.system]
    details(row, page.memory)


def in_print() -> None:
    """What is more than 1 % off its print, and what contradicts itself, each with its reason."""
    said = translator(language())
    st.markdown("##### " + _("What does not add up in print"))
    lines = []
    for name, one in PUBLISHED.items():
        apart = off(one)
        if name in NOT_IN_PRINT or (apart is not None and abs(apart) > MUCH):
            figure = number(apart, "+.1%") if apart is not None else MISSING
            lines.append(f"- **{escape_markdown(name)}** ({figure}): {escape_markdown(said(one.note), 500)}")
    st.markdown("\n".join(lines))

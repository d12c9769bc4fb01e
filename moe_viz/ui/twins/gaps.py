"""Below the Twins page's pictures: the losses on one scale, how far the routing agrees, and the gap of every metric with its interval."""

from __future__ import annotations

import math

import streamlit as st

from moe_viz.charts import time_series as charts
from moe_viz.charts.twins import alike_over_time, gap_over_time
from moe_viz.charts.vega import VegaChart
from moe_viz.records import twins as maths
from moe_viz.records.differences import ROWS, written_gap
from moe_viz.spec import TASK_OPTIONS
from moe_viz.ui.i18n import _
from moe_viz.ui.twins.runs import Twins
from moe_viz.ui.widgets.charts import METRIC_NAMES, draw_chart
from moe_viz.ui.widgets.tables import show_table
from moe_viz.ui.words import show

WINDOW = 25
PER_RUN = ("loss", "task_metric")
NO_GAP = ("step", "expert_calls", "tokens_per_second")


def names(twins: Twins) -> tuple[str, str]:
    """What the two twins are called: the knob and its value."""
    title = _(twins.base.fields()[twins.word].title)
    first, second = (config.flat().get(twins.word) for config in (twins.base, twins.second))
    return f"{title} = {show(twins.word, first)}", f"{title} = {show(twins.word, second)}" + (
        " ′" if twins.identical else ""
    )


def losses(twins: Twins) -> list[VegaChart]:
    """The first pair on one scale, and how far its routing agrees. Returns the charts drawn."""
    if any(update.history.empty for update in twins.look[:2]):
        return []
    left, right = st.columns(2)
    with left:
        histories = {name: update.history for name, update in zip(names(twins), twins.look)}
        chart = charts.compared(histories, "loss", _("Training loss of the first pair"), _, sparse=True)
        draw_chart(chart, "twin_loss", _("Loss of both twins over the steps; lower is better."))
        drawn = [chart]
    with right:
        steps, alike = twins.agreement()
        if len(steps) > 1:
            drawn.append(alike_over_time(steps, alike, _))
            draw_chart(drawn[1], "twin_alike", _("Share of tokens that both twins route alike, over the steps."))
        else:
            st.info(_("Agreement over time needs two moments kept in both runs."))
    return drawn


def gaps(twins: Twins) -> list[VegaChart]:
    """Second minus first, within pairs, for one metric over the steps and for all of them now. Returns the charts drawn."""
    rows = [row for row in ROWS if row.name not in NO_GAP]
    metric = TASK_OPTIONS[twins.base.task.name].metric
    of_column = {(row.name if row.name in PER_RUN else f"{row.name}.{twins.layer}"): row for row in rows}
    titles: dict[str, str] = {
        column: _(METRIC_NAMES[metric]).capitalize() if row.name == "task_metric" else _(row.title)
        for column, row in of_column.items()
    }
    table = maths.gap_table(twins.pairs, list(titles), WINDOW)
    if table.empty:
        st.info(_("No metric has been measured in both twins yet: train a few steps."))
        return []
    st.subheader(_("Gap of every metric: second minus first, {n} pairs").format(n=twins.n_pairs), anchor=False)
    if twins.n_pairs == 1:
        st.info(
            _("One pair has no interval: whatever gap it shows may be the luck of its seed. Choose more pairs to know.")
        )
    left, right = st.container(), st.container()  # the table needs the whole width: its last column is what it says
    with left:
        measured = [column for column in titles if column in set(table["column"])]
        column = st.selectbox(
            _("Metric"), measured, format_func=lambda name: titles.get(name) or name, key="gap_metric", width=360
        )
        chart = gap_over_time(
            maths.gap(twins.pairs, column), _("{metric}: second minus first").format(metric=titles[column]), _
        )
        draw_chart(chart, "twin_gap", _("Mean gap over the pairs, with its 95 % interval, over the steps."))
    with right:
        says = {
            "higher": _("second is higher"),
            "lower": _("second is lower"),
            "unclear": _("could be chance"),
            "one pair": _("one pair: unknown"),
        }
        verdicts = [
            _("no difference") if low == high == 0 else says[maths.verdict(low, high)]
            for low, high in zip(table["low"], table["high"])
        ]
        numbers = {
            "one": _("first"), "two": _("second"), "gap": _("gap"), "low": _("from"), "high": _("to"),
        }  # fmt: skip
        written = [
            written_gap(of_column[line["column"]], *(line[name] for name in numbers))
            for line in table.to_dict("records")
        ]
        texts = dict(zip(numbers, zip(*written, strict=True), strict=True))
        shown = table.assign(column=[titles[name] for name in table["column"]], verdict=verdicts, **texts)
        show_table(
            shown,
            key="twin_gaps",
            column_config={
                "column": _("metric"),
                # said above the table already, unless a pair lacks the metric
                "pairs": None if bool((table["pairs"] == twins.n_pairs).all()) else _("pairs"),
                "verdict": _("95 % interval says"),
                **{name: st.column_config.TextColumn(title, alignment="right") for name, title in numbers.items()},
            },
        )
    quantile = maths.T_95.get(twins.n_pairs, math.nan)
    if twins.n_pairs > 1:
        text = _(
            "Means over the newest {n} rows of the history. Interval: mean ± {t:.2f} · s/√{pairs} over the pairs (Student's t), never over steps, whose noise is not independent."
        )
        st.caption(text.format(n=WINDOW, t=quantile, pairs=twins.n_pairs))
    return [chart]

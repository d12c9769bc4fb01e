"""The compared runs in numbers: the table of differences, the table twins of the pictures, and the files to take along."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from moe_viz.charts import side_by_side
from moe_viz.records.differences import ROWS, values, written
from moe_viz.records.readable_tables import history_table, routing_rows
from moe_viz.spec import TASK_OPTIONS, causality_of
from moe_viz.ui.gates.comparison import (
    Comparison,
    first_sequence,
    labels,
)
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.charts import METRIC_NAMES
from moe_viz.ui.widgets.download import download_buttons, every_row, recorded_metrics
from moe_viz.ui.widgets.tables import lazy, show_table
from moe_viz.ui.words import show


def differences_table(comparison: Comparison) -> None:
    """The table: one row per number, one column per router; in brackets the difference from the first router."""
    metric = TASK_OPTIONS[comparison.base.task.name].metric
    columns = [values(update.snapshot, comparison.layer) for update in comparison.look]
    names = labels(comparison.routers)
    table = {
        _(METRIC_NAMES[metric]).capitalize() if row.name == "task_metric" else _(row.title): [
            written(row, column[row.name], columns[0][row.name] if n else None) for n, column in enumerate(columns)
        ]
        for row in ROWS
    }
    table[_("Looks at future tokens")] = [
        _("no") if causality_of(config) else _("yes") for config in comparison.configs
    ]
    with st.container(key="differences"):
        st.table(pd.DataFrame.from_dict(table, orient="index", columns=names))
    st.caption(
        _("In brackets: difference from {first}. Entropies, loads and drops are those of layer {layer}.").format(
            first=names[0], layer=comparison.layer + 1
        )
    )


def numbers(comparison: Comparison) -> None:
    """The table twin of the pictures."""
    with lazy(_("Numbers behind the pictures"), "numbers") as is_open:
        if not is_open:
            return
        frames = [
            update.history.assign(router=router)
            for router, update in zip(comparison.routers, comparison.look, strict=True)
        ]
        table = pd.concat(frames)
        first = [name for name in ("router", "step", "loss", "task_metric") if name in table]
        chosen = [name for name in table if name.count(".") == 1 and name.endswith(f".{comparison.layer}")]
        loads = [name for name in table if name.startswith(f"load.{comparison.layer}.")]
        st.caption(_("Layers and experts count from 1: load.2.5 is layer 2, expert 5."))
        show_table(history_table(table.loc[:, [*first, *chosen, *loads]]), height=300, key="compared_history")
        bars = [
            side_by_side.experts_per_token(update.snapshot.traces[comparison.layer], _).table.assign(router=router)
            for router, update in zip(comparison.routers, comparison.look, strict=True)
        ]
        show_table(pd.concat(bars), height=200, key="compared_counts")
        for router, update in zip(comparison.routers, comparison.look, strict=True):
            for name in ("dispatch", "combine"):
                if name in update.snapshot.extras:
                    st.caption(f"{show('router', router)}: {name}")
                    values = update.snapshot.extras[name][comparison.layer]
                    table = side_by_side.matrix(values, first_sequence(update, comparison.layer), name, _).table
                    show_table(table, height=200, key=f"compared_{name}_{router}")


def downloads(comparison: Comparison) -> None:
    """The pictures and the numbers of all runs; what differs from the first is told in each file."""
    moments = [update.snapshot for update in comparison.look]
    first = moments[0].config
    others = {
        router: {word: value for word, value in moment.config.items() if first.get(word) != value}
        for router, moment in zip(comparison.routers[1:], moments[1:])
    }
    tables = {
        "history": every_row(
            dict(zip(comparison.routers, comparison.run_ids, strict=True)), [u.history for u in comparison.look]
        )
    }
    for router, moment in zip(comparison.routers, moments, strict=True):
        tables[f"routing-{router}"] = lambda moment=moment: routing_rows(moment.traces[comparison.layer])
    download_buttons(tables, "gates", first, moments[0].step, recorded_metrics(comparison.look[0].history), others)

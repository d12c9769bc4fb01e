"""What stands below the picture: slim strips on one time axis, then one view at a time, each answering one question."""

from __future__ import annotations

import streamlit as st

from moe_viz.charts import counts
from moe_viz.charts import time_series as charts
from moe_viz.charts.load import load_over_time
from moe_viz.charts.style import DROPLESS
from moe_viz.components import routing_table
from moe_viz.engine.protocol import Update
from moe_viz.records.metrics import WINDOW
from moe_viz.records.readable_tables import history_table, routing_rows
from moe_viz.spec import TASK_OPTIONS
from moe_viz.ui.i18n import _
from moe_viz.ui.lab.own_image import IMAGE_TASKS, own_image
from moe_viz.ui.lab.own_text import own_text
from moe_viz.ui.lab.signals import signals_fold
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets import glossary
from moe_viz.ui.widgets.charts import LOSS_UNITS, METRIC_NAMES, METRIC_UNITS, draw_chart, draw_stack, dropless
from moe_viz.ui.widgets.download import download_buttons, every_row, recorded_metrics
from moe_viz.ui.widgets.specialisation import specialise
from moe_viz.ui.widgets.tables import show_table

WORDS = {
    "balance": ("balancing_loss", "token_entropy", "load_entropy", "log_e"),
    "capacity": ("capacity", "fair_share", "dropless", "dropped", "domain"),
    "specialise": ("specialisation", "domain", "importance"),
    "data": ("probe_batch", "route", "gate", "slot", "load"),
}
"""View -> the words of the field that its pictures and tables say."""
FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


def strips(shown: Update, layer: int) -> None:
    """Load, loss and drops of the run, one under another on one time axis. At step 0 they are empty, so that nothing moves with the first."""
    history, n_experts = shown.history, shown.snapshot.config["n_experts"]
    task = TASK_OPTIONS[shown.snapshot.config["task"]]
    metric = _(METRIC_NAMES[task.metric])
    unit = LOSS_UNITS[task.metric]
    together = METRIC_UNITS.get(task.metric) == unit
    losses = {"loss": _("training loss")} | ({"task_metric": metric} if together else {})
    layers = range(len(shown.snapshot.traces))
    stack = {
        "load": (
            load_over_time(history, layer, n_experts, _),
            _("Share of the routes asked of each expert, over the steps."),
        ),
        "loss": (
            charts.curve(history, losses, _("Loss"), _, sparse=True, batch=unit),
            _("Loss over the steps; lower is better."),
        ),
    }
    if task.metric_goal == "max":
        chart = charts.curve(
            history, {"task_metric": metric}, metric.capitalize(), _, domain=(0, 1), form="%", sparse=True
        )
        stack["task_metric"] = (chart, _("Task metric over the steps; higher is better."))
    elif not together:
        unit = METRIC_UNITS[task.metric]
        chart = charts.curve(history, {"task_metric": metric}, metric.capitalize(), _, sparse=True, batch=unit)
        stack["task_metric"] = (chart, _("Task metric over the steps; lower is better."))
    line = _(DROPLESS)
    if not dropless([shown.snapshot], [history], layers):
        alt = _("Share of routes dropped in each layer, over the steps.")
        stack["dropped"], line = (charts.dropped_over_time(history, layers, _), alt), ""
    draw_stack(stack, line=line)


def tabs(run: SessionRun, shown: Update, layer: int) -> None:
    """One view at a time, chosen by the reader; each answers one question."""
    views = {
        "balance": (_("Balance"), _balance),
        "capacity": (_("Capacity"), _capacity),
        "specialise": (_("Specialise"), specialise),
        "yours": (_("Yours"), _yours),
        "data": (_("Data"), _data),
    }
    picked = st.segmented_control(
        _("View"),
        list(views),
        format_func=lambda name: views[name][0],
        default="balance",
        key="view",
        label_visibility="collapsed",
        required=True,
    )
    views[picked or "balance"][1](run, shown, layer)
    if picked in WORDS:
        glossary.words(*WORDS[picked], key="view")
    moment = shown.snapshot
    tables = {
        "history": every_row({"lab": run.run_id}, [shown.history]),
        f"routing-layer-{layer + 1}": lambda: routing_rows(moment.traces[layer]),
    }
    download_buttons(tables, "lab", moment.config, moment.step, recorded_metrics(shown.history), run_id=run.run_id)


def _balance(run: SessionRun, shown: Update, layer: int) -> None:
    """Is the load even, and how sure is the router?"""
    n_experts = shown.snapshot.config["n_experts"]
    left, right = st.columns(2)
    with left:
        chart = charts.curve(
            shown.history,
            {f"balance_loss.{layer}": _("balancing loss")},
            _("Balancing loss (1 = even)"),
            _,
            fair=1.0,
            room=True,
        )
        draw_chart(chart, "balance_loss", _("Balancing loss over the steps; 1 is perfectly even."))
    with right:
        chart = charts.entropies_over_time(shown.history, layer, n_experts, _)
        draw_chart(
            chart,
            "entropies",
            _("How unsure the router is about single tokens, and how even the load is, over the steps."),
        )
    signals_fold(shown.snapshot, layer)


def _capacity(run: SessionRun, shown: Update, layer: int) -> None:
    """Who loses when buffers are full, and what would another capacity factor change?"""
    trace = shown.snapshot.traces[layer]
    if trace.capacity is None:
        st.caption(
            _(
                "Buffers have no limit now (dropless), so nothing is dropped. Set a capacity factor to see who would lose."
            )
        )
    left, right = st.columns(2)
    if trace.capacity is not None:
        with left:
            draw_chart(counts.drops_by(trace, "group", _), "drops_group", _("Share of routes dropped in each domain."))
            alt = _("Share of routes dropped at each position.")
            draw_chart(counts.drops_by(trace, "position", _), "drops_position", alt)
            alt = _("Share of routes dropped, by how often the token occurs in the batch.")
            draw_chart(counts.drops_by(trace, "frequency", _), "drops_frequency", alt)
    factor = shown.snapshot.config.get("capacity_factor")
    with right:
        chart = counts.drops_by_capacity(trace, FACTORS, factor, _)
        draw_chart(chart, "drops_capacity", _("Share of these routes that each capacity factor would drop."))
    with right if trace.capacity is not None else left:
        draw_chart(counts.experts_per_token(trace, _), "experts_per_token", _("How many experts computed each token."))


def _yours(run: SessionRun, shown: Update, layer: int) -> None:
    """How the model routes what the reader brings along."""
    (own_image if run.config.task.name in IMAGE_TASKS else own_text)(run, layer)


def _data(run: SessionRun, shown: Update, layer: int) -> None:
    trace = shown.snapshot.traces[layer]
    table = routing_table(trace)
    st.caption(
        _("Probe batch at step {step}, layer {layer}: one row per token and route.").format(
            step=trace.step, layer=layer + 1
        )
    )
    show_table(table, height=300, key="routing_table")
    st.caption(
        _(
            "History of the run: training batches, means of the last {n} steps (at most 200 steps here; the files hold every row that is kept)."
        ).format(n=WINDOW)
        + " "
        + _("Layers and experts count from 1: load.2.5 is layer 2, expert 5.")
    )
    show_table(history_table(shown.history), height=200, key="history_table")

"""Signals that practitioners log, of the moment on the screen: each layer's, their percentiles over layers, gate mass beside load; with definitions."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts.style import MEAN, PROBE
from moe_viz.records.metric_info import METRICS
from moe_viz.records.metrics import WINDOW
from moe_viz.records.signals import PERCENTILES, signal_table, signals
from moe_viz.records.snapshot import Snapshot
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.header import layer_name
from moe_viz.ui.widgets.tables import lazy, show_table

OF_STEPS = ("max_load", "load_entropy", "token_entropy", "balance_loss", "z_loss", "drop_rate", "cv", "dead_experts")
"""Metrics of the last training steps that stand below the signals of the probe batch."""


def signals_fold(shown: Snapshot, layer: int) -> None:
    """A fold with the signals; closed it costs nothing."""
    with lazy(_("Signals that practitioners log"), "signals", ":material/monitoring:") as is_open:
        if not is_open:
            return
        of_probe = signals(shown.traces, shown.config)
        of_steps = {name: shown.metrics[name] for name in OF_STEPS if name in shown.metrics}
        table = by_layer(of_probe, of_steps)
        show_table(table, dict.fromkeys(table.select_dtypes("number"), ".4g"), key="signals_table")
        st.markdown(
            _(
                "The same names go into TensorBoard files: {command}. Missing: the gate in use gives it no meaning."
            ).format(command="`python -m moe_viz train --log DIR`")
        )
        show_table(
            beside_load(shown, layer), {_("load"): ".1%", _("importance"): ".1%"}, height=220, key="signals_experts"
        )
        for name in (*of_probe, "load", "importance"):
            info = METRICS[name]
            # in the line: a formula of its own would be a region that scrolls out of the keyboard's reach
            st.markdown(f"**{_(info.title)}** · {_(info.meaning)} ${info.formula}$")


def by_layer(of_probe: dict[str, Any], of_steps: dict[str, Any]) -> pd.DataFrame:
    """One row per metric: of what it is, its number in each layer, its percentiles over layers."""
    table = signal_table({**of_probe, **of_steps})
    n_layers = sum(str(column).startswith("layer ") for column in table)
    batch = [_(PROBE)] * len(of_probe) + [_(MEAN).format(n=WINDOW)] * len(of_steps)
    table.insert(1, "of", batch)
    table["metric"] = [_(METRICS[name].title) for name in table["metric"]]
    named = {"metric": _("Metric"), "of": _("of")}
    named |= {f"layer {n + 1}": layer_name(n) for n in range(n_layers)}
    named |= {f"{q} %": _("{q} % of layers").format(q=q) for q in PERCENTILES}
    return table.rename(columns=named)


def beside_load(shown: Snapshot, layer: int) -> pd.DataFrame:
    """One row per expert of a layer: its share of the routes, and of the gate mass."""
    load, importance = shown.metrics["load"][layer], shown.metrics["importance"][layer]
    return pd.DataFrame({_("expert"): range(1, len(load) + 1), _("load"): load, _("importance"): importance})

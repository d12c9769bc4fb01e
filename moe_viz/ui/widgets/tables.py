"""Folds whose content is made only while they are open; table twins, what a chart draws as a table one click away, are such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from moe_viz.charts.time_series import VegaChart
from moe_viz.ui.i18n import _


@contextmanager
def lazy(label: str, key: str, icon: str = ":material/table:") -> Iterator[bool]:
    """A fold whose content is made only while it is open: closed, it costs neither server nor browser anything."""
    fold = st.expander(label, key=key, icon=icon, on_change="rerun")
    with fold:
        yield bool(fold.open)


def table_twin(charts: Sequence[VegaChart], key: str) -> None:
    """The charts' data under their titles."""
    with lazy(_("The same as tables"), key) as is_open:
        if is_open:
            for number, chart in enumerate(charts):
                title = chart.spec.get("title")
                lines = [title["text"], title.get("subtitle")] if isinstance(title, dict) else [title]
                st.caption(": ".join(part for part in lines if part))
                st.dataframe(chart.table, hide_index=True, height=220, key=f"{key}_{number}")

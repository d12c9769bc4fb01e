"""Tables with numbers as people read them, and folds whose content is made only while they are open; table twins, what a chart draws as a table one click away, are such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts.vega import VegaChart
from moe_viz.records.numbers import MISSING, number
from moe_viz.ui.i18n import _


@contextmanager
def lazy(label: str, key: str, icon: str = ":material/table:") -> Iterator[bool]:
    """A fold whose content is made only while it is open: closed, it costs neither server nor browser anything."""
    fold = st.expander(label, key=key, icon=icon, on_change="rerun")
    with fold:
        yield bool(fold.open)


def show_table(
    frame: pd.DataFrame, forms: Mapping[str, str] | None = None, hide_index: bool = True, **more: Any
) -> None:
    """A table. forms: Python's format of a column's numbers; without one those below 0 have four digits that count. more: as `st.dataframe`.

    Streamlit writes a hyphen for a minus, so columns with numbers below 0 are written here; they sort as numbers all the same.
    """
    signed = [name for name in frame.select_dtypes("number") if bool((frame[name] < 0).any())]
    chosen = {name: "d" if pd.api.types.is_integer_dtype(frame[name]) else ".4g" for name in signed} | dict(forms or {})
    if chosen:
        shown = frame.reset_index(drop=True) if hide_index else frame
        written = {name: partial(_cell, form=form) for name, form in chosen.items()}
        st.dataframe(shown.style.format(written, na_rep=MISSING), hide_index=hide_index, **more)
    else:
        st.dataframe(frame, hide_index=hide_index, **more)


def _cell(value: Any, form: str) -> str:
    if pd.isna(value):
        return MISSING
    return number(value, form)


def table_twin(charts: Sequence[VegaChart], key: str) -> None:
    """The charts' data under their titles."""
    with lazy(_("The same as tables"), key) as is_open:
        if is_open:
            for number, chart in enumerate(charts):
                title = chart.spec.get("title")
                lines = [title["text"], title.get("subtitle")] if isinstance(title, dict) else [title]
                st.caption(": ".join(part for part in lines if part))
                show_table(chart.table, height=220, key=f"{key}_{number}")

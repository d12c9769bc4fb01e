"""A Vega-Lite spec and, beside it, its data: what every chart that may tick is made of.

A spec depends only on what is shown (layer, experts, labels), never on the values: those travel as data beside it, so that a tick changes the
data alone. The data is also the chart's table twin and CSV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

AXIS = ("axis_from", "axis_to")
"""Columns that carry the ends of a shared time axis."""
NOTEBOOK_WIDTH = 640
"""Pixels; on a page a chart is as wide as its column."""


@dataclass(frozen=True)
class VegaChart:
    """A Vega-Lite spec without data, and its data: `st.vega_lite_chart(chart.arrow, chart.spec)`.

    values: the data as a table, or as columns of equal length: these go straight to Arrow, ten times cheaper than by way of a table.
    """

    spec: dict[str, Any]
    values: pd.DataFrame | dict[str, np.ndarray]

    @cached_property
    def data(self) -> pd.DataFrame:
        """The table twin."""
        return self.values if isinstance(self.values, pd.DataFrame) else pd.DataFrame(self.values)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The data, column by column."""
        if isinstance(self.values, pd.DataFrame):
            return {name: self.values[name].to_numpy() for name in self.values}
        return self.values

    @property
    def table(self) -> pd.DataFrame:
        return self.data.drop(columns=list(AXIS), errors="ignore")

    @property
    def arrow(self) -> pa.Table:
        """The data as it goes to the page; NaN becomes null, which Vega-Lite leaves blank."""
        if isinstance(self.values, pd.DataFrame):
            return pa.Table.from_pandas(self.values)
        return pa.table({name: pa.array(column, from_pandas=True) for name, column in self.values.items()})

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """What Jupyter draws where a cell ends with this chart."""
        spec = {"width": NOTEBOOK_WIDTH, **self.spec, "data": {"values": self.arrow.to_pylist()}}
        return {"application/vnd.vegalite.v5+json": spec}

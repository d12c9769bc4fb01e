"""Take it with you: any view's data as CSV or Parquet, made when it is clicked, with config, seed, version, definitions and a link inside.

The picture itself is saved by the chart's own toolbar, as SVG or PNG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import pandas as pd
import streamlit as st

from moe_viz.records import take as files
from moe_viz.spec import RunConfig
from moe_viz.ui.i18n import _, language
from moe_viz.ui.permalink import encode

Table = pd.DataFrame | Callable[[], pd.DataFrame]
PICTURES = ("svg", "png")


def take(
    tables: Mapping[str, Table],
    name: str,
    config: Mapping[str, Any],
    step: int | None = None,
    metrics: Sequence[str] = (),
) -> None:
    """A small menu with the tables of one view (file stem -> table, or what makes it). Nothing is made before it is asked for.

    config: the flat config that made them;  metrics: names in `METRICS` whose definitions go into the files.
    """
    menu = st.popover(_("Take it with you"), icon=":material/download:", key=f"take_{name}", on_change="rerun")
    if not menu.open:
        return
    link = lab_link(config)
    with menu:
        st.caption(_("Each file holds its data, the settings, the seed, the version and what each number means."))
        for stem, table in tables.items():
            said = files.about(stem, config, step, link, metrics)
            with st.container(horizontal=True, vertical_alignment="center"):
                _button(_("{name} as CSV").format(name=stem), stem, "csv", files.to_csv, table, said)
                _button(_("{name} as Parquet").format(name=stem), stem, "parquet", files.to_parquet, table, said)
        st.segmented_control(
            _("Picture"),
            PICTURES,
            format_func=str.upper,
            default=PICTURES[0],
            key="picture_format",
            required=True,
            help=_(
                "What the camera in a chart's toolbar saves. The strips of the lab save a PNG from their own toolbar."
            ),
        )
        st.caption(_("This link opens the same settings and seed in the lab:"))
        st.code(link, language=None, wrap_lines=True)


def lab_link(config: Mapping[str, Any]) -> str:
    """The lab's address with every knob of this run."""
    here = urlsplit(st.context.url or "")
    origin = f"{here.scheme}://{here.netloc}" if here.netloc else ""
    return f"{origin}/?{urlencode(encode(RunConfig.from_flat(dict(config)), language()))}"


def toolbar(name: str) -> dict[str, Any]:
    """Plotly's toolbar with a camera that saves what the reader chose."""
    form = st.session_state.get("picture_format") or PICTURES[0]
    camera = {"format": form, "filename": name, "scale": 1 if form == "svg" else 2}
    return {"displaylogo": False, "toImageButtonOptions": camera, "modeBarButtons": [["toImage", "resetScale2d"]]}


def _button(
    label: str, stem: str, form: str, write: Callable[..., bytes], table: Table, said: Mapping[str, Any]
) -> None:
    st.download_button(
        label,
        data=lambda: write(table() if callable(table) else table, said),
        file_name=f"moe_viz-{stem}.{form}",
        mime="text/csv" if form == "csv" else "application/vnd.apache.parquet",
        key=f"take_{stem}_{form}",
        on_click="ignore",
    )

"""Take it with you: every picture on the page as SVG or PNG, and its data as CSV or Parquet, with config, seed, version, definitions and a
link inside. Nothing is made before it is clicked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz import __version__
from moe_viz.components.picture import LABELS, picture_list
from moe_viz.engine.client import engine
from moe_viz.engine.protocol import WorkerLost
from moe_viz.records import table_files as files
from moe_viz.records.metric_info import METRICS
from moe_viz.settings import settings
from moe_viz.spec import config_of
from moe_viz.spec.describe import write
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session.permalink import address
from moe_viz.ui.widgets.script import script_files

Table = pd.DataFrame | Callable[[], pd.DataFrame]
STAMPED = ("k", "n_experts", "capacity_factor", "balance_coef", "seed")
"""Knobs that stand below a picture; the file holds all of them."""


def download_buttons(
    tables: Mapping[str, Table],
    name: str,
    config: Mapping[str, Any],
    step: int | None = None,
    metrics: Sequence[str] = (),
    others: Mapping[str, Mapping[str, Any]] | None = None,
    run_id: str | None = None,
) -> None:
    """A small menu with the page's pictures and the tables of one view (file stem -> table, or what makes it).

    config: the flat config that made them;  others: further runs in them by name, as what differs from `config`;
    metrics: names in `METRICS` whose definitions go into the files;  run_id: of the run on screen, for its script
    """
    menu = st.popover(_("Take it with you"), icon=":material/download:", key=f"take_{name}", on_change="rerun")
    if not menu.open:
        return
    link = lab_link(config)
    with menu:
        st.caption(_("Each file holds its data, the settings, the seed, the version and what each number means."))
        header = files.about(name, config, step, link, metrics, others)
        labels = {word: _(text) for word, text in LABELS.items()}
        picture_list(header | {"stamp": stamp(config, others=others)}, name, key=f"pictures_{name}", labels=labels)
        for stem, table in tables.items():
            header = files.about(stem, config, step, link, metrics, others)
            with st.container(horizontal=True, vertical_alignment="center"):
                _button(_("{name} as CSV").format(name=stem), stem, "csv", files.to_csv, table, header)
                _button(_("{name} as Parquet").format(name=stem), stem, "parquet", files.to_parquet, table, header)
        if run_id is not None:
            st.caption(_("The whole run, to be made again to the bit: what was done at which step."))
            script_files(run_id, dict(config), f"{name}-{step or 0}", f"take_{name}")
        st.caption(_("This link opens the same settings and seed in the lab:"))
        st.code(link, language=None, wrap_lines=True)
        if settings().embed:
            st.caption(_("This shows the live lab in a page of your own: {sites}").format(sites=settings().embed))
            st.code(frame(link), language="html", wrap_lines=True)


def every_row(runs: Mapping[str, str | None], shown: Sequence[pd.DataFrame]) -> Callable[[], pd.DataFrame]:
    """What fetches every kept row of the runs' histories (name -> run id), with a column `run` where there are several.

    shown: their thinned rows on the page, which are all that is left of a run whose process is gone.
    """

    def fetch(run: str | None, rows: pd.DataFrame) -> pd.DataFrame:
        try:
            return rows if run is None else engine().all_rows(run)
        except WorkerLost:
            return rows

    def together() -> pd.DataFrame:
        frames = [fetch(run, rows) for run, rows in zip(runs.values(), shown, strict=True)]
        if len(frames) == 1:
            return frames[0]
        return pd.concat([frame.assign(run=name) for name, frame in zip(runs, frames)], ignore_index=True)

    return together


def recorded_metrics(history: pd.DataFrame) -> list[str]:
    """The metrics (of `METRICS`) that a history has columns of."""
    present = {column.split(".")[0] for column in history}
    return [name for name in METRICS if name in present]


def lab_link(config: Mapping[str, Any]) -> str:
    """The address of the lab, or of the page that shows such a run, with every knob of this run."""
    return address(config_of(dict(config)), language())


def frame(link: str) -> str:
    """The lab with these settings in a frame of another page: the sentence, the picture and the knobs in use, without menu."""
    inside = escape(f"{link}&present=1&embed=true")
    return (
        f'<iframe src="{inside}" title="moe_viz" width="100%" height="720" loading="lazy" style="border: 0"></iframe>'
    )


def stamp(
    config: Mapping[str, Any], step: int | str = "{step}", others: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """What made a picture, in one line; without a step its place is left open. Where runs differ, the values of all: "seed 0 / 1 / 2"."""
    configs = [config, *({**config, **differs} for differs in (others or {}).values())]

    def of_all(word: str) -> str:
        values = [write(one[word]) for one in configs if one.get(word) is not None]
        return " / ".join(dict.fromkeys(values))

    what = tuple(config_of(dict(config)).names)
    different = {word for differs in (others or {}).values() for word in differs} - {*what}
    named = [word for word in dict.fromkeys([*STAMPED, *sorted(different)]) if of_all(word)]
    made = [*map(of_all, what), *(f"{word} {of_all(word)}" for word in named)]
    frozen = ["frozen router"] if config.get("freeze_router") else []
    return " · ".join([f"moe_viz {__version__}", *made, *frozen, f"step {step}"])


def toolbar(name: str) -> dict[str, Any]:
    """Plotly's toolbar; its camera saves an SVG. The menu's own list has the PNG, too."""
    camera = {"format": "svg", "filename": name}
    return {"displaylogo": False, "toImageButtonOptions": camera, "modeBarButtons": [["toImage", "resetScale2d"]]}


def _button(
    label: str, stem: str, form: str, write: Callable[..., bytes], table: Table, header: Mapping[str, Any]
) -> None:
    st.download_button(
        label,
        data=lambda: write(table() if callable(table) else table, header),
        file_name=f"moe_viz-{stem}.{form}",
        mime="text/csv" if form == "csv" else "application/vnd.apache.parquet",
        key=f"take_{stem}_{form}",
        on_click="ignore",
    )

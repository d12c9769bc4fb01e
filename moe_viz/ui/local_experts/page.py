"""The page "Local experts" (Jacobs, Jordan, Nowlan & Hinton 1991): why competition, and no other error, makes experts part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from moe_viz.charts import time_series as charts
from moe_viz.charts.vega import VegaChart
from moe_viz.components.mixture import mixture_view, translated
from moe_viz.engine.protocol import Update
from moe_viz.records.mixture import MixturePicture, lines_table, points_table
from moe_viz.spec import RunConfig
from moe_viz.spec.mixture import DATA
from moe_viz.ui.i18n import _
from moe_viz.ui.local_experts import story
from moe_viz.ui.local_experts.scenes import ERRORS, ERUPTIONS, SCENES, scene_of
from moe_viz.ui.server import theme
from moe_viz.ui.session import address
from moe_viz.ui.session.fit import FitRun, address_of, fit_run, follow, from_address
from moe_viz.ui.session.page_state import of_run
from moe_viz.ui.widgets import glossary, refresh
from moe_viz.ui.widgets.charts import draw_stack, for_charts
from moe_viz.ui.widgets.download import download_buttons, every_row, lab_link
from moe_viz.ui.widgets.header import head, transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import within_reach
from moe_viz.ui.widgets.tables import lazy, show_table
from moe_viz.ui.words import in_words

STATE, KEY, OUTCOMES = "local_experts", "mixture", "local_experts_outcomes"
SECONDS, SECONDS_AT_REST = 0.25, 1.0
TODAY = {"task": "clusters", "router": "dense", "n_experts": 8}
"""The same gate in a network: every expert answers, weighted by a softmax."""


def draw() -> None:
    """Local experts: two answers to one question, and which error lets two experts give them."""
    run = follow(STATE, FitRun, _read)
    theme.apply()
    st.markdown("#### " + _("One wait, two kinds of eruption: should a model answer with the mean of both?"))
    st.caption(
        _(
            "After a wait of more than 70 minutes the geyser Old Faithful erupts for about 2 minutes or for about 4, and the wait does not tell which. Two experts and a gate are fitted to it live (Jacobs, Jordan, Nowlan & Hinton, *Adaptive Mixtures of Local Experts*, 1991)."
        )
    )
    draw_sidebar(run)
    controls(run)
    explain_link(run)
    refresh.ticking(_tick, run.tick_s(SECONDS, SECONDS_AT_REST))
    _not_so()
    _today()
    glossary.words("expert", "gate", "softmax", "gradient", key="local_experts")
    address.write(address_of(run))


def _read(params: Mapping[str, str]) -> FitRun:
    return from_address(params, FitRun, ERUPTIONS)


def _run() -> FitRun:
    return fit_run(STATE, FitRun, _read)


def draw_sidebar(run: FitRun) -> None:
    """Pace."""
    within_reach(run, run.config, lambda word, value: run.turn(**{word: value}), ())
    with st.sidebar:
        transport(run, restart=run.reset)
        control("speed", run.config, lambda word: _run().turn(**{word: st.session_state[word]}))


def controls(run: FitRun) -> None:
    """Which scene, which error, and the unit of the one that has one."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="fit_controls"):
        scene = scene_of(run.config)
        st.session_state["picture"] = scene
        st.segmented_control(
            _("Picture"),
            list(SCENES),
            format_func=lambda name: _(SCENES[name][1]),
            key="picture",
            on_change=_chose_picture,
            required=True,
        )
        if scene == "eruptions":
            st.session_state["error"] = run.config.error
            st.segmented_control(
                _("Error that is made small"),
                list(ERRORS),
                format_func=lambda name: _(ERRORS[name].title),
                key="error",
                on_change=_chose_error,
                required=True,
            )
        if run.config.error == "competitive":
            with st.container(width=280, key="unit"):
                control("sigma", run.config, lambda word: _run().turn(**{word: st.session_state[word]}))
    if scene == "eruptions":
        st.caption(_(ERRORS[run.config.error].text))
    else:
        st.caption(
            _(
                "Two constant experts start a hair apart in two clumps of points; x tells nothing. One step of rate η multiplies the gap between them by 1 + η·(Var y / σ² − 1)/2: σ below the spread of y parts them, above it they merge."
            )
        )


def _chose_picture() -> None:
    run, wanted = _run(), SCENES[st.session_state["picture"]][0]
    run.turn(**wanted.flat())


def _chose_error() -> None:
    run = _run()
    run.turn(**{**ERRORS[st.session_state["error"]].knobs, "points": run.config.points})


def _tick() -> None:
    run = _run()
    refresh.begin_tick(run.tick_s(SECONDS, SECONDS_AT_REST if run.at_rest else SECONDS))
    run.take_wishes(KEY)
    shown = run.poll() or run.latest
    tell(run)
    if shown is None or run.picture is None:
        with head(None):
            st.markdown(_("The training process is starting…"))
        return
    if shown.snapshot.message:
        st.error(in_words(shown.snapshot.message), icon=":material/error:")
    picture, metrics = run.picture, _metrics_at(run, shown)
    sentence = _sentence(run, picture, metrics)
    with head(picture.step):
        st.markdown(sentence)
    _picture(run, picture, sentence)
    _strips(run, for_charts(run, shown))
    _outcomes(run, shown)
    _tables(run, picture)
    _downloads(run, picture, shown)


def _metrics_at(run: FitRun, shown: Update) -> dict[str, Any]:
    """The figures of the iteration that is looked at; of an earlier one, those of its row."""
    if run.picture is None or run.picture.step == shown.snapshot.step:
        return shown.snapshot.metrics
    rows = shown.history
    before = rows[rows["step"] <= run.picture.step]
    row = (before if len(before) else rows).iloc[-1] if len(rows) else pd.Series(dtype=float)
    values: dict[str, Any] = {str(name): None if pd.isna(value) else float(value) for name, value in row.items()}
    return {**dict.fromkeys(shown.snapshot.metrics), **values}


def _sentence(run: FitRun, picture: MixturePicture, metrics: dict[str, Any]) -> str:
    if scene_of(run.config) == "law":
        return story.of_the_law(metrics, run.config)
    if run.config.data != "faithful":  # a fit of other data, opened from My runs
        return _("{n} points, {experts} experts").format(n=len(picture.x), experts=picture.n_experts)
    newest = picture.step == picture.newest
    return story.of_eruptions(picture, metrics, run.config, run.at_rest and newest)


def _picture(run: FitRun, picture: MixturePicture, sentence: str) -> None:
    facts, law = DATA[run.config.data], scene_of(run.config) == "law"
    mixture_view(
        picture,
        key=KEY,
        axis=(_(facts.x), _(facts.y)),
        summary=story.summary(picture, sentence),
        painted=run.config.points,
        selected=story.watched(picture, story.WATCHED if not law else (0.0, 0.8)),
        ribbons=run.config.error in ("likelihood", "competitive"),
        strip=not law,
        labels=translated(_),
        height=420 if law else 540,
    )
    if facts.source:
        st.caption(_("Data: {source}.").format(source=_(facts.source)))


def _strips(run: FitRun, shown: Update) -> None:
    rows = shown.history
    if rows.empty:
        return
    stack: dict[str, tuple[VegaChart, str]]
    if scene_of(run.config) == "law":
        gap = charts.curve(
            rows, {"gap": _("gap, in standard deviations of y")}, _("Gap between the two experts"), _, batch=""
        )
        both = {"growth": _("measured"), "growth_law": _("the law")}
        growth = charts.curve(rows, both, _("The gap is multiplied by"), _, batch="", fair=1.0)
        stack = {
            "gap": (gap, _("Gap between the two experts over the iterations.")),
            "growth": (growth, _("By how much the gap was multiplied in each iteration, beside what the law says.")),
        }
    else:
        if "near_expert" not in rows or not np.isfinite(rows["near_expert"].to_numpy()).any():
            return
        both = {"near_expert": _("of the nearest expert"), "near_blend": _("of the blend")}
        title = _("Eruptions after more than 70 min within 15 s …")
        chart = charts.curve(rows, both, title, _, domain=(0, 1), form="%", batch="")
        stack = {"near": (chart, _("Share of the eruptions near an expert, and near the blend, over the iterations."))}
    draw_stack(stack, prefix="fit_")


class _Outcomes:
    """What each error came to, from this start and with these points."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def leave(self) -> None:
        """It holds nothing in the engine."""


def _outcomes(run: FitRun, shown: Update) -> None:
    """What each error that was fitted to its end came to, side by side."""
    if scene_of(run.config) == "law":
        return
    config = run.config
    kept = of_run(OUTCOMES, (f"{config.data} {config.points} {config.seed}", 0), lambda _old: _Outcomes())
    if run.at_rest:
        kept.rows[config.error] = shown.snapshot.metrics
    if len(kept.rows) < 2:
        return
    rows = [
        {
            _("error"): _(ERRORS[name].title),
            _("within 15 s of an expert"): metrics["near_expert"],
            _("within 15 s of the blend"): metrics["near_blend"],
            _("blend: mean squared error (variance of y = 1)"): metrics["blend_error"],
            _("experts asked per point"): metrics["experts_per_point"],
        }
        for name, metrics in sorted(kept.rows.items(), key=lambda item: list(ERRORS).index(item[0]))
    ]
    st.markdown("**" + _("What each error came to, from the same start") + "**")
    table = pd.DataFrame(rows)
    names = list(table.columns)
    show_table(table, {names[1]: ".0%", names[2]: ".0%", names[3]: ".3f", names[4]: ".2f"}, key="outcomes_table")


def _tables(run: FitRun, picture: MixturePicture) -> None:
    with lazy(_("The same as tables"), "fit_tables") as is_open:
        if is_open:
            st.caption(_("Along x: each expert's answer, its spread and its probability; and the blend."))
            show_table(lines_table(picture).iloc[::8], key="lines_table", height=240)
            st.caption(_("At each point: prior, posterior, share of the pull and squared error of each expert."))
            show_table(points_table(picture), key="points_table", height=240)


def _downloads(run: FitRun, picture: MixturePicture, shown: Update) -> None:
    tables = {
        "lines": lambda: lines_table(picture),
        "points": lambda: points_table(picture),
        "history": every_row({"fit": run.run_id}, [shown.history]),
    }
    download_buttons(tables, "local-experts", shown.snapshot.config, picture.step, run_id=run.run_id)


def _not_so() -> None:
    """What the measurements do not say."""
    with st.expander(_("What is not so"), key="not_so", icon=":material/block:"):
        st.markdown(
            "\n".join(
                f"- {line}"
                for line in (
                    _("Competition is not always on: it needs data whose spread around the experts is larger than σ. Set σ to 1 and nothing parts."),
                    _("The parted experts are not better by the squared error of their blend: the mean of two kinds of eruption has the least squared error, and is an eruption that hardly ever happens."),
                    _("Cooperation does not leave many experts per point at its end: a linear softmax gate sharpens anyway (1.0 to 1.2 here)."),
                    _("Competition does not lower the crosstalk between far points. That was measured, and not found: localness comes from the gate under all three errors."),
                    _("Two experts that start exactly equal never part; each tenfold closer start costs about four steps."),
                )
            )
        )  # fmt: skip


def _today() -> None:
    """The way back to the lab."""
    with st.container(horizontal=True, vertical_alignment="center", key="today"):
        st.markdown(
            _(
                "**Today's form of this:** the dense softmax gate, where every expert answers every token. Sparse gates ask only the k most probable."
            ),
            width="stretch",
        )
        st.link_button(_("Open in the lab"), lab_link(RunConfig.from_flat(TODAY).flat()), icon=":material/science:")

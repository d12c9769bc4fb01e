"""The live part of the lab: one fragment that reads the newest snapshot and hands it to every view on the page."""

from __future__ import annotations

import streamlit as st

from moe_viz.components import routing_view
from moe_viz.components.labels import translated
from moe_viz.engine.protocol import Update
from moe_viz.spec import TASK_OPTIONS
from moe_viz.ui.i18n import _
from moe_viz.ui.lab import first_presses, first_visit, tabs
from moe_viz.ui.server import theme
from moe_viz.ui.session.recorded import CALM, CALM_AT, HEIGHT, SENTENCE, recorded
from moe_viz.ui.session.run import SessionRun, arrive, current, write_link
from moe_viz.ui.widgets import glossary, present, refresh
from moe_viz.ui.widgets.charts import for_charts
from moe_viz.ui.widgets.header import head, layer_picker
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import draw_sidebar
from moe_viz.ui.widgets.verdicts import layer_names, sentence, shown_layer, stories
from moe_viz.ui.words import about, in_words, loss_now

PRESENTED = 360
"""Pixels of the picture on a big screen: eight experts, and the strip of loads below them without scrolling."""
SECONDS = 0.25
"""Between two updates of a playing run."""
SECONDS_PAUSED = 2.0
"""Often enough to keep the lease, and to notice a training process that died."""


WORDS = (
    "token", "expert", "router", "gate", "score", "route", "load", "fair_share", "dead_expert", "slot", "dropless", "dropped", "residual_path",
    "probe_batch",
)  # fmt: skip
"""Of the field, that the picture and its legend say."""
STOPPED = ("diverged", "failed")
"""States in which a run says why it stopped."""


def draw() -> None:
    """The lab: a real Mixture-of-Experts trains while its knobs are turned."""
    first_visit.arrive()
    run = arrive()
    theme.apply()
    present.bar(run, lambda: present.gate_and_k(run))
    draw_sidebar(run)
    present.begin()
    explain_link(run)
    live(run)
    write_link()


def live(run: SessionRun) -> None:
    """Draw the live part and keep it ticking."""
    refresh.ticking(_tick, run.tick_s(SECONDS, SECONDS_PAUSED))


def _tick() -> None:
    run = current()
    refresh.begin_tick(run.tick_s(SECONDS, SECONDS_PAUSED))
    first, run.seen = not run.seen, True
    update = None if first else run.poll()
    own = None if first_visit.is_calm(run) else update or run.latest
    shown = own or recorded()
    tell(run)
    if shown.snapshot.state in STOPPED and shown.snapshot.message:
        st.error(in_words(shown.snapshot.message), icon=":material/error:")
    with refresh.drawing:
        _draw(run, shown, own is not None, own is not None and update is not None)


def _draw(run: SessionRun, shown: Update, is_own: bool, is_live: bool) -> None:
    """is_own: `shown` is of the reader's run, not the recording;  is_live: as of now."""
    if not present.is_on():
        first_presses.draw(run, shown.snapshot.config)
    layer = _head(run, shown, is_own, is_live)
    _hero(run, shown, layer, is_own)
    if not is_own:
        return  # the recorded picture alone, and at once: charts would hold it up, and they belong to the reader's own run
    charted = for_charts(run, shown)
    tabs.strips(charted, layer)
    if not present.is_on():
        tabs.tabs(run, charted, layer)


def _head(run: SessionRun, shown: Update, is_own: bool, is_live: bool) -> int:
    """The sentence that says what is happening, the step, and which layer is shown. Returns the layer."""
    moment = shown.snapshot
    n_layers = len(moment.traces)
    run.layer = shown_layer("layer", run.layer, n_layers)
    told = stories("lab", run.run_id, shown) if is_own else []
    is_calm = not is_own and first_visit.is_calm(run)
    with head(moment.step if is_own or is_calm else None):
        if is_own:
            sentence(told[run.layer], n_layers)
        elif is_calm and run.latest:
            st.markdown(_(CALM_AT).format(n=moment.step, own=run.latest.snapshot.step))
        else:
            st.markdown(_(CALM).format(n=moment.step) if is_calm else _(SENTENCE))
    with st.container(horizontal=True, vertical_alignment="center", key="about"):
        run.layer = layer_picker("layer", run.layer, n_layers, layer_names(told, run.layer))
        with st.container(key="shown_k", width="content"):
            st.caption(glossary.mark(about(moment.config, _)))
        with st.container(key="loss_now", width="content"):
            st.caption(glossary.mark(loss_now(moment.metrics.get("loss"), _)))
        with st.container(key="pace", width="content"):
            if is_live and not shown.playing:
                st.caption(_("paused"))  # the rate is that of the last seconds: beside "Play" it would contradict it
            elif is_live:
                rate = f"{shown.steps_per_second:{'.1f' if shown.steps_per_second < 10 else '.0f'}}"
                st.caption(" · ".join([_("{n} steps/s").format(n=rate), refresh.rate_text()]))
    return run.layer


def _hero(run: SessionRun, shown: Update, layer: int, is_own: bool) -> None:
    moment = shown.snapshot
    routing_view(
        moment.traces,
        layer=layer,
        key="routing",
        recorded=not is_own,
        images=moment.extras.get("images"),
        points=moment.extras.get("points"),
        labels=translated(_, residual=TASK_OPTIONS[moment.config["task"]].residual),
        group_name=_,
        filling=is_own and not shown.playing,
        height=PRESENTED if present.is_on() else HEIGHT,
    )
    glossary.words(*WORDS, key="routing")

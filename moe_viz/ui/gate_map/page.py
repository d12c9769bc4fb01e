"""The page "Gate map": a run of its own in the plane, its map as the hero, and painted data that become the run's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts import time_series as charts
from moe_viz.charts.load import load_over_time
from moe_viz.components.gate_map import asked_points, gate_map_view, translated
from moe_viz.engine.protocol import Engine, Update
from moe_viz.records.gate_map import GateMap, dead_owners, regions, to_frame
from moe_viz.records.metrics import WINDOW
from moe_viz.spec import RunConfig, plain
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.session.permalink import NOT_KNOBS, Problem, decode
from moe_viz.ui.session.run import SessionRun, follow, session_run, write_link
from moe_viz.ui.widgets import glossary, refresh
from moe_viz.ui.widgets.buttons import action_button
from moe_viz.ui.widgets.charts import draw_stack, for_charts
from moe_viz.ui.widgets.download import download_buttons, every_row, lab_link, recorded_metrics
from moe_viz.ui.widgets.header import head, layer_picker, transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import within_reach
from moe_viz.ui.widgets.tables import lazy, show_table
from moe_viz.ui.widgets.verdicts import layer_names, sentence, shown_layer, stories
from moe_viz.ui.words import in_words, percent

STATE, KEY = "plane_run", "gate_map"
FIRST = ("shape", "router", "k", "n_experts", "balance_coef", "lift", "speed")
"""The controls of this page, in reading order; the gate decides which of them it has."""
START: dict[str, Any] = {"task": "plane", "n_experts": 6, "speed": 20}
SECONDS, SECONDS_PAUSED = 0.25, 2.0
RESOLUTIONS = ((8, 64), (16, 48), (64, 32))
"""(up to so many experts, places along each side): all their probabilities travel to the page with every update."""

TRIES = 3
"""Looks at a run that trains until picture and map are of one step."""


def draw() -> None:
    """Gate map: the plane in the colours of the experts that own it, while borders move; paint other data with the mouse."""
    run = follow(STATE, PlaneRun, _read)
    theme.apply()
    draw_sidebar(run)
    explain_link(run)
    live(run)
    glossary.words("gate", "expert", "router", "score", "dropped", "residual_path", key="gate_map")
    write_link(run)


@dataclass
class PlaneRun(SessionRun):
    """A run in the plane with its newest map. `sent` is what the page painted last, so that it is taken once."""

    map: GateMap | None = None
    sent: Any = None

    def read(self, engine: Engine) -> Update:
        """The newest picture, with the map of that moment (or, where training is too fast for two questions about one step, of one soon after)."""
        told = []
        for _again in range(TRIES):
            update = super().read(engine)
            told += update.notices
            config = update.snapshot.config
            resolution = next(places for most, places in RESOLUTIONS if config["n_experts"] <= most)
            self.map = engine.gate_map(self.open_id, min(self.layer, config["n_layers"] - 1), resolution)
            if self.map.step == update.snapshot.step:
                break
        return replace(update, notices=told)

    def forget(self) -> None:
        super().forget()
        self.map = None

    def take_painting(self) -> None:
        """Train on what the reader has painted since the last look; what cannot be points is refused in one line."""
        sent = (st.session_state.get(KEY) or {}).get("painted")
        if sent is None or sent == self.sent:
            return
        self.sent = sent
        try:
            painted = asked_points(KEY)
        except ValueError as error:
            self.notices.append(plain(error, _))
            return
        if painted is not None and painted[0] != self.config.task.points:
            self.turn(points=painted[0])
            st.rerun()  # the whole page: its address and its controls tell of the painted points too


def plane_run() -> PlaneRun:
    """The session's run of this page; the first call makes it, from the link if that says anything."""
    return session_run(STATE, PlaneRun, _read)


def _read(params: Mapping[str, str]) -> tuple[RunConfig, list[Problem]]:
    knobs = {word: text for word, text in params.items() if word not in NOT_KNOBS}
    return decode({**knobs, "task": "plane"}, _) if knobs else (RunConfig(**START), [])


def draw_sidebar(run: PlaneRun) -> None:
    """Pace, data, gate."""
    reached = within_reach(run, run.config, lambda word, value: run.turn(**{word: value}))
    with st.sidebar:
        transport(run, restart=run.reset)
        fields = run.config.fields()
        for word in FIRST:
            if word in fields and word not in reached:
                control(word, run.config, _turn)
        st.link_button(_("Open in the lab"), lab_link(run.config.flat()), icon=":material/science:")


def _turn(word: str) -> None:
    """A chosen shape takes the place of painted points."""
    knobs = {word: st.session_state[word]}
    plane_run().turn(**knobs, **({"points": ""} if word == "shape" else {}))


def live(run: PlaneRun) -> None:
    """Draw the live part and keep it ticking."""
    refresh.ticking(_tick, run.tick_s(SECONDS, SECONDS_PAUSED))


def _tick() -> None:
    run = plane_run()
    refresh.begin_tick(run.tick_s(SECONDS, SECONDS_PAUSED))
    run.take_painting()
    shown = run.poll() or run.latest
    tell(run)
    if shown is None or run.map is None:
        with st.container(key="live_step"):
            st.markdown(_("starting…"))
        return
    if shown.snapshot.message:
        st.error(in_words(shown.snapshot.message), icon=":material/error:")
    _head(run, shown)
    left, right = st.columns([2.2, 1])
    table = regions(run.map)
    with left:
        _map(run, run.map, table)
        _two_sources(run.map, shown)
    with right:
        _strips(run, for_charts(run, shown))
    with lazy(_("The same as a table"), "plane_table") as is_open:
        if is_open:
            _table(run.map, table)
    _downloads(run, run.map, shown)


def _head(run: PlaneRun, shown: Update) -> None:
    moment = shown.snapshot
    n_layers = len(moment.traces)
    run.layer = shown_layer("plane_layer", run.layer, n_layers)
    told = stories("gate_map", run.run_id, shown)
    accuracy = moment.metrics.get("task_metric")
    with head(moment.step):
        sentence(told[run.layer], n_layers)
    with st.container(key="accuracy_now"):
        st.caption(
            _("accuracy on held-out points: {share}").format(share="–" if accuracy is None else percent(accuracy, 1))
        )
    run.layer = layer_picker("plane_layer", run.layer, n_layers, layer_names(told, run.layer))


def _map(run: PlaneRun, gate_map: GateMap, table: pd.DataFrame) -> None:
    painted = run.config.task.points
    gate_map_view(gate_map, key=KEY, summary=_summary(gate_map, table), painted=painted, labels=translated(_))
    if painted:
        with st.container(horizontal=True, vertical_alignment="center", key="painted"):
            st.caption(_("The run trains on {n} painted points.").format(n=len(painted) // 4))
            action_button(_("Back to the shape"), lambda: run.turn(points=""), key="unpaint", icon=":material/undo:")
    facts = run.config.router.facts
    if gate_map.batch_dependent:
        st.caption(
            _(
                "With this gate a place's expert depends on the other points of the batch; here all places are one batch."
            )
        )
    elif run.config.router.looks_ahead(run.config.n_experts):
        st.caption(
            _(
                "While training, this gate deals out a whole batch at once; the map shows whom each place would ask alone."
            )
        )
    elif facts.stochastic_eval:
        st.caption(_("This gate draws experts by lot, so the map is noise by design."))


def _two_sources(gate_map: GateMap, shown: Update) -> None:
    """The sentence counts routes of training batches, the map asks at every place: say where the two seem to disagree."""
    load = (shown.snapshot.metrics.get("load") or [])[gate_map.layer : gate_map.layer + 1]
    owners = dead_owners(gate_map, load[0] if load else None)
    text = _(
        "Sentence and load: training batches, mean of the last {n} steps. Map: whom every place would ask, at step {step}."
    )
    parts = [text.format(n=WINDOW, step=gate_map.step)]
    if owners:
        numbers = ", ".join(str(expert + 1) for expert in owners)
        parts.append(
            _(
                "Dead in training, and yet an owner here: expert {numbers}. Next to no training point asks for its places."
            ).format(numbers=numbers)
        )
    st.caption(" ".join(parts))


def _summary(gate_map: GateMap, table: pd.DataFrame) -> str:
    owners = table.loc[table["share"] > 0].sort_values("share", ascending=False)
    parts = [
        _("no expert {share}").format(share=percent(row["share"]))
        if pd.isna(row["expert"])
        else _("expert {n} {share}").format(n=row["expert"] + 1, share=percent(row["share"]))
        for row in owners.to_dict("records")
    ]
    return _("Map of the plane at step {step}: {parts}.").format(step=gate_map.step, parts=", ".join(parts))


def _strips(run: PlaneRun, shown: Update) -> None:
    """Load, accuracy and loss on one time axis."""
    history = shown.history
    n_experts = shown.snapshot.config["n_experts"]
    accuracy = {"task_metric": _("accuracy on held-out points")}
    stack = {
        "load": (
            load_over_time(history, min(run.layer, len(shown.snapshot.traces) - 1), n_experts, _),
            _("Share of the routes asked of each expert, over the steps."),
        ),
        "task_metric": (
            charts.curve(history, accuracy, _("Accuracy"), _, domain=(0, 1), form="%", sparse=True),
            _("Share of held-out points whose class is predicted, over the steps."),
        ),
        "loss": (
            charts.curve(history, {"loss": _("training loss")}, _("Loss"), _, sparse=True),
            _("Training loss over the steps; lower is better."),
        ),
    }
    draw_stack(stack, prefix="plane_")


def _table(gate_map: GateMap, table: pd.DataFrame) -> None:
    columns = {
        "expert": _("expert"),
        "share": _("share of the plane"),
        "mean_probability": _("its mean probability there"),
        "held_out": _("held-out points there"),
        "accuracy": _("accuracy on them"),
    }
    shown = table.assign(expert=table["expert"] + 1).rename(columns=columns)
    forms = {columns[name]: ".1%" for name in ("share", "mean_probability", "accuracy")}
    st.caption(
        _("Step {step}: {n} × {n} places, each with the expert that a point there would ask first.").format(
            step=gate_map.step, n=gate_map.resolution
        )
    )
    show_table(shown, forms, key="regions_table")


def _downloads(run: PlaneRun, gate_map: GateMap, shown: Update) -> None:
    points = {"x": gate_map.points[:, 0], "y": gate_map.points[:, 1], "class": gate_map.classes + 1}
    tables = {
        f"gate-map-layer-{gate_map.layer + 1}": lambda: to_frame(gate_map),
        "points": lambda: pd.DataFrame(points),
        "history": every_row({"plane": run.run_id}, [shown.history]),
    }
    download_buttons(tables, "gate-map", shown.snapshot.config, gate_map.step, recorded_metrics(shown.history))

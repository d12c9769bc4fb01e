"""The time machine's live part: the track, the probe batch's routing at the moment it stands on, and the strips of the run below it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from moe_viz.charts import time_series as charts
from moe_viz.charts.load import load_over_time
from moe_viz.charts.style import DROPLESS
from moe_viz.charts.vega import VegaChart
from moe_viz.components import routing_table, routing_view
from moe_viz.components.labels import translated
from moe_viz.components.scrubber import LABELS, asked, scrubber
from moe_viz.engine.protocol import EngineError
from moe_viz.records.moved_tokens import who_moved
from moe_viz.records.readable_tables import routing_rows
from moe_viz.records.snapshot import Snapshot
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS
from moe_viz.ui.i18n import _, language
from moe_viz.ui.server import theme
from moe_viz.ui.session.run import arrive, current, write_link
from moe_viz.ui.time_machine.compare import compare, fork
from moe_viz.ui.time_machine.sources import (
    Source,
    TimeMachine,
    branch_source,
    follow_back,
    lab_source,
    session_time_machine,
)
from moe_viz.ui.widgets import glossary, present, refresh
from moe_viz.ui.widgets.buttons import action_button
from moe_viz.ui.widgets.charts import draw_chart, dropless
from moe_viz.ui.widgets.download import download_buttons, recorded_metrics
from moe_viz.ui.widgets.header import layer_picker
from moe_viz.ui.widgets.messages import tell
from moe_viz.ui.widgets.script import show_done
from moe_viz.ui.widgets.tables import lazy, show_table, table_twin

SECONDS = 1.0
"""Between two looks at a run that trains; the track answers at once all the same."""
SECONDS_PAUSED = 1.0
TRACK, LAYER = "track", "moment_layer"
Strips = list[tuple[str, VegaChart, str]]
"""Key, chart, and what it shows in words."""


def draw() -> None:
    """Time machine: play a run back and forth, compare two of its moments, and branch off from one with a changed knob."""
    run = arrive()
    if follow_back():
        st.session_state[LAYER] = min(session_time_machine().layer, run.config.n_layers - 1)
    theme.apply()
    present.bar(None, _one_moment)
    present.begin()
    live()
    if not present.is_on():
        compare()
        with st.sidebar:
            fork()
    glossary.words("run", "step", "probe_batch", "route", "load", "dropped", "loss", "checkpoint", key="time_machine")
    _write_address(session_time_machine())


def _one_moment() -> None:
    """To the kept moment before, and to the one after."""
    st.button(_("Earlier"), key="present_earlier", icon=":material/chevron_left:", shortcut="Left", on_click=_by, args=(-1,))  # fmt: skip
    st.button(_("Later"), key="present_later", icon=":material/chevron_right:", shortcut="Right", on_click=_by, args=(1,))  # fmt: skip


def _by(moments: int) -> None:
    machine = session_time_machine()
    branch = branch_source(machine)
    steps = (branch if machine.shows_branch and branch is not None else lab_source(machine)).steps
    if steps:
        machine.by(moments, steps)


def _write_address(machine: TimeMachine) -> None:
    """A moment, two pins and a layer are the reader's, so they stand in the address beside the run."""
    machine.written = machine.place
    write_link(current(), **machine.written)


def live() -> None:
    """Draw the live part and keep it ticking."""
    run, machine = current(), session_time_machine()
    trains = run.playing or (machine.branch is not None and machine.branch.run.playing)
    refresh.ticking(_tick, SECONDS if trains else SECONDS_PAUSED)


def _tick() -> None:
    refresh.begin_tick()
    run = current()
    try:
        _draw()
    except EngineError as error:  # between two questions; the next look says so, and offers to resume where that helps
        run.failed(error)
        if run.lost or run.run_id is None:
            st.rerun()


def _draw() -> None:
    run, machine = current(), session_time_machine()
    source = lab_source(machine)
    tell(run)
    if machine.lacks_moments and len(source.steps) > 1:
        machine.lacks_moments = False
        st.rerun()
    branch = branch_source(machine)
    machine.shows_branch = branch is not None and bool(st.session_state.get("moment_run", machine.shows_branch))
    _head(source)
    shown = branch if machine.shows_branch and branch is not None else source
    if not shown.steps:
        st.info(_("No moment of this run is kept yet. One is kept whenever a page looks at the run."))
        return
    machine.move(asked(TRACK), shown.steps[-1])
    if not source.is_recorded and source.steps:
        machine.settle(max(source.steps[-1], shown.steps[-1]))
    if (
        machine.place != machine.written
    ):  # only what has moved here: a tick that is behind does not undo what Back has just done
        _write_address(machine)
    step = shown.nearest(machine.at)
    _buttons(machine, source, branch, step, len(shown.steps))
    traces = shown.traces_at(step)
    machine.layer = min(machine.layer, len(traces) - 1)
    history, stack = source.update.history, _stack(machine, source, branch)
    last = int(history["step"].iloc[-1]) if len(history) else shown.steps[-1]
    scrubber(
        shown.steps,
        step,
        key=TRACK,
        span=(min(shown.steps[0], 1), max(last, shown.steps[-1])),
        checkpoints=[] if shown is not source else shown.checkpoints,
        events=[event.step for event in shown.done],
        pins=machine.pins,
        axes=[
            (int(chart.data["axis_from"].iloc[0]), int(chart.data["axis_to"].iloc[0])) for _key, chart, _alt in stack
        ],
        labels={name: _(text) for name, text in LABELS.items()},
    )
    if len(shown.steps) == 1:
        st.info(_("Only one moment of this run is kept, so there is nothing to play or to compare yet."))
    _picture(machine, source, shown, traces)
    _strips(stack)
    if shown.script is not None:
        with lazy(_("What was done in this run (▼ on the track)"), "moment_done", ":material/tune:") as is_open:
            if is_open:
                show_done(shown.script, "moment_done_table")
    _downloads(machine, source, shown, branch, traces)


def _head(source: Source) -> None:
    config = source.update.snapshot.config
    with st.container(key="story"):
        if source.is_recorded:
            st.markdown(
                _("This is a **recorded** run. Open the lab to train your own, then come back and look back on it.")
            )
        else:
            gate = _(ROUTER_OPTIONS[config["router"]].facts.title)
            text = _("Your lab run: {gate}, {n} experts, now at step {step}.")
            st.markdown(text.format(gate=gate, n=config["n_experts"], step=source.update.snapshot.step))


def _buttons(machine: TimeMachine, source: Source, branch: Source | None, step: int, n_steps: int) -> None:
    """Which layer and which run are shown, the pins, and whether the training goes on meanwhile."""
    run = current()
    with st.container(horizontal=True, vertical_alignment="center", key="chosen"):
        _which(machine, source, branch)
        for name in ("A", "B"):
            label = _("Pin {name} here").format(name=name)
            off = n_steps < 2 or machine.shows_branch
            pin = partial(machine.pin, **{name: step})
            action_button(label, pin, key=f"pin_{name.lower()}", icon=":material/push_pin:", disabled=off)
        if not source.is_recorded:
            label, icon = (
                (_("Pause training"), ":material/pause:") if run.playing else (_("Train on"), ":material/play_arrow:")
            )
            action_button(label, run.toggle, key="play", icon=icon)
        # last, because a button that comes and goes moves those behind it, and for a moment there would be two of each
        if any(pin is not None for pin in machine.pins.values()):
            action_button(_("Unpin"), partial(machine.pin, A=None, B=None), key="unpin")


def _which(machine: TimeMachine, source: Source, branch: Source | None) -> None:
    picked = layer_picker(LAYER, machine.layer, len(source.update.snapshot.traces))
    if picked != machine.layer:
        machine.layer = picked
        st.rerun()
    if branch is not None:
        names = {False: _("Original"), True: _("Branch")}
        st.segmented_control(
            _("Which run"),
            [False, True],
            default=machine.shows_branch,
            format_func=names.__getitem__,
            key="moment_run",
            label_visibility="collapsed",
            required=True,
        )


def _picture(machine: TimeMachine, source: Source, shown: Source, traces: list[RoutingTrace]) -> None:
    extras = source.update.snapshot.extras
    routing_view(
        traces,
        layer=machine.layer,
        key="moment",
        recorded=source.is_recorded,
        images=extras.get("images"),
        points=extras.get("points"),
        labels=translated(_, residual=TASK_OPTIONS[source.update.snapshot.config["task"]].residual),
        group_name=_,
        height=320,
        lit=_lit(machine, source),
    )
    with st.container(horizontal=True, key="moment_options"):
        if None not in machine.pins.values():
            st.toggle(_("Light up the tokens that moved from A to B"), key="lit", value=True)
        st.toggle(_("Show as a table"), key="moment_as_table")
    if st.session_state.get("moment_as_table"):
        show_table(routing_table(traces[machine.layer]), height=300, key="moment_table")


def _lit(machine: TimeMachine, source: Source) -> list[int] | None:
    a, b = machine.pins["A"], machine.pins["B"]
    if a is None or b is None or not st.session_state.get("lit", True):
        return None
    then, now = (source.traces_at(step)[machine.layer] for step in (a, b))
    return who_moved(then, now)["index"].tolist()


def _strips(stack: Strips) -> None:
    """The run's load, loss and drops; the track draws a line at the shown moment over them."""
    if not stack:
        st.info(_("The run has no history yet: train a few steps."))
        return
    with st.container(key="strips", gap=None):
        for key, chart, alt in stack:
            draw_chart(chart, f"moment_{key}", alt)
        if all(key != "dropped" for key, _chart, _alt in stack):
            st.caption(_(DROPLESS))
    table_twin([chart for _key, chart, _alt in stack], "moment_tables")


def _downloads(
    machine: TimeMachine, source: Source, shown: Source, branch: Source | None, traces: list[RoutingTrace]
) -> None:
    """The picture and the routing of the moment on screen, and the whole history."""
    config, step = shown.update.snapshot.config, traces[machine.layer].step
    tables = {
        f"routing-step-{step}-layer-{machine.layer + 1}": lambda: routing_rows(traces[machine.layer]),
        "history": source.rows,
    }
    if branch is not None:
        tables["history-branch"] = branch.rows
    others = None
    if branch is not None:
        other = (source if shown is branch else branch).update.snapshot.config
        differs = {word: value for word, value in other.items() if config.get(word) != value}
        others = {"original" if shown is branch else "branch": differs}
    metrics = recorded_metrics(source.update.history)
    download_buttons(tables, "time-machine", config, step, metrics, others, run_id=shown.run_id)


def _stack(machine: TimeMachine, source: Source, branch: Source | None) -> Strips:
    """The strips as of the last reading: a branch stands beside the original on the same scales. None without a history."""
    if source.update.history.empty:
        return []
    made_from = (source.update, branch and branch.update, machine.layer, language())
    if machine.strips is None or any(old is not new for old, new in zip(machine.strips[0], made_from)):
        machine.strips = (made_from, _made(machine.layer, source, branch))
    return machine.strips[1]


def _made(layer: int, source: Source, branch: Source | None) -> Strips:
    """The strips from top to bottom: key, chart, and what it shows in words. All have one time axis, and the lowest its numbers.

    Original and branch draw the same steps wherever both have them, so an unchanged branch looks as its original does.
    """
    history = source.update.history
    n_experts = source.update.snapshot.config["n_experts"]
    load = _("Share of the routes asked of each expert, over the steps.")
    histories = {_("original"): history}
    if branch is not None and not branch.update.history.empty:
        histories[_("branch")] = branch.update.history

    def one(column: str, title: str, **more: object) -> VegaChart:
        return charts.compared(histories, column, title, _, sparse=True, **more)

    beside = len(histories) > 1
    last = charts.newest_step(histories.values())
    stack = [("load", load_over_time(history, layer, n_experts, _, last), load)]
    if branch is not None and beside:
        chart = load_over_time(branch.update.history, layer, n_experts, _, last)
        chart.spec["title"]["text"] = _("Load per expert, branch")
        stack.append(("branch_load", chart, load))
    stack.append(("loss", one("loss", _("Training loss")), _("Loss over the steps; lower is better.")))
    if beside:
        largest = one(f"max_load.{layer}", _("Largest load"), domain=(0, 1), form="%")
        stack.append(("max_load", largest, _("Share of the busiest expert, over the steps.")))
    if not dropless(_moments(source, branch), list(histories.values()), [layer]):
        dropped = one(f"drop_rate.{layer}", _("Dropped routes"), domain=(0, 1), form="%")
        stack.append(("dropped", dropped, _("Share of routes dropped, over the steps.")))
    ends = min(int(rows["step"].iloc[0]) for rows in histories.values()), last
    stack = [(key, charts.on_axis(chart, ends), alt) for key, chart, alt in stack]
    lowest = stack[-1][0]
    return [(key, chart if key == lowest else charts.without_time_axis(chart), alt) for key, chart, alt in stack]


def _moments(source: Source, branch: Source | None) -> list[Snapshot]:
    return [source.update.snapshot, *([branch.update.snapshot] if branch is not None else [])]

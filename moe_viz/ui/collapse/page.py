"""The page "Collapse and rescue": a story in three acts on a real run, told by what is measured on it.

The cards turn knobs; the live part below says what came of it, step by step, and draws who gets tokens and who learns.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts import collapse as pictures
from moe_viz.charts import time_series as charts
from moe_viz.charts.load import load_over_time
from moe_viz.charts.style import DROPLESS
from moe_viz.engine.protocol import Update
from moe_viz.lessons.scenes import BUFFERS, PATIENCE, SCENES, Act
from moe_viz.records.collapse import ledger
from moe_viz.records.metrics import WINDOW
from moe_viz.spec import causality_of, change
from moe_viz.ui.collapse.outcome import in_short, outcome
from moe_viz.ui.collapse.run import SceneRun, address_of, arrive, scene_run
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.session import address
from moe_viz.ui.widgets import glossary, present, refresh
from moe_viz.ui.widgets.charts import draw_chart, draw_stack, dropless, for_charts
from moe_viz.ui.widgets.download import download_buttons, every_row, recorded_metrics
from moe_viz.ui.widgets.header import head, layer_picker, transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import within_reach
from moe_viz.ui.widgets.tables import lazy, show_table
from moe_viz.ui.words import in_words

WORDS = (
    "collapse",
    "dead_expert",
    "router",
    "score",
    "gradient",
    "balancing_loss",
    "z_loss",
    "load",
    "fair_share",
    "dropped",
    "residual_path",
)
SECONDS = 0.25


def draw() -> None:
    """Collapse and rescue: a real run is driven into collapse and brought back, and the page says what was measured."""
    run = arrive()
    theme.apply()
    present.bar(run)
    draw_sidebar(run)
    present.begin()
    if not present.is_on():
        st.markdown("#### " + _("Collapse and rescue"))
    acts(run)
    explain_link(run)
    live(run)
    if not present.is_on():
        explanation()
    glossary.words(*WORDS, key="collapse")
    address.write(address_of(run))


def draw_sidebar(run: SceneRun) -> None:
    """Pace, scene, buffers, seed."""
    within_reach(run, run.config, lambda word, value: run.turn(**{word: value}), ())
    with st.sidebar:
        transport(run)
        control("speed", run.config, lambda word: run.turn(**{word: st.session_state[word]}))
        st.session_state["scene"], st.session_state["buffers"] = run.scene.name, run.buffers
        st.selectbox(_("Scene"), list(SCENES), format_func=lambda name: _(SCENES[name].title), key="scene", on_change=_chosen)  # fmt: skip
        st.toggle(
            _("With buffers (capacity factor 1.25)"),
            key="buffers",
            on_change=_chosen,
            help=_("Each expert can take 1.25 times its fair share; the rest is dropped. Without buffers nothing is."),
        )
        st.button(_("Another seed"), key="new_seed", icon=":material/casino:", on_click=_another_seed)
        st.caption(_("Seed {n}").format(n=run.seed))


def _chosen() -> None:
    run = scene_run()
    run.choose(st.session_state["scene"], st.session_state["buffers"], run.seed)


def _another_seed() -> None:
    run = scene_run()
    run.choose(run.scene.name, run.buffers, run.seed + 1)


def acts(run: SceneRun) -> None:
    """The three cards."""
    first, second, third = st.columns(3)
    for number, column, act in ((1, first, run.scene.healthy), (2, second, run.scene.collapse)):
        with column.container(border=True, key=f"act_{act.name}", height="stretch"):
            st.markdown(f"**{number}. {_(act.title)}**")
            st.caption(_(act.text))
            st.button(
                _("From step 0"),
                key=f"play_{act.name}",
                icon=":material/restart_alt:",
                on_click=run.play_act,
                args=(act,),
                shortcut=str(number) if present.is_on() else None,
            )
    with third.container(border=True, key="act_rescue", height="stretch"):
        st.markdown("**3. " + _("Rescue") + "**")
        offered = {act.name: act for act in run.offered()}
        picked = st.selectbox(
            _("What is switched on"), list(offered), format_func=lambda name: _(offered[name].title), key="rescue"
        )
        if picked is None:
            return
        act = offered[picked]
        st.caption(_(act.text) + _leak(run, act))
        shortcut = "3" if present.is_on() else None
        look: dict[str, Any] = {"key": "play_rescue", "icon": ":material/healing:", "shortcut": shortcut}
        st.button(_("Switch on now"), on_click=run.play_act, args=(act,), **look)


def _leak(run: SceneRun, act: Act) -> str:
    """A router that looks ahead cannot be used to write text; say so where the scene is text."""
    if run.config.task.name != "domains" or "router" not in act.knobs:
        return ""
    found = causality_of(change(run.config, **act.knobs))
    said = [_("It looks at future tokens: not usable for writing text.")] if found.source == "gate" else []
    return "".join(f" {text}" for text in (*said, _(found.reason)) if text)


def live(run: SceneRun) -> None:
    """Draw the live part and keep it ticking."""
    refresh.ticking(_tick, SECONDS)


def _tick() -> None:
    refresh.begin_tick()
    run = scene_run()
    shown = run.poll() or run.latest
    tell(run)
    if shown is None:
        st.info(_("The training process is starting…"))
        return
    _head(run, shown)
    if shown.snapshot.message:
        st.error(in_words(shown.snapshot.message), icon=":material/error:")
    if shown.history.empty:
        return
    shown = for_charts(run, shown)
    _pictures(run, shown)
    _strips(run, shown)
    _tables(run, shown)


def _head(run: SceneRun, shown: Update) -> None:
    """What is going on in one sentence, the step, and the log of what was switched when."""
    with head(shown.snapshot.step):
        st.markdown(outcome(run.log[-1]) if run.log else "")
    with st.container(key="scene_log", gap=None):
        for number, entry in enumerate(run.log, 1):
            line = _("**{number}** · step {step}: {title}").format(
                number=number, step=entry.watch.start, title=_(entry.act.title)
            )
            st.caption(f"{line} — {in_short(entry)}")
    n_layers = len(shown.snapshot.traces)
    run.layer = min(run.layer, n_layers - 1)
    run.layer = layer_picker("scene_layer", run.layer, n_layers)


def _pictures(run: SceneRun, shown: Update) -> None:
    moment, layer = shown.snapshot, run.layer
    left, right = st.columns(2)
    with left:
        chart = pictures.ledger_bars(ledger(moment.metrics, layer), _)
        draw_chart(chart, "ledger", _("For each expert its share of the routes, of the gradient of its weights, and of its router row's gradient."))  # fmt: skip
        st.caption(
            _("The loop: an expert with many tokens gets much gradient, gets better, and its router row is pulled towards still more tokens. An expert without tokens gets none for its weights and cannot catch up; what its router row still gets comes from the gates of the others. Shares of the norm of the real gradient, mean of the last {n} steps; dashed: even.").format(n=WINDOW)
        )  # fmt: skip
    with right:
        chart = pictures.push_scatter(moment.traces[layer], _)
        draw_chart(chart, "push", _("One dot per expert at its load and mean probability; arrows show where the balancing loss pushes its score."))  # fmt: skip
        st.caption(_push_in_words(run, shown))


def _push_in_words(run: SceneRun, shown: Update) -> str:
    text = _(
        "Loss = sum of E·f·P over the dots; the curves join equal parts. Its slope along P is E·f, so busy experts (right) are pushed down and idle ones up."
    )
    weight = shown.snapshot.config["balance_coef"]
    aux = shown.snapshot.extras.get("aux", [{}])[run.layer]
    if "balance" not in aux:
        return text + " " + _("This router has no such loss: the arrows show what it would do.")
    if weight == 0:
        return text + " " + _("Its weight is 0 now: the arrows show what it would do.")
    return text + " " + _("Its weight is {weight:g} now.").format(weight=weight)


def _strips(run: SceneRun, shown: Update) -> None:
    """Load, drops and loss on one time axis, with a numbered line where something was switched on."""
    history, layer = shown.history, run.layer
    marks = [(entry.watch.start, str(n)) for n, entry in enumerate(run.log, 1) if entry.watch.epoch == shown.epoch]
    stack = {
        "load": (
            load_over_time(history, layer, shown.snapshot.config["n_experts"], _),
            _("Share of the routes asked of each expert, over the steps."),
        ),
        "loss": (
            charts.curve(history, {"loss": _("training loss")}, _("Loss"), _),
            _("Training loss over the steps; lower is better."),
        ),
    }
    line = _(DROPLESS)
    if not dropless([shown.snapshot], [history], [layer]):
        line = ""
        dropped = charts.dropped_over_time(history, [layer], _), _("Share of routes dropped, over the steps.")
        stack = {"load": stack["load"], "dropped": dropped, "loss": stack["loss"]}
    draw_stack({key: (pictures.with_marks(chart, marks), alt) for key, (chart, alt) in stack.items()}, line=line)
    for note in run.scene.notes:
        st.caption(_(note))
    if not run.buffers:
        st.caption(
            _("A collapse need not show in the loss until buffers bite: switch on “With buffers” and watch the drops.")
        )


def _tables(run: SceneRun, shown: Update) -> None:
    table = ledger(shown.snapshot.metrics, run.layer)
    with lazy(_("The same as tables"), "scene_tables") as is_open:
        if is_open:
            pushes = pictures.push_scatter(shown.snapshot.traces[run.layer], _).data.drop(columns=["tip", "way"])
            show_table(_log_table(run), key="log_table")
            show_table(table.assign(expert=table["expert"] + 1), key="ledger_table")
            show_table(pushes, key="push_table")
    tables = {
        "acts": _log_table(run),
        "ledger": lambda: table.assign(expert=table["expert"] + 1),
        "history": every_row({"scene": run.run_id}, [shown.history]),
    }
    config = shown.snapshot.config
    download_buttons(tables, "collapse", config, shown.snapshot.step, recorded_metrics(shown.history))


def _log_table(run: SceneRun) -> pd.DataFrame:
    rows = [
        {
            _("step"): entry.watch.start,
            _("act"): _(entry.act.title),
            _("steps since"): entry.watch.steps,
            _("reached after"): entry.watch.reached,
            _("dead experts"): entry.watch.dead,
            _("largest load"): entry.watch.max_load,
            _("dropped"): entry.watch.dropped,
        }
        for entry in run.log
    ]
    return pd.DataFrame(rows)


def explanation() -> None:
    """What the words mean here, below everything."""
    st.caption(
        _("Dead: under a tenth of the fair share over the last {window} training steps. Collapsed: at least half of the experts of a layer are dead. Rescued: nobody is dead and nobody has twice the fair share; a rescue that is not there after {n} steps is called too weak. Buffers: capacity factor {factor:g}.").format(window=WINDOW, n=PATIENCE, factor=BUFFERS)
    )  # fmt: skip

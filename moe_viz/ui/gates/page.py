"""The live comparison of the Gates page: controls of what the runs share, and the one fragment that reads them all and draws."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.charts import side_by_side
from moe_viz.charts import time_series as charts
from moe_viz.charts.style import DROPLESS, MEAN
from moe_viz.engine.protocol import Update
from moe_viz.records.differences import ROWS, values, written
from moe_viz.records.readable_tables import history_table, routing_rows
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RouterOptions
from moe_viz.spec.routers import TokenChoice
from moe_viz.ui.gates.comparison import MOST, Comparison, arrive, labels, session_comparison, write_address
from moe_viz.ui.gates.gallery import gallery
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.session import address
from moe_viz.ui.widgets import refresh
from moe_viz.ui.widgets.charts import METRIC_NAMES, draw_chart, dropless
from moe_viz.ui.widgets.download import download_buttons, every_row, recorded_metrics
from moe_viz.ui.widgets.header import head, layer_picker, transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import within_reach
from moe_viz.ui.widgets.tables import lazy, show_table
from moe_viz.ui.words import in_words, show

SHARED = ("task", "n_experts", "k", "capacity_factor", "balance_coef", "speed")
SECONDS = 1.0
SECONDS_PAUSED = 2.0
CSS = """
<style>
@media (min-width: 640px) { [class*="st-key-panel_"] { min-height: 6.6rem; } }
.st-key-differences { overflow-x: auto; }
</style>
"""


def draw() -> None:
    """Gates: every router on a card, and up to four of them trained side by side."""
    theme.apply()
    st.html("<style>.st-key-part { margin-top: 0.9rem; }</style>")
    comparison = arrive()
    parts = {"compare": _("Compare live"), "gallery": _("All gates")}
    asked = address.gone_to() or (address.read() if "part" not in st.session_state else {})
    if "part" not in st.session_state or asked:
        st.session_state["part"] = asked.get("part") if asked.get("part") in parts else "compare"
    part = st.segmented_control(
        _("Part"),
        list(parts),
        format_func=parts.__getitem__,
        key="part",
        label_visibility="collapsed",
        required=True,
    )
    if part == "gallery":
        gallery(comparison)
    else:
        draw_sidebar(comparison)
        explain_link(comparison)
        live(comparison)
    write_address(comparison, part or "compare")


def draw_sidebar(comparison: Comparison) -> None:
    """What is compared, and the knobs that all runs share. Options that no chosen router has are not shown."""
    reached = within_reach(
        comparison, comparison.base, comparison.turn, [word for word in ("k",) if comparison.offers(word)]
    )
    with st.sidebar:
        transport(comparison, restart=comparison.reset)
        st.session_state["routers"] = comparison.routers
        st.multiselect(
            _("Gates to compare (up to {n})").format(n=MOST),
            list(ROUTER_OPTIONS),
            format_func=lambda name: show("router", name),
            max_selections=MOST,
            key="routers",
            on_change=lambda: comparison.choose(st.session_state["routers"]),
            help=_("All start from the same seed and see the same data, one step each in turn."),
        )
        for word in SHARED:
            if comparison.offers(word) and word not in reached:
                control(word, comparison.base, lambda changed: comparison.turn(changed, st.session_state[changed]))


def live(comparison: Comparison) -> None:
    """Draw the comparison and keep it ticking."""
    st.html(CSS)
    refresh.ticking(_tick, comparison.tick_s(SECONDS, SECONDS_PAUSED))


def _tick() -> None:
    refresh.begin_tick()
    comparison = session_comparison()
    comparison.poll()
    tell(comparison)
    if not comparison.routers:
        st.info(_("Choose at least one gate to compare."))
        return
    _head(comparison)
    if not comparison.latest:
        return
    _panels(comparison)
    _overlays(comparison)
    _differences(comparison)
    _blends(comparison)
    _numbers(comparison)
    _downloads(comparison)


def _head(comparison: Comparison) -> None:
    with head(max((update.snapshot.step for update in comparison.look or ()), default=None), key="still_head"):
        st.markdown(_("Same seed, same data, same start: only the gate differs."))
    comparison.layer = layer_picker("compared_layer", comparison.layer, comparison.base.n_layers)


def _panels(comparison: Comparison) -> None:
    """One column per router: what it is, its load over time, how many experts its tokens have."""
    n_experts = comparison.base.n_experts
    columns = st.columns(len(comparison.routers))
    for column, router, leaks, update in zip(
        columns, comparison.routers, comparison.leaks, comparison.look, strict=True
    ):
        with column:
            with st.container(key=f"panel_{router}", gap="xsmall"):
                st.markdown(f"**{show('router', router)}**")
                st.caption(_settings(update))
                if leaks:
                    st.markdown(f":orange-badge[:material/visibility: {_('looks at future tokens')}]")
                if update.snapshot.state in ("diverged", "failed"):
                    st.error(in_words(update.snapshot.message))
            draw_chart(
                charts.load_over_time(update.history, comparison.layer, n_experts, _, batch=MEAN),
                f"load_{router}",
                _("Share of the routes asked of each expert, over the steps."),
            )
            draw_chart(
                side_by_side.experts_per_token(update.snapshot.traces[comparison.layer], _),
                f"experts_per_token_{router}",
                _("Share of tokens computed by no, one, two or more experts."),
            )


def _settings(update: Update) -> str:
    """The options that matter for the comparison, read from the snapshot, under this router's own names."""
    config = update.snapshot.config
    options = ROUTER_OPTIONS[config["router"]]
    parts = [f"k = {config['k']}"] if "k" in config else []
    if "capacity_factor" in config and (issubclass(options, TokenChoice) or config["capacity_factor"] is not None):
        parts.append(_named(options, config, "capacity_factor"))
    if "slots_per_expert" in config:
        parts.append(_named(options, config, "slots_per_expert"))
    return " · ".join(parts) or _("no options of its own here")


def _named(options: type[RouterOptions], config: dict[str, Any], word: str) -> str:
    return f"{_(options.model_fields[word].title)}: {show(word, config[word])}"


def _overlays(comparison: Comparison) -> None:
    """All runs on one pair of axes, one picture per number."""
    histories = dict(zip(labels(comparison.routers), (update.history for update in comparison.look), strict=True))
    if any(history.empty for history in histories.values()):
        return
    task, layer = TASK_OPTIONS[comparison.base.task.name], comparison.layer
    metric, share = _(METRIC_NAMES[task.metric]), {"domain": (0, 1), "form": "%"}
    per_log_e = 1 / math.log(max(comparison.base.n_experts, 2))
    look = _look()

    def overlay(column: str, title: str, **more: Any) -> charts.VegaChart:
        ends, scale = more.get("domain"), more.get("scale", 1.0)
        if len(histories) > 1 and _as_differences(look, histories, column, ends and (ends[1] - ends[0]) / scale):
            short = title.partition(":")[0]  # what is added to it has to fit on a phone, too
            return side_by_side.differences(histories, column, short, _, scale=scale)
        return side_by_side.overlay(histories, column, title, _, **more)

    pictures = {
        "loss": (overlay("loss", _("Training loss")), _("Training loss of each run.")),
        "task_metric": (
            overlay(
                "task_metric",
                metric.capitalize(),
                sparse=True,
                **(share if task.metric_goal == "max" else {}),
            ),
            _("Task metric of each run, on held-out data."),
        ),
        "load_entropy": (
            overlay(f"load_entropy.{layer}", _("Load entropy: even over experts"), **share),
            _("How evenly each run loads its experts."),
        ),
        "token_entropy": (
            overlay(
                f"token_entropy.{layer}",
                _("Token entropy: unsure about single tokens"),
                scale=per_log_e,
                **share,
            ),
            _("How unsure each router is about single tokens, in parts of log E."),
        ),
        "max_load": (
            overlay(f"max_load.{layer}", _("Largest load"), **share),
            _("Share of the routes that the busiest expert of each run is asked for."),
        ),
    }
    line = ""
    if dropless([update.snapshot for update in comparison.look], list(histories.values()), [layer]):
        bounded = any(update.snapshot.traces[layer].capacity is not None for update in comparison.look)
        line = _("None of these gates drops a route.") if bounded else _(DROPLESS)
    else:
        dropped = overlay(f"drop_rate.{layer}", _("Dropped routes"), **share)
        pictures["drops"] = (dropped, _("Share of routes dropped in each run."))
    columns = st.columns(2)
    for number, (key, (chart, alt)) in enumerate(pictures.items()):
        with columns[number % 2]:
            draw_chart(chart, f"overlay_{key}", alt)
    if line:
        st.caption(line)


def _look() -> str:
    """How the overlays are drawn: as differences where curves nearly coincide ("auto"), always, or never."""
    names = {
        "auto": _("Differences where curves nearly coincide"),
        "values": _("Values"),
        "differences": _("Differences"),
    }
    picked = st.segmented_control(
        _("Curves"),
        list(names),
        default="auto",
        format_func=names.__getitem__,
        key="curves",
        label_visibility="collapsed",
        required=True,
    )
    return picked or "auto"


def _as_differences(look: str, histories: dict[str, pd.DataFrame], column: str, drawn: float | None) -> bool:
    """Whether these curves are drawn as differences. What is near-equal stays so until it is clearly apart: no chart jumps to and fro.

    drawn: what a fixed vertical axis covers, in units of the column.
    """
    if look != "auto":
        return look == "differences"
    near = st.session_state.setdefault("near_equal", set())
    apart, one = side_by_side.spread(histories, column, drawn), (tuple(histories), column)
    if apart is None or apart >= side_by_side.APART:
        near.discard(one)
    elif apart < side_by_side.NEAR:
        near.add(one)
    return one in near


def _differences(comparison: Comparison) -> None:
    """The table: one row per number, one column per router; in brackets the difference from the first router."""
    metric = TASK_OPTIONS[comparison.base.task.name].metric
    columns = [values(update.snapshot, comparison.layer) for update in comparison.look]
    names = labels(comparison.routers)
    table = {
        _(METRIC_NAMES[metric]).capitalize() if row.name == "task_metric" else _(row.title): [
            written(row, column[row.name], columns[0][row.name] if n else None) for n, column in enumerate(columns)
        ]
        for row in ROWS
    }
    table[_("Looks at future tokens")] = [
        _("no") if ROUTER_OPTIONS[router].facts.causal else _("yes") for router in comparison.routers
    ]
    with st.container(key="differences"):
        st.table(pd.DataFrame.from_dict(table, orient="index", columns=names))
    st.caption(
        _("In brackets: difference from {first}. Entropies, loads and drops are those of layer {layer}.").format(
            first=names[0], layer=comparison.layer + 1
        )
    )


def _blends(comparison: Comparison) -> None:
    """The dispatch and combine weights of routers that blend tokens instead of choosing."""
    for router, update in zip(comparison.routers, comparison.look, strict=True):
        extras = update.snapshot.extras
        if "dispatch" not in extras:
            continue
        n_tokens = _sequence(update, comparison.layer)
        st.markdown(f"**{show('router', router)}**")
        st.caption(
            _(
                "First sequence or image of the probe batch, at most {n} tokens and {m} slots; strong colour is much."
            ).format(n=side_by_side.MOST_TOKENS, m=side_by_side.MOST_SLOTS)
        )
        pictures = {
            "dispatch": _("Dispatch: what each slot is made of (columns sum to 1)"),
            "combine": _("Combine: what each token gets back (rows sum to 1)"),
        }
        for column, (name, title) in zip(st.columns(2), pictures.items(), strict=True):
            with column:
                draw_chart(
                    side_by_side.matrix(extras[name][comparison.layer], n_tokens, title, _), f"{name}_{router}", title
                )


def _numbers(comparison: Comparison) -> None:
    """The table twin of the pictures."""
    with lazy(_("Numbers behind the pictures"), "numbers") as is_open:
        if not is_open:
            return
        frames = [
            update.history.assign(router=router)
            for router, update in zip(comparison.routers, comparison.look, strict=True)
        ]
        table = pd.concat(frames)
        first = [name for name in ("router", "step", "loss", "task_metric") if name in table]
        chosen = [name for name in table if name.count(".") == 1 and name.endswith(f".{comparison.layer}")]
        loads = [name for name in table if name.startswith(f"load.{comparison.layer}.")]
        st.caption(_("Layers and experts count from 1: load.2.5 is layer 2, expert 5."))
        show_table(history_table(table.loc[:, [*first, *chosen, *loads]]), height=300, key="compared_history")
        bars = [
            side_by_side.experts_per_token(update.snapshot.traces[comparison.layer], _).table.assign(router=router)
            for router, update in zip(comparison.routers, comparison.look, strict=True)
        ]
        show_table(pd.concat(bars), height=200, key="compared_counts")
        for router, update in zip(comparison.routers, comparison.look, strict=True):
            for name in ("dispatch", "combine"):
                if name in update.snapshot.extras:
                    st.caption(f"{show('router', router)}: {name}")
                    values = update.snapshot.extras[name][comparison.layer]
                    table = side_by_side.matrix(values, _sequence(update, comparison.layer), name, _).table
                    show_table(table, height=200, key=f"compared_{name}_{router}")


def _sequence(update: Update, layer: int) -> int:
    """Tokens of the first sequence or image of the probe batch."""
    sequence = update.snapshot.traces[layer].sequence
    return int((sequence == sequence[0]).sum())


def _downloads(comparison: Comparison) -> None:
    """The pictures and the numbers of all runs; what differs from the first is told in each file."""
    moments = [update.snapshot for update in comparison.look]
    first = moments[0].config
    others = {
        router: {word: value for word, value in moment.config.items() if first.get(word) != value}
        for router, moment in zip(comparison.routers[1:], moments[1:])
    }
    tables = {
        "history": every_row(
            dict(zip(comparison.routers, comparison.run_ids, strict=True)), [u.history for u in comparison.look]
        )
    }
    for router, moment in zip(comparison.routers, moments, strict=True):
        tables[f"routing-{router}"] = lambda moment=moment: routing_rows(moment.traces[comparison.layer])
    download_buttons(tables, "gates", first, moments[0].step, recorded_metrics(comparison.look[0].history), others)

"""The Twins page: which knob differs, the pair side by side on shared scales, where they part, and the gap of every metric with its interval."""

from __future__ import annotations

import streamlit as st

from moe_viz.charts.load import load_over_time
from moe_viz.charts.vega import VegaChart
from moe_viz.components import routing_table, routing_view
from moe_viz.components.labels import translated
from moe_viz.components.pack import FIRST_EXPERT
from moe_viz.records.moved_tokens import who_moved
from moe_viz.records.readable_tables import routing_rows
from moe_viz.spec import TASK_OPTIONS, change, plain
from moe_viz.spec.knobs import declared
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.session import address
from moe_viz.ui.twins.gaps import gaps, losses, names
from moe_viz.ui.twins.runs import MOST_PAIRS, Twins, address_of, arrive, lab_config, session_twins
from moe_viz.ui.widgets import glossary, notices, refresh
from moe_viz.ui.widgets.charts import draw_chart
from moe_viz.ui.widgets.download import download_buttons, every_row, recorded_metrics
from moe_viz.ui.widgets.header import head, layer_picker, transport
from moe_viz.ui.widgets.knobs import control
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import within_reach
from moe_viz.ui.widgets.tables import show_table, table_twin
from moe_viz.ui.words import in_words

SECONDS = 1.0
SECONDS_MANY = 2.0
"""Reading five pairs means ten looks at the probe batch."""
SECONDS_PAUSED = 4.0


def draw() -> None:
    """Twin runs: the same seed and data, one knob different, trained in lock-step."""
    twins = arrive()
    theme.apply()
    controls()
    explain_link(twins)
    live()
    glossary.words("twin_run", "run", "seed", "step", "loss", "load", "dead_expert", key="twins")
    address.write(address_of(twins))


def controls() -> None:
    """The knob, its second value, how many pairs, and the buttons."""
    twins = session_twins()
    within_reach(twins, twins.base, lambda *_turned: None, ())
    with st.sidebar:
        transport(twins, step=False, restart=twins.choose, restart_label=_("Start again"))
        words = twins.words()
        st.session_state["twin_word"] = twins.word
        st.selectbox(
            _("Knob that differs"),
            words,
            format_func=lambda word: _(twins.base.fields()[word].title),
            key="twin_word",
            on_change=lambda: _choose_word(twins, st.session_state["twin_word"]),
        )
        with st.container(key="twin_value"):
            control(twins.word, twins.second, lambda word: _choose_value(twins, st.session_state[word]))
        st.session_state["n_pairs"] = twins.n_pairs
        st.segmented_control(
            _("Pairs (seeds)"),
            range(1, MOST_PAIRS + 1),
            key="n_pairs",
            required=True,
            on_change=lambda: twins.choose(n_pairs=st.session_state["n_pairs"]),
        )
        if twins.base != lab_config():
            st.button(_("Take the lab's knobs"), key="take_lab", on_click=lambda: _take_lab(twins))


def live() -> None:
    """Draw the live part and keep it ticking."""
    twins = session_twins()
    playing = SECONDS if twins.n_pairs < 3 else SECONDS_MANY
    refresh.ticking(_tick, playing if twins.playing or not twins.latest else SECONDS_PAUSED)


def _choose_word(twins: Twins, word: str) -> None:
    """Another knob; its first second value is one that differs and is allowed, if the control offers one."""
    info = twins.base.fields()[word]
    now = twins.base.flat()[word]
    offered = declared(info).get("stops") or []
    for value in [*offered, not now if isinstance(now, bool) else now]:
        try:
            change(twins.base, **{word: value})
        except ValueError:
            continue
        if value != now:
            break
    else:
        value = now
    twins.choose(word=word, value=value)


def _choose_value(twins: Twins, value: object) -> None:
    try:
        change(twins.base, **{twins.word: value})
    except ValueError as error:
        notices.say(plain(error, _))
        return
    twins.choose(value=value)


def _take_lab(twins: Twins) -> None:
    base = lab_config()
    word = twins.word if twins.word in base.fields() else "balance_coef"
    value = twins.value if word == twins.word else base.flat()[word]
    try:
        change(base, **{word: value})
    except ValueError:
        value = base.flat()[word]
    twins.choose(base=base, word=word, value=value)


def _tick() -> None:
    refresh.begin_tick()
    twins = session_twins()
    twins.poll()
    tell(twins)
    if not twins.latest:
        with st.container(key="live_step"):
            st.markdown(_("starting…"))
        return
    _head(twins)
    loads = _pictures(twins)
    drawn = [*loads, *losses(twins), *gaps(twins)]
    if drawn:
        table_twin(drawn, "twin_tables")
    _downloads(twins)


def _head(twins: Twins) -> None:
    one, two = (update.snapshot for update in twins.look[:2])
    with head(max(one.step, two.step)):
        st.markdown(_parting(twins))
    for name, snapshot in ((_("First twin"), one), (_("Second twin"), two)):
        if snapshot.state in ("diverged", "failed"):
            st.error(f"{name}: {in_words(snapshot.message)}", icon=":material/error:")
    n_layers = min(len(one.traces), len(two.traces))
    twins.layer = min(twins.layer, n_layers - 1)
    twins.layer = layer_picker("twin_layer", twins.layer, n_layers)


def _parting(twins: Twins) -> str:
    """Where the first pair parted, in one sentence."""
    if twins.identical:
        return _(
            "Both twins have the same value, so they are the same run: nothing can differ, and nothing does. Choose another value."
        )
    if twins.trouble:
        return _(
            "With this knob the twins do not watch the same batch at the same steps, so their tokens cannot be matched."
        )
    at = twins.parting
    if at is None:
        return _("Up to step {step} both twins route every token of the probe batch alike.").format(
            step=twins.alike_until or 0
        )
    experts = {"before": _expert(at.before), "after": _expert(at.after)}
    if at.exact:
        text = _(
            "The twins part at **step {step}**: token {index} “{token}” in layer {layer} goes to expert {before} in the first and to {after} in the second. Tokens that differ there: {n}."
        )
    elif at.since is None:
        text = _(
            "The twins differ from the first look on, at **step {step}**: token {index} “{token}” in layer {layer} goes to expert {before} in the first and to {after} in the second. Tokens that differ there: {n}."
        )
    else:
        text = _(
            "The twins part after step {since}, seen at **step {step}**: token {index} “{token}” in layer {layer} goes to expert {before} in the first and to {after} in the second. Tokens that differ there: {n}."
        )
    token = escape_markdown(at.token.replace("\n", "⏎").replace(" ", "␣"))
    return text.format(
        step=at.step, since=at.since, index=at.index + 1, token=token, layer=at.layer + 1, n=at.tokens, **experts
    )


def _expert(index: int) -> str:
    return _("none") if index < 0 else str(index + FIRST_EXPERT)


def _pictures(twins: Twins) -> list[VegaChart]:
    """Both twins of the first pair, on one scale; the tokens that they route differently stand out. Returns the charts drawn."""
    drawn = []
    pair = twins.look[:2]
    traces = [update.snapshot.traces[twins.layer] for update in pair]
    lit = None
    if st.session_state.get("twin_lit", True) and not twins.trouble and twins.parting is not None:
        lit = who_moved(*traces)["index"].tolist()
    for column, name, update, key in zip(st.columns(2), names(twins), pair, ("one", "two")):
        with column:
            st.markdown(f"**{name}**")
            extras = update.snapshot.extras
            routing_view(
                update.snapshot.traces,
                layer=twins.layer,
                key=f"twin_{key}",
                images=extras.get("images"),
                points=extras.get("points"),
                labels=translated(_, residual=TASK_OPTIONS[update.snapshot.config["task"]].residual),
                group_name=_,
                height=320,
                lit=lit,
                peers=traces,
                title=name,
            )
            n_experts = update.snapshot.config["n_experts"]
            chart = load_over_time(update.history, twins.layer, n_experts, _)
            drawn.append(chart)
            draw_chart(chart, f"twin_load_{key}", _("Share of the routes asked of each expert, over the steps."))
    with st.container(horizontal=True, key="twin_options"):
        st.toggle(_("Light up the tokens that are routed differently"), value=True, key="twin_lit")
        st.toggle(_("Show as tables"), key="twin_as_table")
    if st.session_state.get("twin_as_table"):
        for column, trace, key in zip(st.columns(2), traces, ("one", "two")):
            with column:
                show_table(routing_table(trace), height=260, key=f"twin_table_{key}")
    return drawn


def _downloads(twins: Twins) -> None:
    """Both twins' routing, and the histories of all pairs; what the second twin has different is told in each file."""
    one, two = (update.snapshot for update in twins.look[:2])
    names = [f"{which}-of-pair-{n + 1}" for n in range(twins.n_pairs) for which in ("first", "second")]
    first = one.config
    others = {
        name: {word: value for word, value in update.snapshot.config.items() if first.get(word) != value}
        for name, update in zip(names[1:], twins.look[1:])
    }
    tables = {
        "routing-first": lambda: routing_rows(one.traces[twins.layer]),
        "routing-second": lambda: routing_rows(two.traces[twins.layer]),
        "history": every_row(dict(zip(names, twins.run_ids)), [update.history for update in twins.look]),
    }
    download_buttons(tables, "twins", first, one.step, recorded_metrics(twins.look[0].history), others)

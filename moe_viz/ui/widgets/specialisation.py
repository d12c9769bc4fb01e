"""Do experts specialise, and is it the router's doing? Every such view carries two controls: shuffled labels, and a frozen random router
trained beside it from the same seed. Drawn for one stated step, kept until the reader asks for a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from moe_viz.charts import plotly_charts
from moe_viz.charts.plotly_charts import PlotlyChart
from moe_viz.engine.protocol import Update
from moe_viz.records import specialisation as measures
from moe_viz.records import token_identity
from moe_viz.records.analysis import Analysis
from moe_viz.records.numbers import number
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import causality_of
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.study import Study, session_study
from moe_viz.ui.widgets.download import download_buttons, stamp, toolbar
from moe_viz.ui.widgets.tables import lazy, show_table
from moe_viz.ui.words import in_words, percent

METRICS = ("domain_specialisation", "domain_information", "token_predictability", "information_beyond_token")
IDENTITY = {
    "domains": N_("token id"),
    "digits": N_("patch's place"),
    "photo": N_("patch's place"),
    "clusters": N_("cluster"),
    "plane": N_("field of the plane"),
}
"""What a token is, apart from where it stands: the name of `token_ids` in each task."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the runs compared: `which` is "learned" or "frozen"."""

    which: str
    label: str
    analysis: Analysis


def specialise(run: SessionRun, shown: Update, layer: int) -> None:
    """The lab's tab: which experts each domain uses, with both controls, and the way to everything else."""
    study = session_study()
    if study.learned is None:
        study.update(run)  # also after a refusal: with another task it may be possible
    else:
        study.watch(run, shown.snapshot.step)
    controls(run, study)
    if study.learned is None:
        st.info(study.refusal or _("Your model is not running yet."))
        return
    if study.frozen_router:
        study.follow(run)
    domains(study, min(layer, study.look.n_layers - 1))
    st.page_link("pages/experts.py", label=_("More about these experts"), icon=":material/groups:")


def controls(run: SessionRun, study: Study) -> None:
    """As of which step, Update, and the two controls."""
    with st.container(horizontal=True, vertical_alignment="center", key="specialise_controls"):
        look: dict[str, Any] = {"icon": ":material/refresh:", "help": _("Look at the run as it is now.")}
        st.button(_("Update"), key="update_moment", on_click=study.update, args=(run,), **look)
        with st.container(key="as_of", width="content"):
            st.caption(_as_of(run, study.learned) if study.learned else _("starting…"))
        _switch(
            study,
            "shuffled_labels",
            _("Shuffled labels"),
            _("Swap the labels of whole sequences at random. Whatever pattern is left is chance."),
        )
        _switch(
            study,
            "frozen_router",
            _("Frozen random router"),
            _(
                "Train the same model from the same seed on the same data, but leave its router at its random start. "
                "Whatever it specialises in was not learned by the router."
            ),
        )
    if study.frozen_router:
        st.caption(
            _(
                "The frozen run trains with the settings of now from step 0 on; knobs that you turned on the way are not turned in it again."
            )
        )


def _switch(study: Study, word: str, label: str, text: str) -> None:
    """A control that the reader alone turns. Told its value with every tick, the browser undid one click in twenty."""

    def turn() -> None:
        setattr(study, word, st.session_state[word])

    st.toggle(label, getattr(study, word), key=word, help=text, on_change=turn)


def turn_to(study: Study, word: str, on: bool) -> None:
    """Set one of both controls, before it is drawn, as an address says."""
    setattr(study, word, on)
    st.session_state[word] = on


def sides(study: Study) -> list[Side]:
    """The runs to draw, side by side on one scale."""
    drawn = [Side("learned", _("Learned router"), study.look)]
    if study.frozen_router and study.frozen is not None:
        drawn.append(Side("frozen", _("Frozen random router"), study.frozen))
    return drawn


def domains(study: Study, layer: int) -> None:
    """Which experts each domain uses; what that says, and what of it is the router's learning."""
    shuffled = study.shuffled_labels
    shown = []
    for side in columns(study):
        trace = labelled(study, side, layer, shuffled)
        numbers = _numbers(
            study, side, layer, shuffled
        )  # before anything is drawn: they take a while, and below stand those of the look before
        chart = draw_chart(study, side, f"domains.{layer}.{shuffled}", lambda trace=trace: plotly_charts.domain_bars(trace, theme(), _),
                     _("Part of each domain's tokens that choose each expert, with the chance line and the range of shuffled labels."))  # fmt: skip
        shown.append((side, chart, numbers))
    numbers_of = {side.which: numbers for side, _chart, numbers in shown}
    with st.container(key="verdict"):
        st.markdown(_sentence(study, numbers_of, layer, shuffled))
    with st.container(key="domain_numbers"):
        st.table(_table(shown))
    download_charts(study, {side: chart for side, chart, _numbers in shown}, "domains", METRICS)


def columns(study: Study) -> Iterator[Side]:
    """Each side in its own column; says what is still on its way."""
    drawn = sides(study)
    waiting = study.frozen_router and len(drawn) == 1
    places = st.columns(2) if len(drawn) + waiting > 1 else [st.container()]
    for side, place in zip(drawn, places):
        with place:
            if len(places) > 1:
                st.markdown(f"**{side.label}**")
            yield side
    if waiting:
        with places[1]:
            st.markdown(f"**{_('Frozen random router')}**")
            on_its_way(study)


def on_its_way(study: Study) -> None:
    """How far the frozen twin is, or why there is none."""
    with st.container(key="twin_progress"):
        if study.look.config.get("freeze_router"):
            st.info(_("The router of this run is frozen itself."))
        elif study.refusal:
            st.warning(study.refusal)
        else:
            goal, study.shown_steps = study.look.step, study.steps
            text = _("Training it to the same step: {done} of {goal}").format(done=min(study.steps, goal), goal=goal)
            st.progress(min(study.steps / goal, 1.0) if goal else 1.0, text=text)


def labelled(study: Study, side: Side, layer: int, shuffled: bool) -> RoutingTrace:
    """The layer's trace, its labels shuffled where the reader asked for it."""
    trace = side.analysis.traces[min(layer, side.analysis.n_layers - 1)]
    return study.keep(("shuffled", side.which, layer), lambda: measures.shuffled_labels(trace)) if shuffled else trace


def draw_chart(study: Study, side: Side, name: str, make: Callable[[], PlotlyChart], alt: str) -> PlotlyChart:
    """A figure of one side, made once per look, with its table one click away."""
    chart = study.keep(
        (side.which, name, theme(), language()),
        lambda: plotly_charts.stamped(make(), stamp(side.analysis.config, side.analysis.step)),
    )
    key = f"{name}.{side.which}".replace(".", "_")
    st.plotly_chart(
        chart.figure,
        key=f"{key}_{side.analysis.step}",
        theme=None,
        alt=alt,
        config=toolbar(f"moe_viz-{name}-{side.which}"),
    )
    with lazy(_("Table"), f"table_{key}") as is_open:
        if is_open:
            show_table(chart.table, height=240)
    return chart


def download_charts(study: Study, charts: dict[Side, PlotlyChart], view: str, metrics: tuple[str, ...]) -> None:
    """The menu with the tables of both sides."""
    tables = {f"{view}-{side.which}": chart.table for side, chart in charts.items()}
    download_buttons(tables, view, study.look.config, study.look.step, metrics)


def theme() -> str:
    return "dark" if st.context.theme.type == "dark" else "light"


def _as_of(run: SessionRun, look: Analysis) -> str:
    text = _("As of step {step}, on {n} held-out tokens.").format(step=look.step, n=look.traces[0].n_tokens)
    now = run.config.flat()
    changed = sorted(word for word, value in look.config.items() if word != "speed" and now.get(word, value) != value)
    if changed:
        titles = (_(run.config.fields()[word].title) if word in now else word for word in changed)
        text += " " + _("Changed since: {words}.").format(words=", ".join(titles))
    return text


def _numbers(study: Study, side: Side, layer: int, shuffled: bool) -> dict[str, Any]:
    """Domain information and what chance and the token alone explain of it."""
    trace = labelled(study, side, layer, shuffled)

    def measure() -> dict[str, Any]:
        beyond, by_chance = (
            token_identity.information_beyond_token(trace),
            token_identity.information_beyond_token_null(trace),
        )
        return {
            "information": measures.domain_information(trace),
            "chance": float(measures.domain_information_null(trace).mean()),
            "beyond": beyond - float(by_chance.mean()),
            "guess": token_identity.predictability(trace),
        }

    return study.keep(("numbers", side.which, layer, shuffled), measure)


def _sentence(study: Study, numbers_of: dict[str, dict[str, Any]], layer: int, shuffled: bool) -> str:
    """What follows from the numbers, in a sentence or two."""
    learned, guess = numbers_of["learned"], numbers_of["learned"]["guess"]
    parts = []
    if np.isnan(learned["information"]):
        parts.append(_("With fewer than two domains, or no routes, there is nothing to tell apart."))
    elif shuffled:
        parts.append(
            _("The labels are shuffled: the domain information left, {value}, is chance.").format(
                value=_two(learned["information"])
            )
        )
    elif "frozen" in numbers_of:
        parts.append(
            in_words(
                token_identity.verdict(learned["information"], numbers_of["frozen"]["information"], learned["chance"])
            )
        )
        if study.look.config["task"] == "domains" and not causality_of(study.look.config):
            parts.append(_("(This gate looks at future tokens.)"))
    else:
        parts.append(
            _(
                "Domain information {value}; chance gives {chance}. Did the router learn that? The frozen random router answers."
            ).format(value=_two(learned["information"]), chance=_two(learned["chance"]))
        )
    if not np.isnan(guess.by_token):
        said_alone = _(
            "In layer {layer}, the {what} alone predicts a token's first expert in {share} of cases (always guessing the busiest: {busiest})."
        )
        parts.append(
            said_alone.format(
                layer=layer + 1,
                what=_(IDENTITY[study.look.config["task"]]) if study.look.config["task"] in IDENTITY else _("token id"),
                share=percent(guess.by_token),
                busiest=percent(guess.by_load),
            )
        )
    return " ".join(parts)


def _table(shown: list[tuple[Side, PlotlyChart, dict[str, Any]]]) -> pd.DataFrame:
    rows = [
        {
            "": side.label,
            _("domain information"): _two(numbers["information"]),
            _("by chance"): _two(numbers["chance"]),
            _("beyond the token, above chance"): _two(numbers["beyond"]),
            _("token id predicts expert"): _two(numbers["guess"].by_token),
            _("busiest expert predicts"): _two(numbers["guess"].by_load),
        }
        for side, _chart, numbers in shown
    ]
    return pd.DataFrame(rows).set_index("")


def _two(value: float) -> str:
    return number(value, ".2f")

"""The page "Experts": what they specialise in, how that came about, how alike they are, and what is lost without each of them.

Everything is drawn for one stated step; only the head ticks, to say how far training and the frozen twin are.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from moe_viz.charts import experts as charts
from moe_viz.charts import plotly_charts
from moe_viz.records import token_identity
from moe_viz.records.analysis import Ablation
from moe_viz.records.numbers import number
from moe_viz.ui.i18n import _
from moe_viz.ui.server.theme import apply as apply_theme
from moe_viz.ui.session.permalink import number_of
from moe_viz.ui.session.run import SessionRun, arrive, current, place_to_go, write_link
from moe_viz.ui.session.study import Study, session_study
from moe_viz.ui.widgets import glossary, refresh
from moe_viz.ui.widgets.header import layer_name
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.widgets.sidebar import draw_sidebar
from moe_viz.ui.widgets.specialisation import (
    Side,
    columns,
    controls,
    domains,
    download_charts,
    draw_chart,
    labelled,
    sides,
    theme,
    turn_to,
)

SECONDS = 1.0
VIEW, LAYER = "experts_view", "experts_layer"
VIEWS = ("domains", "words", "off", "time", "together", "layers", "geometry", "bias")
"""In reading order; the first is shown first."""
PROGRESS = 0.1
"""Part of the way that the frozen twin must have come before its bar is drawn anew."""


def draw() -> None:
    """Experts: what they specialise in, and how much of it the router has learned."""
    run = arrive()
    apply_theme()
    draw_sidebar(run)
    explain_link(run)
    _follow_address(run)
    experts(run)
    glossary.words("specialisation", "domain", "expert", "router", "load", "importance", "held_out", key="experts")
    write_link(run, **_place(run))


def _follow_address(run: SessionRun) -> None:
    """View, layer and both controls as the address says, where it does: as a session comes to the page, and after Back or Forward."""
    params = place_to_go(run, begins=VIEW not in st.session_state) or {}
    if params.get("view") in VIEWS:
        st.session_state[VIEW] = params["view"]
    if layer := number_of(params, "layer"):
        st.session_state[LAYER] = layer - 1
    study = session_study()
    for word, control in (("shuffled", "shuffled_labels"), ("frozen", "frozen_router")):
        if params.get(word) in ("0", "1"):
            turn_to(study, control, params[word] == "1")


def _place(run: SessionRun) -> dict[str, Any]:
    """Where the reader stands, as words of the address; all of them from the first drawing on, so that Back finds no entry between."""
    study, state = session_study(), st.session_state
    layer = min(state.get(LAYER, run.layer) or 0, run.config.n_layers - 1)
    controls_now = {"shuffled": int(study.shuffled_labels), "frozen": int(study.frozen_router)}
    return {"view": state.get(VIEW) or VIEWS[0], "layer": layer + 1} | controls_now


def experts(run: SessionRun) -> None:
    """Draw the page for the session's run."""
    study = session_study()
    refresh.ticking(_head, SECONDS)
    controls(run, study)
    if study.learned is None:
        st.info(study.refusal or _("Your model is starting; its experts appear in a moment."))
        return
    views = {
        "domains": (_("Domains"), domains),
        "words": (_("Tokens"), _vocabulary),
        "off": (_("Switch off"), _switch_off),
        "time": (_("Over time"), _over_time),
        "together": (_("Together"), _together),
        "layers": (_("Layers"), _layers),
        "geometry": (_("Likeness"), _geometry),
        "bias": (_("Bias"), _bias),
    }
    # not side by side in one row: there the many views would not wrap on a phone
    st.session_state.setdefault(VIEW, VIEWS[0])
    picked = st.segmented_control(_("View"), VIEWS, format_func=lambda name: views[name][0],
                                  key=VIEW, label_visibility="collapsed", required=True) or VIEWS[0]  # fmt: skip
    views[picked][1](study, _layer(run, study))


def _head() -> None:
    """Keeps the run alive, says where it is, and lets the page be redrawn once there is something new to draw."""
    refresh.begin_tick()
    run, study = current(), session_study()
    update = run.poll()
    tell(run)
    shown = update or run.latest
    with st.container(key="live_step", width="content"):
        st.markdown(_("step {step}").format(step=shown.snapshot.step) if shown else _("starting…"))
    if update is None:
        return
    if study.watch(run, update.snapshot.step):
        st.rerun()
    if study.frozen_router and study.pending and not study.look.config.get("freeze_router"):
        study.follow(run)
        if not study.pending or abs(study.steps - study.shown_steps) >= PROGRESS * study.look.step:
            st.rerun()


def _layer(run: SessionRun, study: Study) -> int:
    n_layers = study.look.n_layers
    if n_layers == 1:
        return 0
    st.session_state.setdefault(LAYER, min(run.layer, n_layers - 1))
    st.session_state[LAYER] = min(st.session_state[LAYER] or 0, n_layers - 1)
    return st.segmented_control(_("Layer"), range(n_layers), format_func=layer_name,
                                key=LAYER, label_visibility="collapsed", required=True) or 0  # fmt: skip


def _vocabulary(study: Study, layer: int) -> None:
    """Which token ids does each expert own?"""
    shuffled = study.shuffled_labels
    drawn: dict[Side, plotly_charts.PlotlyChart] = {}
    for side in columns(study):
        trace = labelled(study, side, layer, False)
        if shuffled:
            trace = study.keep(("words", side.which, layer), lambda trace=trace: token_identity.shuffled_tokens(trace))
        drawn[side] = draw_chart(
            study,
            side,
            f"words.{layer}.{shuffled}",
            lambda trace=trace: charts.vocabulary_bars(trace, theme(), _),
            _("Mean share that each expert gets of the token ids whose favourite it is."),
        )
    st.caption(
        _("Token ids seen at least 10 times; the dashed line is a router that ignores the token (1/E).")
        + (" " + _("The token ids are shuffled: what is left is chance.") if shuffled else "")
    )
    download_charts(study, drawn, "words", ("vocabulary_specialisation", "token_predictability"))


def _switch_off(study: Study, layer: int) -> None:
    """What is lost when one expert says nothing?"""
    st.caption(
        _(
            "Each expert's output is zeroed in turn, the routing stays, and the loss on each domain's held-out sequences is measured again."
        )
    )
    missing = [side for side in sides(study) if (side.which, layer) not in study.ablations]
    if missing and st.button(
        _("Switch each expert off"), key="switch_off", icon=":material/toggle_off:", type="primary"
    ):
        bar = st.progress(0.0)
        for side in missing:
            study.ablate(current(), layer, side.which, bar.progress)
        bar.empty()
        st.rerun()
    shuffled = study.shuffled_labels
    done = {
        side.which: study.ablations[side.which, layer]
        for side in sides(study)
        if (side.which, layer) in study.ablations
    }
    if not done:
        return
    scale = charts.scale_for(list(done.values()))
    if shuffled:
        done = {which: ablation.shuffled() for which, ablation in done.items()}
    drawn: dict[Side, plotly_charts.PlotlyChart] = {}
    for side in columns(study):
        if side.which not in done:
            st.caption(_("Not switched off yet."))
            continue
        ablation = done[side.which]

        def make(side: Side = side, ablation: Ablation = ablation) -> plotly_charts.PlotlyChart:
            return charts.switched_off(ablation, scale, side.analysis, theme(), _)

        alt = _("Change of the loss on each domain when each expert is switched off.")
        chart = drawn[side] = draw_chart(study, side, f"off.{layer}.{shuffled}.{scale}", make, alt)
        most = chart.table.sort_values("change", ascending=False).iloc[0]
        with st.container(key=f"most_needed_{side.which}"):
            st.markdown(
                _("Most needed: expert {expert} on {domain}, {change} ± {error} (standard error over sequences). The layer's other experts change this domain by {others} ± {sd}.").format(
                    expert=int(most["expert"]), domain=_(most["domain"]), change=number(most["change"], "+.3f"), error=number(most["error"], ".3f"),
                    others=number(most["others"], "+.3f"), sd=number(most["others_sd"], ".3f"),
                )
            )  # fmt: skip
    if shuffled:
        st.caption(_("The domain labels are shuffled: an effect that stays is not about domains."))
    download_charts(study, drawn, "off", ("switched_off", "domain_specialisation"))


def _over_time(study: Study, layer: int) -> None:
    """When did routing settle?"""
    change = study.look.change
    if len(set(change["step"])) < 2:
        st.info(
            _(
                "Only one moment of this run has been kept so far, so nothing can be compared. Let it train and press Update."
            )
        )
        return
    side = sides(study)[0]
    chart = draw_chart(study, side, "time", lambda: charts.change_curves(change, theme(), _),
                 _("Per layer: part of the choices at each step that are still today's, and tokens that have kept their expert since."))  # fmt: skip
    st.caption(_("The probe batch at up to 60 kept moments, against the newest one. A restart begins anew."))
    download_charts(study, {side: chart}, "time", ("saturation", "fluctuation"))


def _together(study: Study, layer: int) -> None:
    """Which experts are chosen together, and is it more than their loads explain?"""
    drawn: dict[Side, plotly_charts.PlotlyChart] = {}
    if study.look.traces[layer].expert.shape[1] < 2:
        st.info(_("Each token has a single expert here (k = 1): there are no pairs to look at."))
        return
    for side in columns(study):
        trace = labelled(study, side, layer, False)
        drawn[side] = draw_chart(study, side, f"together.{layer}", lambda trace=trace: plotly_charts.co_activation(trace, theme(), _),
                           _("How often two experts are chosen for the same token, beside what their loads alone would give."))  # fmt: skip
    download_charts(study, drawn, "together", ("co_activation",))


def _layers(study: Study, layer: int) -> None:
    """How even is each layer, and which way do tokens go from layer to layer?"""
    heat: dict[Side, plotly_charts.PlotlyChart] = {}
    for side in columns(study):
        traces = side.analysis.traces
        heat[side] = draw_chart(study, side, "heat", lambda traces=traces: plotly_charts.load_heatmap(traces, theme(), _),
                          _("Load of each expert in each layer, in multiples of the fair share."))  # fmt: skip
        trace = traces[layer]
        draw_chart(
            study,
            side,
            f"fp.{layer}",
            lambda trace=trace: plotly_charts.balance_scatter(trace, theme(), _),
            _("Load and mean probability of each expert: what the balancing loss multiplies."),
        )
        if len(traces) < 2:
            st.info(_("One layer only: there is no way from layer to layer."))
            continue
        draw_chart(study, side, "paths", lambda traces=traces: plotly_charts.path_sankey(traces, theme(), _), _("Tokens flowing from the expert of one layer to that of the next."))  # fmt: skip
    download_charts(study, heat, "layers", ("load", "paths"))


def _geometry(study: Study, layer: int) -> None:
    """How alike are the experts?"""
    drawn: dict[Side, plotly_charts.PlotlyChart] = {}
    for side in columns(study):
        geometry = side.analysis.geometry[layer]
        if geometry.router_cosine is None:
            st.info(_("This gate compares tokens with nothing of the experts' own, so it has no rows to compare."))
        else:
            draw_chart(study, side, f"rows.{layer}", lambda geometry=geometry: charts.router_likeness(geometry, theme(), _), _("Cosine between the router's rows."))  # fmt: skip
        drawn[side] = draw_chart(study, side, f"distance.{layer}", lambda geometry=geometry: charts.expert_distances(geometry, theme(), _), _("Distance between the experts' weights."))  # fmt: skip
    st.caption(
        _(
            "Two experts can compute the same with their hidden units in another order: their weights are then far apart, too."
        )
    )
    download_charts(study, drawn, "geometry", ("router_cosine", "expert_distance"))


def _bias(study: Study, layer: int) -> None:
    """How does loss-free balancing push?"""
    bias = study.look.bias
    if f"bias.{layer}.0" not in bias or len(bias) < 2:
        st.info(
            _(
                "This gate has no selection bias. Choose one that is balanced by a bias (DeepSeek-V3) to see its controller at work."
            )
        )
        return
    side, n_experts = sides(study)[0], study.look.traces[layer].n_experts
    chart = draw_chart(study, side, f"bias.{layer}", lambda: charts.bias_lines(bias, layer, n_experts, theme(), _), _("Selection bias of each expert over the steps."))  # fmt: skip
    download_charts(study, {side: chart}, "bias", ("selection_bias",))

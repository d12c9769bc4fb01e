"""The sidebar: few knobs in view, in three groups (what is learned, how experts are chosen, what limits and evens out their load), every other
one click away, all made from `spec`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from moe_viz.spec import Config, RunConfig, coarse_grained, fine_grained
from moe_viz.ui.i18n import _
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.watched import Watched
from moe_viz.ui.widgets.header import transport
from moe_viz.ui.widgets.knobs import control, words
from moe_viz.ui.widgets.tables import lazy

FIRST = ("task", "router", "k", "n_experts", "capacity_factor", "balance_coef", "speed")
"""The controls in view."""
PACE = ("speed",)
"""Those that turn nothing of the model."""
PRESSURE = ("capacity_factor", "drop_policy", "balance_coef")
"""Those that limit or even out what experts get."""
FLASH = """
<style>
@media (prefers-reduced-motion: no-preference) {
  :is(%(knobs)s) { animation: moe-viz-turned-%(turn)d 0.5s ease-in-out 3; border-radius: 0.4rem; }
  @keyframes moe-viz-turned-%(turn)d { 50%% { background: color-mix(in srgb, currentColor 22%%, transparent);
    box-shadow: 0 0 0 0.3rem color-mix(in srgb, currentColor 22%%, transparent); } }
}
</style>
"""
"""Named anew at each turn, so that it begins anew."""
REACHED = ("router", "k")
"""Those above the picture on a phone."""


def draw_sidebar(run: SessionRun) -> None:
    """Draw the whole sidebar for the session's run."""
    reached = within_reach(run, run.config, lambda word, value: run.turn(**{word: value}))
    with st.sidebar:
        transport(run, restart=run.reset)
        for key, title, group in in_view(run.config):
            with st.container(key=f"group_{key}"):
                if title:
                    st.caption(f"**{title}**")
                for word in [word for word in group if word not in reached]:
                    control(word, run.config, lambda changed: run.turn(**{changed: st.session_state[changed]}))
        flash(run)
        with lazy(_("More knobs"), "more_knobs", ":material/tune:") as is_open:
            if is_open:
                _more(run)


def within_reach(
    run: Watched[Any], config: Config, turn: Callable[[str, Any], Any], shown: Sequence[str] = REACHED
) -> list[str]:
    """On a phone, where the sidebar is folded away: play, step, gate and k above the picture. Wider pages have them beside it.

    Returns the words whose controls stand here now: there is only ever one control of a word, since a second one would repeat the old
    value in the request that carries the new one, and so turn it back.
    """
    shown = [word for word in shown if word in config.fields()]
    with st.container(key="within_reach", horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        icon = ":material/pause:" if run.playing else ":material/play_arrow:"
        label = _("Pause") if run.playing else _("Play")
        st.button(label, icon=icon, key="reach_play", type="primary", on_click=run.toggle)
        st.button(_("Step"), icon=":material/skip_next:", key="reach_step", on_click=run.step_once)
        if not shown:
            return []
        label = _("Gate and k") if "router" in shown else "k"
        fold = st.popover(label, icon=":material/tune:", key="reach_more", on_change="rerun")
        if not fold.open:
            return []
        with fold:
            for word in shown:
                control(word, config, lambda word: turn(word, st.session_state[f"reach_{word}"]), f"reach_{word}")
    return shown


def _more(run: SessionRun) -> None:
    for title, group in _groups(run.config):
        if group:
            st.caption(title)
        for word in group:
            control(word, run.config, lambda changed: run.turn(**{changed: st.session_state[changed]}))
    _grain(run)


def _grain(run: SessionRun) -> None:
    """Many small experts or few large ones, at equal cost: three knobs that are turned together."""
    finer, coarser = (_attempt(grain, run.config) for grain in (fine_grained, coarse_grained))
    with st.container(key="grain"):
        st.caption(
            _(
                "Fine-grained experts: twice as many of half the width, twice as many chosen. As many weights, as much work for a token."
            )
        )
        with st.container(horizontal=True, gap="xsmall"):
            for key, label, icon, wanted in (
                ("finer", _("Finer"), ":material/grid_on:", finer),
                ("coarser", _("Coarser"), ":material/grid_view:", coarser),
            ):
                st.button(
                    label,
                    icon=icon,
                    key=key,
                    disabled=wanted is None,
                    on_click=_regrain,
                    args=(run, wanted),
                    help=_outcome(wanted),
                )


def _attempt(grain: Callable[[RunConfig, int], RunConfig], config: RunConfig) -> RunConfig | None:
    try:
        return grain(config, 2)
    except ValueError:
        return None


def _outcome(wanted: RunConfig | None) -> str:
    if wanted is None:
        return _("Not possible with this gate, or at a limit of the experts' number, their width or k.")
    text = _("{n} experts with {width} hidden units each, k = {k}. The model starts anew.")
    return text.format(n=wanted.n_experts, width=wanted.d_hidden, k=wanted.router.k)


def _regrain(run: SessionRun, wanted: RunConfig) -> None:
    flat = wanted.flat()
    run.turn(**{word: flat[word] for word in ("n_experts", "d_hidden", "k")})


def in_view(config: RunConfig) -> list[tuple[str, str, list[str]]]:
    """The knobs in view, as (key, title, words) of each group. Who keeps a slot is a question only where buffers can be full, so its knob
    stands there only then."""
    fields = config.fields()
    wanted = [word for word in dict.fromkeys([*FIRST, *words(config, "basic")]) if word in fields]
    if "drop_policy" in fields and config.router.capacity_factor is not None:
        wanted.insert(wanted.index("capacity_factor") + 1, "drop_policy")
    data = [word for word in wanted if word == "task" or word in type(config.task).model_fields]
    pressure = [word for word in wanted if word in PRESSURE]
    gate = [word for word in wanted if word not in (*data, *pressure, *PACE)]
    groups: list[tuple[str, str, list[str]]] = [
        ("pace", "", list(PACE)),
        ("data", _("Data"), data),
        ("gate", _("Gate"), gate),
    ]
    return [*groups, ("pressure", _("Pressure"), pressure)]


def first(config: RunConfig) -> list[str]:
    """All words in view, in reading order."""
    return [word for _key, _title, group in in_view(config) for word in group]


def flash(run: SessionRun) -> None:
    """Have the knobs flash that the last switch of the gate has turned along; the fold, where one of them lies in it."""
    along, turns = run.turned_along()
    shown = {
        f".st-key-{word}, .st-key-reach_{word}" if word in first(run.config) else ".st-key-more_knobs" for word in along
    }
    if shown:
        st.html(FLASH % {"knobs": ", ".join(sorted(shown)), "turn": turns % 2})


def _groups(config: RunConfig) -> list[tuple[str, list[str]]]:
    """The knobs behind 'more': those of the gate, those of training, those of the task."""
    rest = [word for word in words(config, "more") if word not in first(config)]
    own = type(config.router).model_fields
    task = type(config.task).model_fields
    return [
        (_("Gate"), [word for word in rest if word in own]),
        (_("Task"), [word for word in rest if word in task]),
        (_("Training and model"), [word for word in rest if word not in own and word not in task]),
    ]

"""What stands at the head of a page that ticks: one sentence, the step beside it, and which layer is shown; and the buttons of its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from moe_viz.ui.i18n import _
from moe_viz.ui.session.watched import Watched


@contextmanager
def head(step: int | None, key: str = "head") -> Iterator[None]:
    """The sentence is what the block draws; beside it the step it speaks of (None: the run is still starting). Its height is reserved."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key=key):
        with st.container(key="story"):
            yield
        with st.container(key="live_step", width="content"):
            st.markdown(_("starting…") if step is None else _("step {step}").format(step=step))


def layer_picker(key: str, held: int, n_layers: int, name: Callable[[int], str] | None = None) -> int:
    """Which of the layers is shown, from 0; nothing to pick where there is one. held: until the reader picks; name: what stands on a tab."""
    if n_layers < 2:
        return 0
    picked = st.segmented_control(
        _("Layer"),
        range(n_layers),
        default=min(held, n_layers - 1),
        format_func=name or layer_name,
        key=key,
        label_visibility="collapsed",
        required=True,
    )
    return held if picked is None else picked


def layer_name(layer: int) -> str:
    """What stands on the tab of a layer, counted from 1."""
    return _("Layer {n}").format(n=layer + 1)


def transport(
    run: Watched[Any], step: bool = True, restart: Callable[[], Any] | None = None, restart_label: str | None = None
) -> None:
    """Pause or play, one step, and back to step 0; restart: what the last one does (None: the page has no such button)."""
    with st.container(horizontal=True, gap="xsmall", key="buttons"):
        label, icon = (_("Pause"), ":material/pause:") if run.playing else (_("Play"), ":material/play_arrow:")
        st.button(label, icon=icon, key="play", type="primary", on_click=run.toggle)
        if step:
            look: dict[str, Any] = {"icon": ":material/skip_next:", "help": _("One training step.")}
            st.button(_("Step"), key="step_once", on_click=run.step_once, **look)
        if restart is not None:
            look = {"icon": ":material/restart_alt:", "help": _("Start again from step 0.")}
            st.button(restart_label or _("Reset"), key="reset", on_click=restart, **look)

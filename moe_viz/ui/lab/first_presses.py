"""Three presses for somebody who has not turned anything yet: each shows something at once, says what to look at, and leads back.

They go as soon as the reader has turned something else. Recipes of collapse: `moe_viz.lessons.scenes`, where they were measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from moe_viz.lessons.scenes import SCENES
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _
from moe_viz.ui.lab.own_image import IMAGE_TASKS
from moe_viz.ui.session.run import SessionRun, difference
from moe_viz.ui.what_is_seen import what_is_seen

STATE = "first_presses"
VIEW = "view"
"""Key of the picker of views below the picture."""
COLLAPSE, LIMIT, OWN = "collapse", "limit", "own"
ICONS = {COLLAPSE: ":material/trending_down:", LIMIT: ":material/block:", OWN: ":material/edit:"}
LABELS = {COLLAPSE: N_("Make it collapse"), LIMIT: N_("Limit the buffers"), OWN: N_("Your own text")}
OWN_PICTURE = N_("Your own picture")
LOOK = {
    COLLAPSE: N_("**Watch the rows of squares:** within seconds most experts get nothing. Nothing pays for balance now, and all tokens have one large direction in common."),
    LIMIT: N_("**Watch the crosses.** Each expert now takes its fair share at most; a token that comes too late is dropped there."),
    OWN: N_("**Below the picture** the model routes what you bring, as it is now and anew with each of its steps."),
}  # fmt: skip
RESCUE = N_("Bring it back")
RESCUED = N_("**Watch them come back.** Busy experts now cost something, so the router spreads the tokens again: that is the balancing loss.")  # fmt: skip
FAIR = {"capacity_factor": 1.0}
BALANCED = {"balance_coef": 0.1}


@dataclass
class FirstPresses:
    """Of one run. pressed: which of the presses is shown (None: none yet);  before, view: the settings and the view that it leads back to.

    acted: what the run counts of its reader's actions, as far as they were presses here; -1: the reader has long begun.
    leads: the time in ns of the press that leads the reader to the field of their own.
    """

    run: SessionRun
    acted: int
    pressed: str | None = None
    rescued: bool = False
    before: RunConfig | None = None
    view: str | None = None
    leads: int = 0

    @property
    def offered(self) -> bool:
        """Nothing has been turned but by these presses."""
        return self.acted == self.run.n_actions


def first_presses(run: SessionRun) -> FirstPresses:
    """The session's for this run. Whoever comes back to a run, or is sent to one, is not offered to turn it over at a press."""
    kept = st.session_state.get(STATE)
    if kept is None or kept.run is not run:
        kept = st.session_state[STATE] = FirstPresses(run, 0 if run.run_id is None else -1)
    return kept


def collapse_knobs(config: RunConfig) -> dict[str, Any]:
    """What makes this run collapse: its scene's gate and pressure. The run begins anew."""
    scene = SCENES.get(config.task.name, SCENES["clusters"])
    gate = {word: scene.config[word] for word in ("router", "k") if word in scene.config}
    return gate | {"balance_coef": 0.0, "shared_vector": scene.collapse.knobs["shared_vector"]}


def limit_knobs(config: RunConfig) -> dict[str, Any]:
    """What gives each expert a buffer as large as its fair share; gates without buffers give way to one that has them."""
    return FAIR if "k" in config.flat() and "capacity_factor" in config.flat() else {"router": "topk"} | FAIR


def draw(run: SessionRun, shown: dict[str, Any]) -> None:
    """One line that says what is seen (in the picture of these flat settings), or after a press what to look at; and the presses."""
    state = first_presses(run)
    fresh = state.offered
    with st.container(key="seen" if fresh else "seen_alone", horizontal=True, vertical_alignment="center"):
        with st.container(key="what_is_seen", width="stretch"):
            st.markdown(_look(state) if fresh and state.pressed else what_is_seen(shown, _))
        if not fresh:
            return
        with st.container(key="first_presses", horizontal=True, width="content", gap="xsmall"):
            _buttons(run, state)
            # it stays as long as the press is shown: a script that is gone with the next tick may not run at all
            if state.pressed == OWN:
                with st.container(key="lead"):
                    st.html(GO_THERE.replace("PRESS", f"{state.leads}n"), unsafe_allow_javascript=True)


def _look(state: FirstPresses) -> str:
    return _(RESCUED) if state.rescued else _(LOOK[state.pressed or OWN])


def _buttons(run: SessionRun, state: FirstPresses) -> None:
    if state.pressed:
        if state.pressed == COLLAPSE and not state.rescued:
            _button(_(RESCUE), "rescue_it", ":material/healing:", lambda: _rescue(run, state))
        _button(_("As it was"), "as_it_was", ":material/undo:", lambda: _undo(run, state))
        return
    for name in _offered(run.config):
        label = OWN_PICTURE if name == OWN and run.config.task.name in IMAGE_TASKS else LABELS[name]
        _button(_(label), f"first_{name}", ICONS[name], lambda name=name: _press(run, state, name))


def _offered(config: RunConfig) -> list[str]:
    takes_own = config.task.name == "domains" or config.task.name in IMAGE_TASKS
    return [COLLAPSE, LIMIT, *([OWN] if takes_own else [])]


def _button(label: str, key: str, icon: str, press: Callable[[], None]) -> None:
    st.button(label, key=key, icon=icon, on_click=press)


def _press(run: SessionRun, state: FirstPresses, name: str) -> None:
    state.before, state.view = run.config, st.session_state.get(VIEW)
    if name == OWN:
        st.session_state[VIEW], state.leads = "yours", time.time_ns()
    elif not _turn(run, collapse_knobs(run.config) if name == COLLAPSE else limit_knobs(run.config)):
        return
    state.pressed, state.rescued, state.acted = name, False, run.n_actions


def _rescue(run: SessionRun, state: FirstPresses) -> None:
    if _turn(run, BALANCED):
        state.rescued, state.acted = True, run.n_actions


def _undo(run: SessionRun, state: FirstPresses) -> None:
    """Back to the settings and the view from before; the presses are offered again."""
    if state.before is not None and state.before != run.config:
        _turn(run, difference(run.config, state.before))
    if state.view is not None:
        st.session_state[VIEW] = state.view
    state.pressed, state.rescued, state.acted = None, False, run.n_actions


def _turn(run: SessionRun, knobs: dict[str, Any]) -> bool:
    """Whether the run has them now, and plays; a refusal is told by the run's notices."""
    run.turn(**knobs)
    if not knobs.items() <= run.config.flat().items():
        return False
    if not run.playing:
        run.play(True)
    run.changed = True
    return True


GO_THERE = """<script>
if (window.ledBy !== PRESS) {
  window.ledBy = PRESS;
  const until = performance.now() + 20000;
  const go = () => {
    const field = document.querySelector('.st-key-own_text textarea, .st-key-own_image button');
    if (!field) return performance.now() < until && requestAnimationFrame(go);
    field.scrollIntoView({ block: 'center' });
    field.focus({ preventScroll: true });
  };
  go();
}
</script>"""
"""The field stands below the picture: whoever asked for it is led there, once for each press, even where the page is drawn anew."""

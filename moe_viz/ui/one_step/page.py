"""The page "One step": one token through one real training step, one idea per panel, each number fit for a pocket calculator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from moe_viz.engine.protocol import EngineError, Update
from moe_viz.records.numbers import number
from moe_viz.records.step_story import StepStory, is_right, questions, read_number, to_frame
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.i18n import _
from moe_viz.ui.one_step.panels import HIDE, PANELS, panel_title
from moe_viz.ui.one_step.strip import draw_strip
from moe_viz.ui.server import theme
from moe_viz.ui.session.page_state import of_run, visit_number
from moe_viz.ui.session.run import SessionRun, arrive, current, write_link
from moe_viz.ui.widgets import glossary, refresh
from moe_viz.ui.widgets.download import download_buttons
from moe_viz.ui.widgets.header import head as head_line
from moe_viz.ui.widgets.header import layer_name
from moe_viz.ui.widgets.messages import tell
from moe_viz.ui.widgets.sidebar import draw_sidebar
from moe_viz.ui.words import in_words

STATE = "one_step"
WORDS = (
    "token",
    "router",
    "score",
    "softmax",
    "gate",
    "top_k",
    "capacity",
    "slot",
    "dropped",
    "residual_path",
    "loss",
    "gradient",
)
SECONDS = 2.0
GONE_ON = N_("Your run had gone on or been changed since; no step was made. This is the one that it makes next now.")


def draw() -> None:
    """One step: the next training step of the lab's run in slow motion, as one token meets it."""
    run = arrive()
    theme.apply()
    draw_sidebar(run)
    st.markdown("#### " + _("One step in slow motion"))
    head(run)
    chooser(run)
    panels()
    glossary.words(*WORDS, key="one_step")
    write_link()


@dataclass
class OneStep:
    """What is looked at: a token (from 0) and a layer, and the story that was told of them (None: not yet)."""

    token: int = 0
    layer: int = 0
    story: StepStory | None = None
    refused: EngineError | None = None
    is_next: bool = True
    """The run still stands before the step of the story."""
    visit: int | None = None
    """The visit of this page in which it was told (see `page_state.visit_number`)."""

    def is_of(self, update: Update) -> bool:
        """Whether the step of the story is the one that the run makes next: as many steps before it, the same knobs."""
        shown = update.snapshot
        return self.story is not None and (shown.step, shown.config) == (self.story.step, self.story.config)

    def refuse(self, error: EngineError) -> None:
        """The batch may have become smaller than the token's number."""
        self.refused = error
        if self.token:
            self.token, self.story = 0, None

    def leave(self) -> None:
        """It holds nothing in the engine."""


def one_step() -> OneStep:
    """What the session looks at in its present run."""
    return of_run(STATE, current().beginning, lambda _old: OneStep())


def dissect_next_step(**wanted: Any) -> None:
    """Ask for the story of the run's next step, for another token or layer where one is given. The run waits from then on: what is on
    the screen is the step that it makes next."""
    view, run = one_step(), current()
    for name, value in wanted.items():
        setattr(view, name, value)
    if run.run_id is None:
        return
    if run.playing:
        run.play(False)
    view.visit = visit_number()
    view.refused, view.layer = None, min(view.layer, run.config.n_layers - 1)
    view.story = run.ask(lambda engine: engine.dissect(run.open_id, view.token, view.layer), view.refuse) or view.story


def dissect_token_where(which: Callable[[StepStory], int | None]) -> None:
    """Another token, chosen by what it meets in the very step that is then shown; the same one where there is none."""
    dissect_next_step()
    view = one_step()
    if view.refused is None and view.story is not None and (token := which(view.story)) is not None:
        dissect_next_step(token=token)


def make_step() -> None:
    """Let the run make the step that is shown, and look at the next. Where the run has gone on meanwhile (another page of it, a press that
    this page has not heard of), no step is made: it would be one that nobody has seen."""
    run, view = current(), one_step()
    if run.playing:
        run.play(False)
    if (update := run.poll()) is not None:
        if view.is_of(update):
            run.step_once()
        else:
            run.notices.append(Sentence(GONE_ON))
    dissect_next_step()


def head(run: SessionRun) -> None:
    """Which run and step, kept fresh; asks for the first story as soon as there is a run."""
    refresh.ticking(_head, SECONDS)


def _head() -> None:
    refresh.begin_tick()
    run, view = current(), one_step()
    update = run.poll() or run.latest
    tell(run)
    if update is None or run.run_id is None:
        st.info(_("The training process is starting…"))
        return
    if must_dissect(run, view, update):
        dissect_next_step()
        st.rerun()
    if view.story is not None and view.is_of(update) != view.is_next:
        view.is_next = not view.is_next
        st.rerun()
    with head_line(update.snapshot.step, key="still_head"):
        gate = _(ROUTER_OPTIONS[run.config.router.name].facts.title)
        st.markdown(_("Your lab run: {gate}, {n} experts.").format(gate=gate, n=run.config.n_experts))


def must_dissect(run: SessionRun, view: OneStep, update: Update) -> bool:
    """Whether the step has to be taken apart without being asked for: there is none yet, the page has just been opened, or a knob was
    turned while the run waits, so that its next step is another one than was shown."""
    if run.lost:
        return False
    if view.visit != visit_number():
        return True
    if view.refused is not None:
        return False
    waits = not update.playing and view.story is not None and update.snapshot.step == view.story.step
    return view.story is None or (waits and not view.is_of(update))


def chooser(run: SessionRun) -> None:
    """Which token of the next batch, which layer."""
    view = one_step()
    story = view.story
    if view.refused is not None:
        st.error(in_words(view.refused), icon=":material/error:")
        st.button(_("Try again"), key="try_again", on_click=dissect_next_step)
    if story is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="choose_token"):
        st.session_state["token_number"] = view.token + 1
        st.number_input(
            _("Token (of {n} in the next batch)").format(n=story.n_tokens),
            1,
            story.n_tokens,
            key="token_number",
            width=220,
            on_change=lambda: dissect_next_step(token=st.session_state["token_number"] - 1),
        )
        lost = np.flatnonzero(story.dropped)
        st.button(
            _("A dropped one"),
            key="pick_dropped",
            disabled=not len(lost),
            help=None if len(lost) else _("No token of this batch is dropped in this layer."),
            on_click=dissect_token_where,
            args=(lambda story: _next(np.flatnonzero(story.dropped), story.token),),
        )
        st.button(
            _("One of another expert"),
            key="pick_other",
            on_click=dissect_token_where,
            args=(_other,),
        )
        st.button(
            _("Take the next step apart"), key="take_apart", icon=":material/refresh:", on_click=dissect_next_step
        )
        st.button(_("Make this step"), key="make_step", icon=":material/skip_next:", type="primary", on_click=make_step, disabled=not view.is_next, help=_("The run makes exactly this step and waits; then its next one is taken apart."))  # fmt: skip
        if run.config.n_layers > 1:
            st.session_state["step_layer"] = view.layer
            st.segmented_control(
                _("Layer"),
                range(run.config.n_layers),
                key="step_layer",
                format_func=layer_name,
                required=True,
                on_change=lambda: dissect_next_step(layer=st.session_state["step_layer"] or 0),
            )


def _next(which: np.ndarray, token: int) -> int | None:
    """The next of these tokens, from the first one on after the last; None where there is none."""
    later = which[which > token]
    return int(later[0] if len(later) else which[0]) if len(which) else None


def _other(story: StepStory) -> int:
    """The next token of the batch whose first expert is another one."""
    others = np.flatnonzero(story.first_expert != story.first_expert[story.token])
    token = _next(others, story.token)
    return (story.token + 1) % story.n_tokens if token is None else token


def panels() -> None:
    """The step as a sequence of panels, then the questions."""
    view = one_step()
    story = view.story
    if story is None:
        return
    if view.is_next:
        text = _("**Step {step}**, layer {layer}, computed by a copy of your run that makes the very step it will make next; the run itself waits.")  # fmt: skip
    else:
        text = _("**Step {step}**, layer {layer}: your run has gone on since. *Take the next step apart* shows the one that it makes next.")  # fmt: skip
    st.markdown(text.format(step=story.step + 1, layer=story.layer + 1))
    st.toggle(_("Hide the results, I want to work them out"), key=HIDE)
    draw_strip(story)
    for place, (name, draw) in enumerate(PANELS.items(), 1):
        with st.container(border=True, key=f"panel_{name}"):
            st.markdown(f"**{place}. {panel_title(name)}**")
            draw(story)
    _check_yours(story)
    download_buttons({"one-step": lambda: to_frame(story)}, "one-step", story.config, story.step)


def _check_yours(story: StepStory) -> None:
    with st.container(border=True, key="panel_check"):
        st.markdown("**" + _("Check yours") + "**")
        asked = {question.name: question for question in questions(story)}
        if not asked:
            st.caption(_("This router leaves nothing to work out here: it has no scores, no capacity and no gradient."))
            return
        picked = st.selectbox(
            _("Work out, from the panels above:"),
            list(asked),
            format_func=lambda name: _(asked[name].text).format(**asked[name].values),
            key="question",
        )
        question = asked[picked or next(iter(asked))]
        typed = st.text_input(_("Your number"), key=f"answer_{question.name}_{story.step}_{story.token}_{story.layer}")
        if not typed.strip():
            return
        given = read_number(typed)
        panel = list(PANELS).index(question.panel) + 1
        if given is None:
            st.warning(_("That is not a number. Type it like 0.25 or -1.3e-4."), icon=":material/help:")
        elif is_right(question, given):
            shown = number(int(question.answer) if question.form == "d" else question.answer, question.form)
            st.success(_("Right: it is {answer}.").format(answer=shown), icon=":material/check:")
        else:
            st.error(
                _("Not within one percent. Look again at panel {number}: {title}.").format(
                    number=panel, title=panel_title(question.panel)
                ),
                icon=":material/close:",
            )

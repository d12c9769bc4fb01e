"""The reader's own sentence: routed by the live model at every update, and continued by it on demand."""

from __future__ import annotations

import streamlit as st

from moe_viz.components import routing_view
from moe_viz.components.labels import translated
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import causality_of
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _
from moe_viz.ui.lab.own_input import answer
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets.notices import too_long
from moe_viz.ui.words import in_words

LONGEST = 400
KEPT = "own_text_kept"
N_TOKENS = 48
TEMPERATURE = 0.8


def own_text(run: SessionRun, layer: int) -> None:
    """Draw the text field, its routing by the model as it is now, and the continuation if one was asked for."""
    if run.config.task.name != "domains":
        st.info(
            _(
                "This task cannot read anything of yours. A text task takes a sentence of your own, an image task a picture."
            )
        )
        return
    example = _("The cat sat on the mat. Кошка сидела на коврике. x = 42")
    typed = st.text_area(
        _("Type a sentence of at most {n} characters; the model routes it as it is now.").format(n=LONGEST),
        value=st.session_state.setdefault(KEPT, example),  # a value that is set would be put over what is being typed
        key="own_text",
        height=80,
        on_change=_typed,
        args=(run,),
    )
    text = (typed or "")[:LONGEST]
    if typed and len(typed) > LONGEST:
        st.caption(":orange[▲] " + in_words(too_long(typed, LONGEST)))
    found = causality_of(run.config)
    barred = found.source == "gate"
    st.button(
        _("Let the model write on"),
        key="continue_text",
        icon=":material/edit_note:",
        on_click=_continue,
        args=(run,),
        disabled=not text.strip() or barred or run.run_id is None,
        help=_("This gate looks at future tokens, which do not exist yet while writing.") if barred else None,
    )
    if not found:
        st.caption(_("Not causal: {reason}").format(reason=_(found.reason)))
    traces = _routed(run, text)
    if not traces:
        return
    written = run.continuation
    if written is not None:
        with st.container(key="written"):
            template = _("**The model wrote this, at step {step}:** {text}")
            st.markdown(
                template.format(step=traces[0].step, text=f":blue-background[{escape_markdown(written.text, 2000)}]")
            )
            st.caption(_("In the picture its tokens stand out; yours, the first {n}, are pale.").format(n=written.prompt_tokens))  # fmt: skip
    routing_view(
        traces,
        layer=min(layer, len(traces) - 1),
        key="own_routing",
        height=320,
        labels=translated(_) | {"source": _("Your text")},
        group_name=_,
        lit=None if written is None else range(written.prompt_tokens, traces[0].n_tokens),
    )


def _routed(run: SessionRun, text: str) -> list[RoutingTrace]:
    if run.continuation is not None:
        return run.continuation.traces
    if not text.strip():
        st.info(_("An empty text has no tokens to route."))
        return []
    if run.run_id is None or run.lost:
        st.info(_("Your model is not running yet."))
        return []
    routed = run.ask(lambda engine: answer(run, engine.route_text, text), lambda error: st.info(in_words(error)))
    return routed or []


def _typed(run: SessionRun) -> None:
    """Keep the text: what a field holds ends with the field, when another tab is looked at."""
    run.continuation = None
    st.session_state[KEPT] = st.session_state["own_text"]


def _continue(run: SessionRun) -> None:
    text = st.session_state["own_text"][:LONGEST]
    run.continuation = run.ask(lambda engine: engine.continue_text(run.open_id, text, N_TOKENS, TEMPERATURE))

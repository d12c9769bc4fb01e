"""The strip above the cards of One step: it stays in sight while they are read, says where one is, and leads to each of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from moe_viz.components.step_strip import step_strip, translated
from moe_viz.records.step_story import StepStory
from moe_viz.ui.i18n import _
from moe_viz.ui.one_step.panels import PANELS, hidden, n, panel_title

KEY = "stations"
CSS = """
<style>
[data-testid="stLayoutWrapper"]:has(> .st-key-step_strip) { z-index: 30; }
.st-key-strip_rules { display: none; }
[data-testid="stLayoutWrapper"]:has(> .st-key-strip_rules) { display: none; }
[class*="st-key-panel_"][data-reading] { box-shadow: inset 3px 0 0 currentColor; }
[class*="st-key-panel_"]:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media screen and (min-height: 480px) {
  [data-testid="stLayoutWrapper"]:has(> .st-key-step_strip) { position: sticky; top: 3.75rem; }
}
</style>
"""
"""It is `sticky` where the window is high enough to read below it: not on a phone held sideways, nor at a zoom of 400 %."""


def draw_strip(story: StepStory) -> None:
    """The strip of this story. Where results are hidden, it gives none away."""
    with st.container(key="strip_rules"):
        st.html(CSS)
    cards = {name: f"{place}. {panel_title(name)}" for place, name in enumerate(PANELS, 1)} | {
        "check": _("Check yours")
    }
    with st.container(key="step_strip"):
        step_strip(story, key=KEY, figures=figures(story), cards=cards, hidden=hidden(), labels=translated(_))


def figures(story: StepStory) -> dict[str, str]:
    """Station -> what stands below its picture: the number of this station that the next one goes on with."""
    return {
        "token": _("{number} of {total}").format(number=story.token + 1, total=story.n_tokens),
        "scores": _scores(story),
        "choice": _choice(story),
        "slot": _slot(story),
        "expert": _expert(story),
        "sum": f"|y| = {n(float(np.linalg.norm(story.y)), 3)}",
        "gradient": _gradient(story),
    }


def _scores(s: StepStory) -> str:
    if s.logits is None:
        return _("none")
    e = s.routes[0].expert if s.routes else int(s.probs.argmax())
    return f"ℓ{e + 1} = {n(s.logits[e], 3)}" if hidden() else f"p{e + 1} = {n(s.probs[e], 3)}"


def _choice(s: StepStory) -> str:
    if s.routes:
        names = ", ".join(str(route.expert + 1) for route in s.routes)
        return _("expert {e}").format(e=names) if len(s.routes) == 1 else _("experts {names}").format(names=names)
    return _("by no expert") if s.ranking is None and s.config["router"] == "expert_choice" else _("none")


def _slot(s: StepStory) -> str:
    kept = sum(route.kept for route in s.routes)
    if not s.routes:
        return _("none")
    if len(s.routes) > 1:
        return _("{kept} of {n} kept").format(kept=kept, n=len(s.routes))
    if not kept:
        return _("dropped")
    (route,) = s.routes
    if s.capacity is None or hidden():
        return _("place {place} of {total}").format(place=route.place + 1, total=route.asked_of)
    return _("slot {slot} of {total}").format(slot=route.place + 1, total=s.capacity)


def _expert(s: StepStory) -> str:
    if not s.routes:
        return _("all experts")
    first = s.routes[0]
    return _("{active} of {hidden} units").format(active=first.active, hidden=first.hidden)


def _gradient(s: StepStory) -> str:
    if s.dlogits is None:
        return _("none")
    e = s.routes[0].expert if s.routes else int(np.abs(s.dlogits).argmax())
    return f"dL/dℓ{e + 1} = {n(s.dlogits[e], 3)}"

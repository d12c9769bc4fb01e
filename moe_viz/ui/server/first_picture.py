"""The recorded picture, in the HTML of the lab's page itself: it is there before the frontend has been loaded and the page has run.

The page then draws the same picture in the same place, and this one goes (assets/first_picture). Nobody sees more of the server by it than by
the recording that is shipped with it.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape

from moe_viz import launch, paths
from moe_viz.components import routing
from moe_viz.components.labels import translated
from moe_viz.ui.i18n import catalogue
from moe_viz.ui.session.recorded import CALM, HEIGHT, SENTENCE, recorded
from moe_viz.ui.what_is_seen import what_is_seen
from moe_viz.ui.words import about, loss_now

FOLDER = paths.ASSETS / "first_picture"


@cache
def html(language: str, calm: bool) -> str:
    """What stands at the begin of the lab's body, in one language. calm: the page, too, goes on to speak of this recording."""
    translate, moment = catalogue(language).gettext, recorded().snapshot
    data = routing.picture(
        moment.traces, layer=0, recorded=True, labels=translated(translate), group_name=translate, height=HEIGHT
    )
    sent = json.dumps({"version": routing.VERSION, "source": routing.SOURCE, "data": data}, ensure_ascii=False)
    values = {
        "light": _theme(launch.LIGHT),
        "dark": _theme(launch.DARK),
        "seen": escape(what_is_seen(moment.config, translate)),
        "sentence": escape(translate(CALM).format(n=moment.step) if calm else translate(SENTENCE)),
        "step": escape(translate("step {step}").format(step=moment.step) if calm else translate("starting…")),
        "about": escape(about(moment.config, translate)),
        "loss": escape(loss_now(moment.metrics.get("loss"), translate)),
        "view": routing.HTML,
        "data": sent.replace("<", "\\u003c"),  # no word of it ends the script that it stands in
        "script": (FOLDER / "first_picture.js").read_text(encoding="utf-8"),
    }
    text = (FOLDER / "first_picture.html").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _theme(colours: dict[str, str]) -> str:
    """CSS variables by the names that Streamlit gives them."""
    names = {
        "primaryColor": "primary-color",
        "backgroundColor": "background-color",
        "secondaryBackgroundColor": "secondary-background-color",
        "textColor": "text-color",
    }
    return " ".join(f"--st-{name}: {colours[word]};" for word, name in names.items())

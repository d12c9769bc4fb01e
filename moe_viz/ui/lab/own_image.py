"""The reader's own picture: read and cut into patches by the worker, routed by the live model at every update.

The page hands the file's bytes over as they are and never decodes them; what it draws is what the model sees.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from moe_viz.components import routing_table, routing_view
from moe_viz.components.labels import translated
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _
from moe_viz.ui.lab.own_input import answer
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets.tables import show_table
from moe_viz.ui.words import in_words

TYPES = ("png", "jpg", "jpeg", "webp")
MEGABYTES = 2
PIXELS = 4096
SEEN = {
    "digits": N_("What the model sees of it: {width} × {height} grey pixels, light ink on dark as in its digits."),
    "photo": N_("What the model sees of it: {width} × {height} pixels. It has only ever seen its six photographs."),
}
IMAGE_TASKS = tuple(SEEN)


def own_image(run: SessionRun, layer: int) -> None:
    """Draw the file field, and how the model as it is now routes the picture's patches, as picture and as table."""
    file = st.file_uploader(
        _("Choose a picture; the model routes its patches as it is now."),
        type=TYPES,
        max_upload_size=MEGABYTES,
        key="own_image",
        help=_(
            "PNG, JPEG or WebP, at most {megabytes} MB and {pixels} × {pixels} pixels. It is not written to disk, and nobody else sees it."
        ).format(megabytes=MEGABYTES, pixels=PIXELS),
    )
    if file is None:
        return
    routed = _routed(run, file.getvalue())
    if routed is None:
        return
    traces, image = routed
    trace = traces[min(layer, len(traces) - 1)]
    height, width = image.shape[:2]
    seen = _(SEEN[run.config.task.name]).format(width=width, height=height)
    with st.container(key="own_image_seen"):
        st.caption(
            _("Step {step}: {n} patches, {dropped} dropped. {seen}").format(
                step=trace.step, n=trace.n_tokens, dropped=int((~trace.kept.any(axis=1)).sum()), seen=seen
            )
        )
    routing_view(
        traces,
        layer=min(layer, len(traces) - 1),
        key="own_image_routing",
        images=image[None],
        height=340,
        labels=translated(_) | {"source": _("Your picture")},
        group_name=_,
    )
    with st.expander(_("As a table"), key="own_image_table"):
        show_table(routing_table(trace), height=240)


def _routed(run: SessionRun, data: bytes) -> tuple[list[RoutingTrace], np.ndarray] | None:
    if run.run_id is None or run.lost:
        st.info(_("Your model is not running yet."))
        return None
    return run.ask(
        lambda engine: answer(run, engine.route_image, data),
        lambda error: st.error(in_words(error), icon=":material/broken_image:"),
    )

"""A page with nothing but one canvas view (`view`: routing, gate_map, scrubber, pictures) between other text, for the views' browser
tests and for looking at them while working on them.

The routing is real arithmetic (softmax, top-k, first come first served) on fixed smooth scores, so that the page needs no training
process: `streamlit run tests/browser/demo_components.py -- ` and query parameters `kind`, `experts`, `tokens`, `k`, `capacity`, `tick`.
"""

import time

import numpy as np
import streamlit as st

from moe_viz.components import routing_table, routing_view
from moe_viz.components.gate_map import gate_map_view
from moe_viz.components.picture import picture_list
from moe_viz.components.scrubber import scrubber
from tests.components.traces import DIGITS, make_map, make_points, make_trace

st.set_page_config(layout="wide")
ask = st.query_params
kind, tick = ask.get("kind", "text"), float(ask.get("tick", 0))
capacity = float(ask["capacity"]) if "capacity" in ask else None


def routing(moment: int) -> None:
    trace = make_trace(
        kind,
        n_tokens=int(ask.get("tokens", 256)),
        n_experts=int(ask.get("experts", 8)),
        k=int(ask.get("k", 2)),
        capacity_factor=capacity,
        moment=moment,
        skew=float(ask.get("skew", 1)),
    )
    images = np.array(DIGITS)[: trace.sequence.max() + 1] if kind == "image" else None
    points = make_points(trace.n_tokens) if kind == "point" else None
    result = routing_view(
        [trace], layer=0, key="hero", images=images, points=points, recorded="recorded" in ask, filling="filling" in ask
    )
    st.write("selected", result.selected)
    if "table" in ask:
        st.dataframe(routing_table(trace))


VIEWS = {
    "routing": routing,
    "gate_map": lambda moment: gate_map_view(make_map(moment), key="map", summary="two halves"),
    "scrubber": lambda moment: scrubber([0, 5, 10, 20], 10, key="track", span=(0, 20)),
    "pictures": lambda moment: picture_list({"seed": 0, "stamp": "step {step}"}, "demo", key="pictures"),
}


@st.fragment(run_every=tick or None)
def live() -> None:
    moment = int(time.monotonic() / tick) if tick else int(ask.get("moment", 3))
    VIEWS[ask.get("view", "routing")](moment)


live()
if "tall" in ask:
    for line in range(60):
        st.write(f"line {line}")

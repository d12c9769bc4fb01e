"""The Gate map page's run without a browser: its link, what painting does to it, and what is refused."""

from types import SimpleNamespace

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from moe_viz.engine.protocol import Update
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import RunConfig
from moe_viz.spec.points import encode_points
from moe_viz.ui.gate_map import page as gate_map
from moe_viz.ui.gate_map.page import KEY, PlaneRun

POINTS = encode_points([(10, 20, 1), (200, 30, 2)])
SCRIPT = """
from moe_viz.ui.gate_map.page import plane_run, draw_sidebar
draw_sidebar(plane_run())
"""


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(gate_map.st, "rerun", lambda: None)
    return PlaneRun(config=RunConfig(task="plane"))


def paint(points, stamp):
    st.session_state[KEY] = {"painted": {"points": points, "stamp": stamp}}


def test_a_stroke_is_taken_once_and_becomes_the_knob(run):
    run.take_painting()
    paint(POINTS, 1.0)
    run.take_painting()
    assert run.config.task.points == POINTS and not run.notices
    run.turn(points="")
    run.take_painting()
    assert run.config.task.points == ""
    paint(POINTS, 2.0)
    run.take_painting()
    assert run.config.task.points == POINTS


@pytest.mark.parametrize("bad", ["AAA", "AAAE", "x" * 2000, "<b>x", 7])
def test_what_is_not_points_is_refused_once_in_one_line(run, bad):
    paint(bad, 1.0)
    run.take_painting()
    run.take_painting()
    assert run.config.task.points == "" and len(run.notices) == 1 and "\n" not in str(run.notices[0])


def test_the_rail_has_the_few_controls_and_a_shape_replaces_painted_points():
    at = AppTest.from_string(SCRIPT, default_timeout=20)
    at.session_state[gate_map.STATE] = PlaneRun(config=RunConfig(task={"name": "plane", "points": POINTS}))
    at.run()
    assert not at.exception
    assert [box.key for box in at.selectbox] == ["shape", "router", "lift"]
    at.selectbox(key="shape").set_value("rings").run()
    options = at.session_state[gate_map.STATE].config.task
    assert (options.shape, options.points) == ("rings", "")


def test_a_link_opens_this_page_with_its_knobs():
    at = AppTest.from_string(SCRIPT, default_timeout=20)
    at.query_params.update(
        {"task": "plane", "shape": "waves", "points": POINTS, "n_experts": "3", "balance_coef": "no"}
    )
    at.run()
    found = at.session_state[gate_map.STATE]
    assert (found.config.task.shape, found.config.task.points, found.config.n_experts) == ("waves", POINTS, 3)
    assert [problem.word for problem in found.problems] == ["balance_coef"]


def test_map_and_picture_are_of_one_step_though_the_run_goes_on_between_two_questions(monkeypatch):
    class Engine:
        """Steps go on for so many questions."""

        def __init__(self, lively):
            self.step, self.lively, self.asked = 1, lively, 0

        def _go_on(self):
            self.asked += 1
            self.step += self.asked <= self.lively
            return self.step

        def read(self, _run_id, _seen=None):
            moment = Snapshot(self._go_on(), RunConfig(task="plane").flat(), {}, [])
            return Update(moment, pd.DataFrame(), True, 0, [f"look {self.asked}"])

        def gate_map(self, _run_id, _layer, _resolution):
            return SimpleNamespace(step=self._go_on())

    run = PlaneRun(RunConfig(task="plane"), run_id="r")
    for lively in (0, 2, 3, 4):
        engine = Engine(lively)
        update = run.read(engine)
        assert update.snapshot.step == run.map.step
        assert len(update.notices) == engine.asked / 2, "what was said on the way is not lost"
    fast = Engine(100)
    run.read(fast)
    assert fast.asked == 2 * gate_map.TRIES, "and no page asks for ever"

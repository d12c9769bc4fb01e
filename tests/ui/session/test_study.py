"""When the page Experts looks at its run by itself."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.ui.session import watched
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.study import STATE, YOUNG, Study


@pytest.fixture
def looks(monkeypatch):
    """The steps at which the engine was asked to analyse; `looks.now` is the run's."""
    looks = SimpleNamespace(at=[], now=1)

    def analyse(run):
        looks.at.append(looks.now)
        return SimpleNamespace(step=looks.now)

    monkeypatch.setattr(watched, "engine", lambda: SimpleNamespace(analyse=analyse))
    return looks


def until(step, seen, looks):
    run = SessionRun(config=None, run_id="x" * 22)
    for now in range(looks.now, step + 1):
        looks.now = now
        seen.watch(run, now)


def test_a_young_run_is_looked_at_again_when_it_has_doubled_its_steps(looks):
    until(5000, Study(), looks)
    assert looks.at == [1, 10, 20, 40, 80, 160, 320] and looks.at[-2] < YOUNG <= looks.at[-1]


@pytest.mark.parametrize("resting", [{"frozen_router": True}, {"ablations": {("learned", 0): object()}}])
def test_not_while_something_rests_on_the_present_look(looks, resting):
    seen = Study()
    until(1, seen, looks)
    for word, value in resting.items():
        setattr(seen, word, value)
    until(5000, seen, looks)
    assert looks.at == [1]


def test_a_refusal_is_not_asked_again(looks):
    until(50, Study(refusal="no"), looks)
    assert looks.at == []


CONTROLS = """
import streamlit as st
from moe_viz.spec import RunConfig
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets.specialisation import controls
from moe_viz.ui.session.study import session_study

if st.toggle("Another view", key="away"):
    st.stop()
controls(SessionRun(config=RunConfig()), session_study())
"""


def test_the_two_controls_are_never_told_to_the_browser_again_and_outlive_a_look_elsewhere():
    page = AppTest.from_string(CONTROLS).run()
    page.toggle(key="frozen_router").set_value(True).run().run()
    for away in (False, True, False):
        page.toggle(key="away").set_value(away).run()
    assert page.toggle(key="frozen_router").value is True and page.toggle(key="shuffled_labels").value is False
    told = [page.toggle(key=word).proto for word in ("frozen_router", "shuffled_labels")]
    assert [(control.default, control.set_value) for control in told] == [(True, False), (False, False)]
    page.toggle(key="frozen_router").set_value(False).run()
    assert page.session_state[STATE][1].frozen_router is False

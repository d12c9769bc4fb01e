"""The head of the lab says nothing that its buttons contradict."""

from dataclasses import replace

from streamlit.testing.v1 import AppTest

from moe_viz.ui.session.recorded import recorded


def page():
    import streamlit as st

    from moe_viz.spec import RunConfig
    from moe_viz.ui.lab.page import _head
    from moe_viz.ui.session.run import SessionRun

    _head(SessionRun(RunConfig(task="domains"), run_id="r"), st.session_state["shown"], True, True)


def captions(playing):
    at = AppTest.from_function(page)
    at.session_state["shown"] = replace(recorded(), playing=playing, steps_per_second=1.2)
    at.run()
    assert not at.exception
    return [caption.value for caption in at.caption]


def test_a_paused_run_has_no_speed():
    assert any("1.2 steps/s" in text for text in captions(True)) and "paused" not in captions(True)
    assert not any("steps/s" in text for text in captions(False)) and "paused" in captions(False)

"""Controls follow the declarations: every word has one, and it offers what the declaration allows."""

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.ui.widgets.sidebar import FIRST

SCRIPT = """
import streamlit as st
from moe_viz.spec import RunConfig, change
from moe_viz.ui.widgets.knobs import control

if "config" not in st.session_state:
    st.session_state.config = RunConfig.from_flat({flat!r})
def turn(word):
    st.session_state.config = change(st.session_state.config, **{{word: st.session_state[word]}})
for word in st.session_state.config.fields():
    control(word, st.session_state.config, turn)
"""


def app(**flat):
    return AppTest.from_string(SCRIPT.format(flat=flat), default_timeout=20).run()


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_every_word_of_every_router_has_a_control_that_shows_the_config(router):
    at = app(router=router, task="domains")
    assert not at.exception
    config = at.session_state.config
    for word, value in config.flat().items():
        assert at.session_state[word] == value, word


def test_turning_a_control_turns_the_knob_and_keeps_the_rest():
    at = app(router="topk", k=2)
    at.select_slider(key="k").set_value(4).run()
    assert at.session_state.config.router.k == 4
    at.select_slider(key="capacity_factor").set_value(1.25).run()
    assert at.session_state.config.router.capacity_factor == 1.25 and at.session_state.config.router.k == 4


def test_k_cannot_pass_the_number_of_experts():
    at = app(router="topk", k=2, n_experts=4)
    assert at.select_slider(key="k").options == ["1", "2", "3", "4"]


def test_switching_the_gate_carries_what_fits():
    at = app(router="topk", k=2, capacity_factor=1.25)
    at.selectbox(key="router").set_value("switch").run()
    assert at.session_state.config.router.k == 1 and at.session_state.config.router.capacity_factor == 1.25
    assert not at.exception


def test_a_value_between_the_stops_is_offered_too():
    at = app(router="topk", lr=0.0025)
    assert at.select_slider(key="lr").value == 0.0025


def test_the_seven_first_controls_are_declared_basic():
    fields = RunConfig().fields()
    assert [word for word in FIRST if fields[word].json_schema_extra["level"] != "basic"] == []


def test_below_the_gate_stands_who_chooses_and_what_was_published():
    (said,) = [caption.value for caption in app(router="switch").caption if "As published" in caption.value]
    assert said.startswith("**Each token chooses its experts.** As published (2021): One expert per token")

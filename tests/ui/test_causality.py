"""Where a setting is not causal, the lab says why, in one sentence and in the reader's language; elsewhere it says nothing."""

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.spec import RunConfig, causality_of
from moe_viz.spec.causality import ORDER
from moe_viz.ui.i18n import catalogue
from moe_viz.ui.words import about

SETTINGS = {
    "dropless": ({"name": "topk", "k": 2}, ""),
    "buffers": ({"name": "topk", "k": 2, "capacity_factor": 1.0}, "not causal with these buffers"),
    "room for all": ({"name": "topk", "k": 2, "capacity_factor": 4.0}, ""),
    "gate": ({"name": "expert_choice"}, "looks at future tokens: not usable for writing text"),
}
SCRIPT = """
import streamlit as st
from moe_viz.spec import RunConfig
from moe_viz.ui.lab.own_text import own_text
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.widgets.knobs import control
config = RunConfig(task=st.session_state["text_or_points"], router=st.session_state["gate_of_test"])
control("router", config, lambda word: None)
own_text(SessionRun(config), 0)
"""


def drawn(task: str, router: dict) -> AppTest:
    at = AppTest.from_string(SCRIPT, default_timeout=30)
    at.session_state["text_or_points"], at.session_state["gate_of_test"] = task, router
    at.run()
    assert not at.exception
    return at


@pytest.mark.parametrize("setting", SETTINGS)
def test_knob_and_own_text_say_why_a_setting_is_not_causal(setting):
    router, _ = SETTINGS[setting]
    reason = causality_of(RunConfig(task="domains", router=router)).reason
    at = drawn("domains", router)
    said = [caption.value for caption in at.caption if "Not causal" in caption.value]
    assert len(said) == (2 if reason else 0) and all(reason in text for text in said)
    barred = "do not exist yet while writing" in (at.button(key="continue_text").help or "")
    assert barred == (setting == "gate")


def test_a_task_without_text_has_no_future_to_look_at():
    assert not [caption for caption in drawn("clusters", SETTINGS["gate"][0]).caption if "ausal" in caption.value]


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_line_beside_a_picture_tells_a_gate_that_looks_ahead_from_buffers_that_do(setting):
    router, words = SETTINGS[setting]
    told = about(RunConfig(task="domains", router=router).flat(), str)
    assert told.endswith(f" · {words}") if words else "causal" not in told and "future" not in told


def test_every_reason_has_a_russian_sentence():
    russian = catalogue("ru").gettext
    for router in ({"name": name} for name in ("expert_choice", "soft", "base", "sinkhorn")):
        reason = causality_of(RunConfig(task="digits", router=router)).reason
        assert reason and russian(reason) != reason
    assert russian(ORDER) != ORDER

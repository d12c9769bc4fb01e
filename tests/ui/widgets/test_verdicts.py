"""The sentence above a picture says of which steps its shares are: the picture is one batch, so the two numbers differ."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.records.narration import Story

SCRIPT = """
import streamlit as st
from moe_viz.ui.widgets.verdicts import sentence
sentence(st.session_state["story"], st.session_state["n_layers"])
"""


def shown(template, n_layers, **values):
    """The sentence as it reads: a word with a definition is a link."""
    at = AppTest.from_string(SCRIPT)
    at.session_state["story"] = Story("kind", template, values, "good", "why", 1)
    at.session_state["n_layers"] = n_layers
    at.run()
    assert not at.exception
    return re.sub(r"\[([^\]]+)\]\(#word-\w+\)", r"\1", at.markdown[0].value)


@pytest.mark.parametrize(
    ("n_layers", "begins"),
    [(2, "**Layer 2, last 10 steps.** "), (1, "**Last 10 steps.** ")],
)
def test_a_share_says_of_which_steps_it_is_the_mean(n_layers, begins):
    assert begins + "The busiest takes 19\u202f%" in shown("The busiest takes {share}", n_layers, share=0.19)


def test_a_sentence_without_a_share_says_its_layer_only():
    assert "**Layer 2.** Training begins" in shown("Training begins", 2)
    assert shown("Training begins", 1).endswith(" Training begins")


def test_no_line_ends_inside_a_number():
    said = shown("Step {step}: {times} its share, {share}, Top-k, 2 of 3", 1, share=0.19, times=2.14, step=1204)
    assert "Step 1204: 2.1\u202f× its share, 19\u202f%, Top-k, 2 of 3" in said


def test_the_words_of_the_sentence_have_their_definitions():
    at = AppTest.from_string(SCRIPT)
    at.session_state["story"] = Story("kind", "Experts collapse", {}, "good", "why", 1)
    at.session_state["n_layers"] = 1
    at.run()
    assert at.markdown[0].value.endswith("[Experts](#word-expert) [collapse](#word-collapse)")

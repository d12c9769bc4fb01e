"""Words of the field on a page: found in its texts, a link each, and nothing that somebody typed becomes more than text."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.components.glossary import LINK
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import LANGUAGES
from moe_viz.ui.widgets.glossary import mark


def test_the_first_place_of_each_word_is_a_link():
    assert mark("Expert 3 takes tokens; expert 4 takes tokens.") == (
        "[Expert](#word-expert) 3 takes [tokens](#word-token); expert 4 takes tokens."
    )


@pytest.mark.parametrize(
    "text", ["`gate`", "[gate](https://x.y)", "$k$", ":blue[gate]", ":material/token:", "<b gate>", r"\token"]
)
def test_what_is_no_plain_text_is_left_as_it_is(text):
    assert mark(text) == text


@pytest.mark.parametrize(
    "typed",
    [
        "[gate](javascript:alert(1))",
        "![token](http://evil.example/x.png)",
        "<img src=x onerror=alert(1)> gate",
        "gate](http://evil.example) [",
        "`gate` $token$ :red[expert]",
    ],
)
def test_what_somebody_typed_stays_escaped(typed):
    """Without our own links, what is left is the escaped text to the letter."""
    escaped = escape_markdown(typed)
    marked = mark(escaped)
    assert re.sub(rf"(?<!\\)\[([^\[\]\\]+)\]\({LINK}[a-z_]+\)", r"\1", marked) == escaped


def page():
    import streamlit as st

    from moe_viz.spec import RunConfig
    from moe_viz.ui.i18n import CHOSEN
    from moe_viz.ui.widgets.glossary import draw, words
    from moe_viz.ui.widgets.knobs import control

    st.session_state[CHOSEN] = st.session_state["wanted"]
    words("gate", "log_e", key="here")
    control("k", RunConfig(), lambda _word: None)
    draw()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_of_words_and_the_help_of_a_knob_speak_the_readers_language(language):
    at = AppTest.from_function(page)
    at.session_state["wanted"] = language
    at.run()
    assert not at.exception
    names = {"en": "gate", "ru": "гейт"}
    assert f"[{names[language]}](#word-gate) · [log E](#word-log_e)" in at.caption[0].value
    explained = {"en": "Top-k means that", "ru": "Top-k означает"}
    assert explained[language] in at.select_slider(key="k").help

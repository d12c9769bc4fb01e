"""Texts from links, files and keyboards where they are shown: as they are, never interpreted, in Markdown, tables, canvas and spreadsheets."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.components.pack import pack
from moe_viz.engine.protocol import EngineError
from moe_viz.records import table_files
from moe_viz.spec.sentence import Sentence
from moe_viz.ui.escape import LONGEST, UNSEEN, clean, escape_markdown
from moe_viz.ui.session.permalink import decode
from moe_viz.ui.widgets.messages import explain_link
from moe_viz.ui.words import in_words
from tests.components.traces import MARKUP, make_trace
from tests.security.hostile import NASTY

MARKDOWN = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
FORMULAS = [
    '=HYPERLINK("https://evil.example")',
    "=cmd|' /C calc'!A0",
    "@SUM(A1)",
    "+A1!B1",
    "-2+3+cmd|'x'!A0",
    "\t=f(1)",
    "'=f(1)",
    "''@f(1)",
]


@pytest.mark.parametrize("text", NASTY)
def test_markdown_shows_exactly_the_text(text):
    """Every sign that Markdown knows stands behind a backslash; web addresses are broken by a joiner of no width."""
    shown = escape_markdown(text)
    assert shown.replace("\u2060", "").replace("\\\\", "\x00").replace("\\", "").replace("\x00", "\\") == clean(text)
    bare = shown.replace("\u2060", "")
    places = [i for i, c in enumerate(bare) if c in MARKDOWN]
    escaped, skip = set(), -1
    for i in places:
        if i > skip and bare[i] == "\\":
            escaped.add(i + 1)
            skip = i + 1
    assert all(i in escaped or i + 1 in escaped for i in places)
    for address in ("https://", "http://", "www.", "->", "--"):
        assert address not in shown.replace("\\", "")


def test_nothing_unseen_and_nothing_endless_is_shown():
    everything = "".join(map(chr, range(0x3000))) + "\U000e0041\ud800" + "x" * 10_000
    for start in range(0, 0x3000, 150):
        shown = clean(everything[start : start + 150])
        assert not [c for c in shown if unicodedata.category(c) in UNSEEN] and "\n" not in shown
    assert len(clean(everything)) == LONGEST + 1 and clean("\u202etxt.exe\u200b") == "\ufffdtxt.exe\ufffd"


@pytest.mark.parametrize("text", [*NASTY, "{", "}", "{x!r:>9999999}", "{0}", "{values}"])
def test_braces_and_markup_in_what_the_engine_repeats_are_harmless(text):
    refused = EngineError(f"lr = {text!r}: Input should be a valid number")
    assert in_words(refused) == escape_markdown(str(refused), 500)
    assert escape_markdown(text) in in_words(Sentence("This file cannot be imported ({why}).", why=text))
    assert escape_markdown(text) in in_words(EngineError("The value {value} is bad.", value=text))
    assert in_words("The training process has been stopped.") == "The training process has been stopped."


def test_a_hostile_link_is_explained_as_plain_text():
    _, problems = decode({"k": NASTY[0], NASTY[1]: NASTY[2], "lr": "\u202e" + "9" * 5000, "{run}": "{0}"})
    script = "import streamlit as st\nfrom moe_viz.ui.widgets.messages import explain_link\nexplain_link(st.session_state['run'])"
    app = AppTest.from_string(script)
    app.session_state["run"] = type("Run", (), {"problems": problems, "shared": False})()
    app.run()
    assert explain_link and not app.exception and len(app.text) == 4  # st.text interprets nothing
    assert all(len(text.value) < 500 and "\u202e" not in text.value for text in app.text)
    assert not any(word in element.value for element in app.markdown for word in ("script", "evil", "onerror"))


def test_tokens_reach_the_canvas_as_data_and_are_drawn_as_text():
    trace = replace(make_trace(n_tokens=len(MARKUP)), tokens=np.array(MARKUP), group=np.array(MARKUP))
    payload = json.loads(json.dumps(pack(trace)))
    assert (
        payload["tokens"] == payload["groups"] == [text.rstrip("\x00") for text in MARKUP]
    )  # JSON; that views never make markup of it: test_source.py


def test_no_cell_of_a_csv_is_a_formula():
    table = pd.DataFrame(
        {"tokens": [*FORMULAS, "=", "+", "-0.5", "==", "->", "a(b)", None], "n": range(len(FORMULAS) + 7)}
    )
    data = table_files.to_csv(table, table_files.about("routing", {"seed": 0}))
    cells = pd.read_csv(pd.io.common.BytesIO(data), comment="#")["tokens"]
    assert all(cell.startswith("'") for cell in cells[: len(FORMULAS)])
    assert list(cells[len(FORMULAS) : -1]) == [
        "=",
        "+",
        "-0.5",
        "==",
        "->",
        "a(b)",
    ]  # what tokens look like stays as it is
    back, _ = table_files.read_csv(data)
    assert list(back["tokens"][:-1]) == list(table["tokens"][:-1])

"""A run's script on the page "My runs": a readable list, two files, and one that is opened plays with progress and can be cancelled."""

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.records.script_file import read_script, write_script
from moe_viz.ui.my_runs import page as my_runs
from moe_viz.ui.widgets import script as script_widgets
from tests.training.conftest import small
from tests.ui.my_runs.test_page import RUNS, engine, known_to, page  # noqa: F401  the fixture

DONE = """
import streamlit as st
from moe_viz.ui.widgets.script import done_table
st.dataframe(done_table(st.session_state["shown"]))
"""


@pytest.fixture
def run(engine):  # noqa: F811
    run = engine.open(small("clusters", router="topk"), playing=False)
    engine.step_once(run)
    engine.set(run, balance_coef=0.3, speed=0)
    engine.step_once(run)
    engine.set(run, router="deepseek_v3")
    engine.reset(run)
    engine.step_once(run)
    return run


def test_the_list_says_step_what_from_and_to_in_words(engine, run):  # noqa: F811
    at = AppTest.from_string(DONE, default_timeout=60)
    at.session_state["shown"] = engine.script(run)
    at.run()
    rows = at.dataframe[0].value.astype(str).values.tolist()
    assert ["1", "1", "Balance", "0.1", "0.3"] in rows and ["1", "1", "Speed", "full", "by step"] in rows
    assert ["1", "0", "One step by hand", "", ""] in rows and ["1", "2", "Reset", "", ""] in rows
    (switch,) = (row for row in rows if row[2] == "Gate type")
    assert switch[:2] == ["1", "2"] and "DeepSeek" in switch[4]


def test_both_files_are_made_when_they_are_asked_for(engine, run, monkeypatch):  # noqa: F811
    monkeypatch.setattr(script_widgets, "engine", lambda: engine)
    script = script_widgets._script(run)
    assert read_script(write_script(script)) == script and len(script.figures.rows) == 3


def test_a_script_that_plays_shows_how_far_it_is_and_then_offers_to_go_on(engine, run):  # noqa: F811
    text = write_script(engine.script(run))
    at = page(RUNS, known={})
    at.get("file_uploader")[0].upload("run.script.json", text[:-9].encode(), "application/json").run()
    assert "cannot be opened: line" in at.error[0].value and not known_to(at) and len(engine._runs) == 1
    at.get("file_uploader")[0].upload("run.script.json", text.encode(), "application/json").run()
    (opened,) = known_to(at)
    assert not at.exception and at.button(key="cancel_script").label == "Cancel"
    while engine._runs[opened].replay is not None:
        engine._step(engine._runs[opened])
    at.run()
    assert any("the same run, bit for bit" in message.value for message in at.success)
    at.run()
    assert at.button(key="go_on_live")


def test_cancelling_takes_the_run_away(engine, run):  # noqa: F811
    opened = engine.open_script(write_script(engine.script(run)).encode())
    at = page(RUNS, known={opened: True, run: True})
    at.session_state[my_runs.PLAYED] = opened
    at.run()
    at.button(key="cancel_script").click().run()
    assert opened not in engine._runs and list(known_to(at)) == [run]
    assert at.session_state[my_runs.PLAYED] is None

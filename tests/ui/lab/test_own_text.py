"""The reader's own text: over-long is said, not ignored; an example to begin with; what was typed outlives another tab."""

from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from moe_viz.spec import RunConfig
    from moe_viz.ui.lab.own_text import own_text
    from moe_viz.ui.session.run import SessionRun

    if st.session_state.get("tab", "yours") == "yours":
        own_text(SessionRun(RunConfig(task="domains")), 0)


def test_it_opens_with_an_example_and_no_complaint():
    at = AppTest.from_function(page).run()
    assert len(at.text_area(key="own_text").value) > 10
    assert not at.error and all("empty" not in info.value for info in at.info)


def test_an_over_long_text_is_taken_and_what_is_left_out_is_said():
    at = AppTest.from_function(page).run()
    assert at.text_area(key="own_text").proto.max_chars == 0, (
        "a field with a limit ignores a longer paste without a word"
    )
    at.text_area(key="own_text").set_value("x" * 523).run()
    said = " ".join(caption.value for caption in at.caption)
    assert "400" in said and "123" in said
    assert "400" in at.text_area(key="own_text").label, "what is allowed is said beforehand"


def test_the_text_is_still_there_after_another_tab():
    at = AppTest.from_function(page).run()
    at.text_area(key="own_text").set_value("my sentence").run()
    for tab in ("data", "yours"):
        at.session_state["tab"] = tab
        at.run()
    assert at.text_area(key="own_text").value == "my sentence"

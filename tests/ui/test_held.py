"""A widget that shows a value kept elsewhere is set where that value is new, and left to the reader otherwise."""

from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from moe_viz.ui.held import hold

kept = st.session_state.setdefault("kept", {"on": True, "n": 2, "options": [1, 2, 3]})
hold("on", kept["on"])
st.toggle("on", key="on", on_change=lambda: kept.update(on=st.session_state["on"]))
hold("n", kept["n"], kept["options"])
st.select_slider("n", kept["options"], key="n", on_change=lambda: kept.update(n=st.session_state["n"]))
st.button("again", key="again")
"""


def opened():
    return AppTest.from_string(SCRIPT).run()


def is_set(test):
    return test.toggle(key="on").proto.set_value, test.select_slider(key="n").proto.set_value


def test_it_is_set_when_it_first_stands_there_and_not_again():
    test = opened()
    assert is_set(test) == (True, True)
    test.button(key="again").click().run()
    assert is_set(test) == (False, False)
    assert test.toggle(key="on").value is True and test.select_slider(key="n").value == 2


def test_what_the_reader_chooses_is_not_told_back():
    test = opened()
    test.toggle(key="on").set_value(False).run()
    assert is_set(test) == (False, False)
    assert test.session_state["kept"]["on"] is False and test.toggle(key="on").value is False


def test_what_the_page_changes_is_set_once():
    test = opened()
    test.session_state["kept"]["on"], test.session_state["kept"]["n"] = False, 3
    test.run()
    assert is_set(test) == (True, True)
    assert test.toggle(key="on").value is False and test.select_slider(key="n").value == 3
    test.run()
    assert is_set(test) == (False, False)


def test_other_options_set_it_anew_though_its_value_is_the_same():
    test = opened()
    test.session_state["kept"]["options"] = [0, 1, 2]
    test.run()
    assert is_set(test) == (False, True)
    assert test.select_slider(key="n").value == 2


def test_a_refused_choice_goes_back():
    test = AppTest.from_string(SCRIPT.replace("kept.update(on=st", "print(st")).run()
    test.toggle(key="on").set_value(False).run()
    assert test.toggle(key="on").value is True and test.toggle(key="on").proto.set_value

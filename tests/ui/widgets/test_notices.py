"""Notices stand on a line of their own for a while, are not repeated, and leave their room behind."""

from streamlit.testing.v1 import AppTest

from moe_viz.spec import RunConfig, change
from moe_viz.spec.points import encode_points
from moe_viz.spec.sentence import Knobs, Sentence
from moe_viz.training.messages import restarted
from moe_viz.ui.widgets.notices import MOST, SECONDS, Notices


def test_a_notice_stands_for_a_while_and_goes_away():
    now = [0.0]
    notices = Notices(clock=lambda: now[0])
    notices.say("one")
    now[0] = SECONDS - 1
    notices.say("two")
    assert notices.standing() == ["one", "two"]
    now[0] = SECONDS
    assert notices.standing() == ["two"]
    now[0] = 2 * SECONDS
    assert notices.standing() == []


def test_the_same_notice_is_renewed_and_many_make_room():
    notices = Notices(clock=lambda: 0.0)
    for text in ("one", "two", "one"):
        notices.say(text)
    assert notices.standing() == ["two", "one"]
    for number in range(5):
        notices.say(str(number))
    assert len(notices.standing()) == MOST and notices.standing()[-1] == "4"


def page():
    import streamlit as st

    from moe_viz.ui.widgets import notices

    for notice in st.session_state.pop("told", []):
        notices.say(notice)
    notices.line()


def test_the_line_keeps_its_room_and_nothing_covers_the_page():
    at = AppTest.from_function(page).run()
    assert len(at.caption) == 1, "its room is there before anything is said"
    at.session_state["told"] = [
        Sentence("Switched {old} to {new}.", old=Knobs([("Top-k",)]), new=Knobs([("[x](http://y)",)]))
    ]
    at.run()
    assert len(at.caption) == 1 and not at.toast and at.caption[0].value.startswith("Switched Top-k to ")


def test_a_change_is_told_in_words_and_never_as_a_code():
    plane = RunConfig(task="plane")
    code = encode_points([(10, 20, 1)] * 20)
    said = str(restarted({"points"}, plane, change(plane, points=code)))
    assert "Painted points" in said and "–" not in said and code[:5] not in said
    said = str(restarted({"shape"}, plane, change(plane, shape="rings")))
    assert "spiral → rings" in said
    said = str(restarted({"router"}, plane, change(plane, router="expert_choice")))
    assert "expert_choice" not in said and "Expert choice" in said

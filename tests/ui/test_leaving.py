"""Who is let through after a click on another page."""

from streamlit.proto.ClientState_pb2 import ClientState

from moe_viz.ui.leaving import Whereabouts


def asked(page, fragment=""):
    return ClientState(page_script_hash=page, fragment_id=fragment)


def walk(*requests):
    here = Whereabouts()
    return [here.accepts(request) for request in requests]


def test_a_tick_of_the_page_just_left_is_dropped_and_one_of_the_new_page_is_not():
    assert walk(asked(""), asked("lab", "f"), asked("gates"), asked("lab", "f"), asked("gates", "g")) == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_going_back_at_once_lets_the_first_page_tick_again():
    assert walk(asked("lab", "f"), asked("gates"), asked("lab"), asked("gates", "g"), asked("lab", "f")) == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_a_page_opened_again_without_knowing_its_hash_is_never_shut_out():
    assert all(walk(asked("lab", "f"), asked(""), asked("lab", "f"), None, asked("lab", "f")))
    assert all(walk(asked("lab"), asked("gates"), asked(""), asked("lab", "f")))


def test_a_page_that_the_server_switched_to_may_tick():
    assert all(walk(asked("lab"), asked("lab", "f"), asked("gates", "g"), asked("gates", "g")))

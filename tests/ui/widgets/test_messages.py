"""What a page says of its run moves nothing else on the page into another place."""

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.engine.protocol import Full, RunRefused

SCRIPT = """
import streamlit as st
from moe_viz.ui.widgets.messages import tell
tell(st.session_state["told_run"])
st.markdown("below")
"""


class Run:
    """A run with nothing to say, apart from `trouble`."""

    changed, lost, waiting, refused = False, False, None, None

    def __init__(self, **trouble):
        self.notices = []
        vars(self).update(trouble)

    def resume(self):
        """Nothing to bring back."""


def shown(**trouble):
    at = AppTest.from_string(SCRIPT)
    at.session_state["told_run"] = Run(**trouble)
    at.run()
    assert not at.exception
    places = [index for index, child in at.main.children.items() if getattr(child, "value", None) == "below"]
    return at, places


@pytest.mark.parametrize(
    "trouble",
    [{"lost": True}, {"waiting": Full("The server is full.", position=2)}, {"refused": RunRefused("too much")}],
)
def test_the_page_below_keeps_its_place_whatever_is_told(trouble):
    _at, calm = shown()
    at, places = shown(**trouble)
    assert at.warning or at.info or at.error
    assert places == calm

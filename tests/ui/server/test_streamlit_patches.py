"""No click is lost whatever runs at that moment, patching twice adds nothing, and only messages that a page of ours sends are handled."""

import asyncio
import importlib
import random
import re
import sys
import threading
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest, BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime import caching
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state.safe_session_state import SafeSessionState

from moe_viz.ui import server as ui_server
from moe_viz.ui.server import gc_timer, streamlit_patches
from moe_viz.ui.server.streamlit_patches import guard
from moe_viz.ui.server.streamlit_patches.guard import MESSAGES, OPERATIONS, is_wanted
from tests.browser.lab import server
from tests.test_house import ROOT, imports
from tests.websocket import Reader


def test_every_press_and_turn_counts_once_while_the_page_ticks():
    """A request without any press follows most of them at once, as a view's own message may, and stops the run that was to hear the press."""
    wrong, tracebacks = asyncio.run(clicks(rounds=60))
    assert wrong == [] and tracebacks == []


def test_a_tick_that_is_behind_does_not_turn_back_what_the_script_has_set():
    """The reader's last word of its knob is 7, and each tick repeats it. Nor does a press of a part that is gone come late."""

    async def seen():
        with server("tests/ui/server/patches_app.py", {"GUARDED": "1"}) as (address, _process):
            reader = await Reader(address, period=0.02).open()
            await reader.until(lambda page: page.text("counts") == "0 0 0")
            await reader.set("knob", 7)
            await reader.until(lambda page: page.text("counts") == "0 1 7")
            await reader.press("set")
            await reader.until(lambda page: page.text("counts") == "0 1 50", 3)
            ticks = reader.finished
            await reader.until(lambda page: page.finished > ticks + 20)
            await reader.set("knob", 8)
            await reader.until(lambda page: page.text("counts") == "0 2 8", 3)
            await reader.press("press")
            await reader.until(lambda page: page.text("counts") == "1 2 8", 3)
            pressed = WidgetState(id=reader.widget("press").message.delta.new_element.button.id, trigger_value=True)
            await reader.rerun(fragment="gone", triggers=(pressed,))
            for knob in range(9, 29):  # some of these stop a tick, and take along what that has not heard
                await asyncio.sleep(knob % 5 * 0.013)
                await reader.set("knob", knob)
                await reader.until(lambda page, said=f"1 {knob - 6} {knob}": page.text("counts") == said, 3)
            await reader.close()

    asyncio.run(seen())


async def clicks(rounds: int, guarded: bool = True):
    """What did not count (widget, counts expected, counts seen) in so many rounds of a press and a turned knob; and tracebacks shown."""
    chance = random.Random(0)
    with server("tests/ui/server/patches_app.py", {"GUARDED": str(int(guarded))}) as (address, _process):
        reader = await Reader(address, period=0.02).open()
        await reader.until(lambda page: page.text("counts") == "0 0 0")
        for knob in range(1, rounds + 1):
            for key, value, counts in (("press", True, (knob, knob - 1, knob - 1)), ("knob", knob, (knob, knob, knob))):
                said = " ".join(map(str, counts))
                await asyncio.sleep(chance.random() * 0.05)
                await reader.set(key, value)
                if chance.random() < 0.7:
                    await asyncio.sleep(chance.choice((0, 0, 0.001, 0.003)))
                    await reader.rerun()
                try:
                    await reader.until(lambda page, said=said: page.text("counts") == said, 3)
                except TimeoutError:
                    return [(key, said, reader.text("counts"))], reader.errors
        await reader.close()
    return [], []


def test_guarding_twice_adds_no_layer(monkeypatch):
    names = [(AppSession, "handle_backmsg"), (AppSession, "request_rerun"), (AppSession, "_create_scriptrunner")]
    names += [(SafeSessionState, f"{name}") for name in ("__init__", "on_script_will_rerun", "on_script_finished")]
    guard()
    once = [getattr(owner, name) for owner, name in names]
    assert all(hasattr(method, "__wrapped__") and not hasattr(method.__wrapped__, "__wrapped__") for method in once)
    guard()
    caching.cache_resource.clear()  # what Streamlit does for whoever asks it to
    guard()
    monkeypatch.setattr(ui_server, "streamlit_patches", streamlit_patches)  # importing anew sets it: it is put back
    for name in [name for name in sys.modules if name.startswith(streamlit_patches.__name__)]:
        monkeypatch.delitem(sys.modules, name)
    importlib.import_module(streamlit_patches.__name__).guard()
    assert [getattr(owner, name) for owner, name in names] == once


def test_the_garbage_timer_is_started_once():
    first = gc_timer.start()
    caching.cache_resource.clear()
    assert gc_timer.start() is first
    assert [thread.name for thread in threading.enumerate()].count(first.name) == 1


class Session:
    """Stands in for Streamlit's: which of its parts a message has reached."""

    def __init__(self):
        self.reached = []

    def __getattr__(self, name):
        return lambda *_args, **_more: self.reached.append(name)


def message(kind, operation=None):
    found = BackMsg()
    field = BackMsg.DESCRIPTOR.fields_by_name[kind]
    if operation:
        getattr(found.backend_operation_request, operation).SetInParent()
    elif field.message_type:
        getattr(found, kind).SetInParent()
    else:
        setattr(found, kind, True)
    return found


KINDS = [field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields]
OF_OPERATIONS = BackendOperationRequest.DESCRIPTOR.oneofs_by_name["payload"].fields


@pytest.mark.parametrize("kind", KINDS)
def test_only_messages_that_a_page_of_ours_sends_are_handled(kind):
    """Whatever kinds this Streamlit knows. Among the others are emptying everybody's caches, running git, and watching files."""
    guard()
    session = Session()
    AppSession.handle_backmsg(session, message(kind))
    assert bool(session.reached) == (kind in MESSAGES)
    assert {"clear_cache", "load_git_info", "set_run_on_save"} <= {*KINDS} - MESSAGES


@pytest.mark.parametrize("operation", [field.name for field in OF_OPERATIONS])
def test_no_operation_that_writes_files_is_handled(operation):
    asked = message("backend_operation_request", operation)
    assert is_wanted(asked) == (operation in OPERATIONS)
    assert operation not in OPERATIONS or operation in ("deferred_file", "dataframe_chunk")


def test_private_parts_of_streamlit_stand_in_one_package():
    ours = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "moe_viz").rglob("*.py")]
    for path in ours:
        # st.components.v2.component is public, and has its types under its own name alone
        public = ("streamlit.components.v2", "streamlit.components.v2.component")
        inner = [name for name in imports(path) if name.startswith("streamlit.") and name not in public]
        reached = re.findall(r"\bst\.(?:runtime|web|proto|_[a-z]\w*)\b", path.read_text(encoding="utf-8"))
        assert path.parent == Path(streamlit_patches.__file__).parent or not (inner or reached), (path, inner, reached)

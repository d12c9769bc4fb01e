"""What only Streamlit knows of its server and of the page run in progress."""

from __future__ import annotations

from streamlit import config, runtime
from streamlit.net_util import get_internal_ip
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState
from streamlit.runtime.stats import GaugeStat
from streamlit.web.server.server_util import get_url


def addresses() -> list[str]:
    """Where this server can be opened: from this machine, then (where it listens to others) from the network. Asks nobody."""
    listens = config.get_option("server.address")
    named = config.get_option("browser.serverAddress") if config.is_manually_set("browser.serverAddress") else None
    if named or listens not in (None, "", "0.0.0.0", "::"):
        return [get_url(named or listens)]
    return list(dict.fromkeys(map(get_url, ("localhost", get_internal_ip() or "localhost"))))


def open_pages() -> int | None:
    """Browser sessions connected now; None outside a server."""
    if not runtime.exists():
        return None
    families = runtime.get_instance().stats_mgr.get_stats(family_names=["active_sessions"])
    return sum(stat.value for stats in families.values() for stat in stats if isinstance(stat, GaugeStat))


def files_held(session: str) -> int:
    """Uploaded files that the server keeps for this session."""
    manager = runtime.get_instance().uploaded_file_mgr
    return len(manager.file_storage.get(session, ())) if isinstance(manager, MemoryUploadedFileManager) else 0


def session_id() -> str | None:
    """Of the page that is being drawn; None outside a server."""
    context = get_script_run_ctx()
    return context.session_id if context else None


def in_a_part() -> bool:
    """Whether a part of the page (a fragment) is being drawn by itself."""
    context = get_script_run_ctx()
    return bool(context and context.fragment_ids_this_run)


def went_through_history() -> bool:
    """Whether the page is being drawn because its reader went Back or Forward to its address."""
    context = get_script_run_ctx()
    return bool(context and context.is_history_navigation)


def set_timer(seconds: float) -> None:
    """Give the fragment that is being drawn another timer in the browser, as `st.fragment(run_every=...)` does, but without drawing the page anew."""
    message = ForwardMsg()
    message.auto_rerun.interval, message.auto_rerun.fragment_id = seconds, ThreadState.get().fragment_id or ""
    context = get_script_run_ctx()
    if context is not None and message.auto_rerun.fragment_id:
        context.enqueue(message)


def presses_heard() -> dict[str, int]:
    """How often the session whose page is being drawn has sent each of its buttons, by key; empty outside a server."""
    context = get_script_run_ctx()
    requests = getattr(context.session_state, "_moe_viz_requests", None) if context else None
    return dict(requests.heard) if requests else {}

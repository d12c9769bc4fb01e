"""The status page: the server and its training process in numbers, without a word about whose run is which. Reachable at /status."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from moe_viz.engine.client import engine, home
from moe_viz.engine.health import machine, versions, vitals
from moe_viz.engine.protocol import EngineError
from moe_viz.settings import settings
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _
from moe_viz.ui.server import theme
from moe_viz.ui.server.streamlit_patches import open_pages
from moe_viz.ui.widgets import refresh
from moe_viz.ui.widgets.tables import show_table

SECONDS = 2.0
STATES = {
    "ok": (":green[●]", N_("The training process answers.")),
    "starting": (":blue[●]", N_("The training process is starting.")),
    "lost": (":red[■]", N_("The training process has stopped. The next reader starts it again; runs are saved.")),
    "silent": (":orange[▲]", N_("The training process does not answer in time.")),
}
RUN_STATES = {
    "running": N_("trains"),
    "paused": N_("paused"),
    "unread": N_("unread, waits"),
    "failed": N_("failed"),
    "diverged": N_("diverged"),
}


def draw() -> None:
    """For whoever runs the server: who is here, what trains, how fast, and what is left of memory and disk."""
    theme.apply()
    live()


def live() -> None:
    """Draw the page and keep it ticking."""
    refresh.ticking(_tick, SECONDS)


def _tick() -> None:
    state, worker = ask()
    sign, text = STATES[state]
    with st.container(key="server_state"):
        st.markdown(f"{sign} {_(text)}")
    _figures(worker)
    left, right = st.columns(2, gap="large")
    with left:
        _processes(worker)
    with right:
        _machine(worker)
    if worker and worker["runs"]:
        _runs(worker["runs"])


def ask() -> tuple[str, dict[str, Any] | None]:
    """A word of `STATES`, and the engine's own account where it answers."""
    try:
        return ("ok", engine().status()) if engine().ready() else ("starting", None)
    except EngineError as error:
        return ("silent" if type(error) is EngineError else "lost"), None


def _figures(worker: dict[str, Any] | None) -> None:
    runs = list(worker["runs"].values()) if worker else []
    rates = [run["steps_per_second"] for run in runs if run["active"]]
    spread = (
        _("{low} to {high} per run").format(low=number(min(rates)), high=number(max(rates))) if len(rates) > 1 else None
    )
    waiting = worker.get("waiting") if worker else None
    with st.container(horizontal=True, key="figures"):
        _figure(_("Open pages"), number(open_pages(), 0))
        _figure(_("Runs that train"), number(worker["active"] if worker else None, 0))
        held = _("{n} of {most}").format(n=len(runs), most=worker["max_runs"]) if worker else None
        _figure(_("Runs in memory"), held)
        _figure(_("Waiting for a place"), number(waiting, 0))
        _figure(_("Steps per second"), number(worker["steps_per_second"] if worker else None), spread)


def _figure(label: str, value: str | None, below: str | None = None) -> None:
    with st.container(width=171, border=True, height="stretch", gap=None):
        st.caption(label)
        st.subheader(value or "–", anchor=False)
        if below:
            st.caption(below)


def _processes(worker: dict[str, Any] | None) -> None:
    web = vitals()
    rows = [(_("Web server"), web["rss_mb"], web["uptime_s"])]
    if worker and "workers" in worker:
        rows += [
            (_("Training on {host}").format(host=one["host"]), one["rss_mb"], one["uptime_s"])
            for one in worker["workers"]
        ]
    elif worker:
        rows += [(_("Training process"), worker["rss_mb"], worker["uptime_s"])]
        rows += [(_("Together"), web["rss_mb"] + worker["rss_mb"], None)]
    st.markdown(
        _table(
            (_("Process"), _("Memory"), _("Running for")),
            [(name, _("{n} MiB").format(n=number(rss, 0)), duration(up)) for name, rss, up in rows],
        )
    )
    found = worker["versions"] if worker else versions()
    known = [
        ("moe_viz", found["moe_viz"]),
        ("Python", found["python"]),
        ("torch", found["torch"]),
        ("Streamlit", st.__version__),
    ]
    st.caption(" · ".join(f"{name} {value}" for name, value in known if value))


def _machine(worker: dict[str, Any] | None) -> None:
    here = worker["machine"] if worker else machine(home())
    gpus = ", ".join(worker["accelerators"]) if worker else ""
    chosen = settings()
    free = _("{free} of {total} GB free")
    rows = [
        (_("Processor cores"), str(here["cores"])),
        (_("Load over a minute"), number(here["load"])),
        (_("GPU (memory free / in all)"), gpus or _("none")),
        (_("Memory"), free.format(free=_gb(here["memory_free"]), total=_gb(here["memory_total"]))),
        (_("Disk of the run store"), free.format(free=_gb(here["disk_free"]), total=_gb(here["disk_total"]))),
        (_("Profile"), chosen.profile),
        (_("Engine"), chosen.engine.partition("://")[0]),
    ]
    st.markdown(_table((_("Machine"), _("Value")), rows))


def _runs(runs: dict[str, dict[str, Any]]) -> None:
    """Every run in memory, the fastest first; ids stay out, they are the keys to the runs."""
    ordered = sorted(runs.values(), key=lambda run: -run["steps_per_second"])
    frame = pd.DataFrame(
        {
            _("Task"): [_(TASK_OPTIONS[run["task"]].title) for run in ordered],
            _("Gate"): [_(ROUTER_OPTIONS[run["router"]].facts.title) for run in ordered],
            _("State"): [_(RUN_STATES[state_of(run)]) for run in ordered],
            _("Step"): [run["step"] for run in ordered],
            _("Steps per second"): [run["steps_per_second"] for run in ordered],
            _("ms per step"): [number(run["ms_per_step"]) for run in ordered],
            _("Unread for, s"): [run["unread_s"] for run in ordered],
        }
    )
    forms = {frame.columns[-3]: ".1f", frame.columns[-1]: ".1f"}
    columns = {frame.columns[-2]: st.column_config.TextColumn(alignment="right")}  # a dash where nothing was measured
    show_table(frame, forms, column_config=columns, key="runs")


def state_of(run: dict[str, Any]) -> str:
    """A word of `RUN_STATES`."""
    if run["state"] in ("failed", "diverged"):
        return run["state"]
    return "running" if run["active"] else "unread" if run["playing"] else "paused"


def duration(seconds: float | None) -> str:
    """Days, hours and minutes of a time: "2 d 3 h", "4 h 5 min", "6 min", "20 s"."""
    if seconds is None:
        return ""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return _("{days} d {hours} h").format(days=days, hours=hours % 24)
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes % 60)
    return _("{minutes} min").format(minutes=minutes) if minutes else _("{seconds} s").format(seconds=int(seconds))


def number(value: float | None, digits: int = 1) -> str:
    """A number with a narrow space between thousands; a missing one is a dash, never 0."""
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def _gb(count: float) -> str:
    return number(count / 1e9)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""The page "My runs": the runs that this browser remembers, and one file in or out."""

from __future__ import annotations

import time

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import EngineError, KeptRun, WorkerLost
from moe_viz.settings import settings
from moe_viz.ui.i18n import _
from moe_viz.ui.my_runs.row import DONE, DOOMED, GO, ask_engine, confirm_deletion, forget, open_in_lab, row
from moe_viz.ui.server import theme
from moe_viz.ui.session.run_cookie import MOST, remembered
from moe_viz.ui.session.watched import lease
from moe_viz.ui.widgets import notices, refresh
from moe_viz.ui.widgets.buttons import action_button
from moe_viz.ui.words import in_words

SHOWN = 12
"""Runs in view before "Show all"."""
PLAYED, PLAYED_TO_END = "script_played", "script_at_its_end"
"""A run that is being made from a script, and the one that was made last."""
PLAY_SECONDS, WAIT_SECONDS, SECONDS = 0.5, 1.0, 5.0
LISTED, WAITS, HEARD = "my_runs_listed", "my_runs_wait", "script_heard"
"""When the list was drawn; whether it waits for the training process; when it was last heard how far the script is, and how far."""
ROUND, ALL = "import_round", "my_runs_all"


def draw() -> None:
    """My runs: what this browser has started or opened; each can be opened again, named, pinned, taken away as a file, or deleted."""
    theme.apply()
    notices.line()
    listing()
    importing()


def live(lists: bool) -> None:
    """What ticks here: how old the list is (if there is one: `lists`), and a script that is being played."""
    st.session_state[LISTED] = time.monotonic() if lists else None
    wish = WAIT_SECONDS if st.session_state.get(WAITS) else SECONDS
    refresh.ticking(_tick, PLAY_SECONDS if st.session_state.get(PLAYED) is not None else wish)


def _tick() -> None:
    refresh.begin_tick()
    if st.session_state.get(WAITS):
        if engine().ready():
            st.rerun()
    elif listed := st.session_state.get(LISTED):
        with st.container(horizontal=True, vertical_alignment="center", key="list_age"):
            st.caption(old(time.monotonic() - listed))
            action_button(_("List anew"), st.rerun, key="list_anew", icon=":material/refresh:")
    if st.session_state.get(PLAYED) is not None:  # else a look that was on its way when the reader cancelled
        _play(st.session_state[PLAYED])


def old(seconds: float) -> str:
    """How old the list is: it does not follow the runs."""
    if seconds < 60:
        return _("This list is {n} s old.").format(n=int(seconds))
    return _("This list is {n} min old.").format(n=int(seconds // 60))


def _play(run: str) -> None:
    """How far a script is, and a way to cancel it."""
    try:
        update = engine().read(run)
    except WorkerLost as error:  # it goes on in the middle once there is a training process again
        st.warning(in_words(error), icon=":material/warning:")
        if heard := st.session_state.get(HEARD):
            text = _("Heard last {n} s ago: step {done} of {total} of the script.")
            st.caption(text.format(n=int(time.monotonic() - heard[0]), done=heard[1], total=heard[2]))
        engine().revive()
        return
    except EngineError as error:
        st.session_state[PLAYED] = None
        st.error(in_words(error), icon=":material/error:")
        return
    if update.played is None:
        st.session_state[PLAYED], st.session_state[PLAYED_TO_END] = None, run
        message = " ".join(in_words(notice) for notice in update.notices)
        st.session_state[DONE] = message or in_words(update.snapshot.message)
        st.rerun()
    done, total = update.played
    st.session_state[HEARD] = (time.monotonic(), done, total)
    with st.container(horizontal=True, vertical_alignment="center", key="script_plays"):
        text = _("Playing the script: step {done} of {total}").format(done=done, total=total)
        st.progress(done / max(total, 1), text=text)
        action_button(_("Cancel"), _cancel, key="cancel_script", icon=":material/close:")


def _cancel() -> None:
    run = st.session_state.get(PLAYED)
    st.session_state[PLAYED] = None
    if run is not None and ask_engine(lambda: engine().delete(run)):
        forget([run])
        st.session_state[DONE] = _("The script was not played to its end. Nothing of it is kept.")
    st.rerun()


def listing() -> None:
    """The runs, newest first."""
    if page := st.session_state.pop(GO, ""):
        st.switch_page(f"pages/{page}.py")
    st.header(_("My runs"), anchor=False)
    st.caption(
        _(
            "What this browser has started or opened. Runs stay on this server until its room is used up; those opened longest ago go first, pinned ones stay."
        )
    )
    if message := st.session_state.pop(DONE, None):
        st.success(message, icon=":material/check:")
    kept = _kept()
    live(bool(kept))
    if kept is None:
        return
    ready = [run for run in kept if run.run_id == st.session_state.get(PLAYED_TO_END)]
    for run in ready:
        label = _("Go on live in the lab")
        st.button(
            label, key="go_on_live", icon=":material/play_circle:", type="primary", on_click=open_in_lab, args=(run,)
        )
    if not kept:
        st.info(_("No run of this browser is kept here yet. Start one in the lab, or import one below."))
    if st.session_state.get(DOOMED) is not None:
        confirm_deletion(st.session_state[DOOMED])
    short = kept if st.session_state.get(ALL) else kept[:SHOWN]
    for run in short:
        row(run)
    if len(short) < len(kept):
        st.button(
            _("Show all {n}").format(n=len(kept)), key="show_all", on_click=st.session_state.update, args=[{ALL: 1}]
        )
    missing = [run for run in remembered().runs if run not in {each.run_id for each in kept}]
    if missing:
        with st.container(horizontal=True, vertical_alignment="center", key="missing_runs"):
            st.caption(_("Not kept on this server any more: {n}.").format(n=len(missing)))
            st.button(_("Forget them"), key="forget_missing", on_click=forget, args=(missing,), type="tertiary")


def importing() -> None:
    """One file in."""
    st.subheader(_("Import a run"), anchor=False)
    number = st.session_state.setdefault(ROUND, 0)
    megabytes = settings().upload_bytes // 1_000_000
    file = st.file_uploader(
        _("A file that Export has made, here or on another server, or a script (NAME.script.json)."),
        type=("safetensors", "json"),
        max_upload_size=megabytes,
        key=f"import_run_{number}",
        help=_(
            "At most {megabytes} MB. An exported run goes on exactly where it stood, under a new address of its own. A script is played from step 0 to its end, and then waits."
        ).format(megabytes=megabytes),
    )
    if file is None:
        return
    is_script = file.name.endswith(".json")
    try:
        run = engine().open_script(file.getvalue()) if is_script else engine().import_run(file.getvalue())
    except EngineError as error:
        st.error(in_words(error), icon=":material/error:")
        return
    remembered().keep(run, own=True)
    lease(run)
    st.session_state[ROUND] += 1  # an empty field, and the server lets go of the file
    if is_script:
        st.session_state[PLAYED], st.session_state[PLAYED_TO_END] = run, None
    else:
        st.session_state[DONE] = _("The run has been imported. It waits to be played.")
    st.rerun()


def _kept() -> list[KeptRun] | None:
    """The runs as the engine knows them; None, and a word about it, where it does not answer."""
    try:
        if engine().ready():
            st.session_state[WAITS] = False
            by_id = {run.run_id: run for run in engine().describe(list(remembered().runs)[:MOST])}
            return [by_id[run] for run in remembered().runs if run in by_id]
        st.session_state[WAITS] = True
        st.info(_("The training process is starting…"))
    except EngineError as error:
        st.warning(in_words(error), icon=":material/warning:")
    return None

"""The page "My runs": the runs that this browser remembers, and one file in or out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import EngineError, KeptRun, WorkerLost
from moe_viz.records.numbers import number
from moe_viz.settings import settings
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.ui.escape import clean, escape_markdown
from moe_viz.ui.i18n import _, language
from moe_viz.ui.server import theme
from moe_viz.ui.session.permalink import address
from moe_viz.ui.session.run import STATE as LAB
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_cookie import MOST, remembered
from moe_viz.ui.session.watched import lease
from moe_viz.ui.widgets import notices, refresh
from moe_viz.ui.widgets.buttons import action_button
from moe_viz.ui.widgets.script import script_files, show_done
from moe_viz.ui.widgets.tables import lazy
from moe_viz.ui.words import in_words, show

SHOWN = 12
"""Runs in view before "Show all"."""
LONGEST_NAME = 60
MOST_WORDS = 4
"""Settings that tell a run from a plain one of its task and gate, at most."""
FIRST = ("k", "n_experts", "balance_coef")
PLAYED, PLAYED_TO_END = "script_played", "script_at_its_end"
"""A run that is being made from a script, and the one that was made last."""
PLAY_SECONDS, WAIT_SECONDS, SECONDS = 0.5, 1.0, 5.0
LISTED, WAITS, HEARD = "my_runs_listed", "my_runs_wait", "script_heard"
"""When the list was drawn; whether it waits for the training process; when it was last heard how far the script is, and how far."""
ROUND, DONE, ALL, DOOMED, GO = "import_round", "my_runs_said", "my_runs_all", "my_runs_doomed", "my_runs_go"


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
    if run is not None and _do(lambda: engine().delete(run)):
        _forget([run])
        st.session_state[DONE] = _("The script was not played to its end. Nothing of it is kept.")
    st.rerun()


def listing() -> None:
    """The runs, newest first."""
    if st.session_state.pop(GO, False):
        st.switch_page("pages/lab.py")
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
        st.button(label, key="go_on_live", icon=":material/play_circle:", type="primary", on_click=_open, args=(run,))
    if not kept:
        st.info(_("No run of this browser is kept here yet. Start one in the lab, or import one below."))
    if st.session_state.get(DOOMED) is not None:
        _confirm(st.session_state[DOOMED])
    short = kept if st.session_state.get(ALL) else kept[:SHOWN]
    for run in short:
        _row(run)
    if len(short) < len(kept):
        st.button(
            _("Show all {n}").format(n=len(kept)), key="show_all", on_click=st.session_state.update, args=[{ALL: 1}]
        )
    missing = [run for run in remembered().runs if run not in {each.run_id for each in kept}]
    if missing:
        with st.container(horizontal=True, vertical_alignment="center", key="missing_runs"):
            st.caption(_("Not kept on this server any more: {n}.").format(n=len(missing)))
            st.button(_("Forget them"), key="forget_missing", on_click=_forget, args=(missing,), type="tertiary")


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


def _row(run: KeptRun) -> None:
    own = remembered().runs.get(run.run_id, False)
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"row_{run.run_id}"):
        with st.container(width="stretch", gap=None):
            st.markdown(_called(run))
            st.caption(f"{words(run.config)}  \n{' · '.join(facts(run, own))}")
        st.button(_("Open"), key=f"open_{run.run_id}", icon=":material/play_circle:", on_click=_open, args=(run,))
        menu = st.popover(_("More"), key=f"menu_{run.run_id}", on_change="rerun")
        if menu.open:
            with menu:
                _menu(run, own)


def _menu(run: KeptRun, own: bool) -> None:
    st.text_input(
        _("Name"),
        value=clean(run.name),
        help=_("At most {n} characters.").format(n=LONGEST_NAME),
        placeholder=title(run.config),
        key=f"name_{run.run_id}",
        on_change=_rename,
        args=(run.run_id,),
    )
    st.toggle(
        _("Pin: keep it when room is made for others"),
        value=run.pinned,
        key=f"pin_{run.run_id}",
        on_change=_pin,
        args=(run.run_id,),
    )
    st.caption(_("Its link. Whoever has it sees this very run and can turn its knobs:"))
    st.code(link(run), language=None)
    st.download_button(
        _("Export as a file"),
        data=lambda: engine().export(run.run_id),
        file_name=f"moe_viz-{run.config['task']}-{run.config['router']}-{run.step or 0}.safetensors",
        mime="application/octet-stream",
        icon=":material/download:",
        key=f"export_{run.run_id}",
        on_click="ignore",
    )
    with lazy(_("What was done in this run"), f"done_{run.run_id}", ":material/tune:") as is_open:
        if is_open:
            _show_done(run)
    script_files(
        run.run_id, run.config, f"{run.config['task']}-{run.config['router']}-{run.step or 0}", f"files_{run.run_id}"
    )
    if own:
        st.button(_("Delete…"), key=f"delete_{run.run_id}", icon=":material/delete:", on_click=_ask_first, args=(run,))
    else:
        st.button(_("Remove from this list"), key=f"forget_{run.run_id}", on_click=_forget, args=([run.run_id],))


def _show_done(run: KeptRun) -> None:
    try:
        show_done(engine().script(run.run_id, figures=False), f"done_table_{run.run_id}")
    except EngineError as error:
        st.warning(in_words(error), icon=":material/warning:")


def _ask_first(run: KeptRun) -> None:
    st.session_state[f"menu_{run.run_id}"] = False
    st.session_state[DOOMED] = run


def _confirm(run: KeptRun) -> None:
    @st.dialog(_("Delete this run?"), on_dismiss=_spare)
    def ask() -> None:
        st.markdown(_called(run))
        st.markdown(
            _("Its model, history and checkpoints are removed from the server for good, for everyone who has its link.")
        )
        with st.container(horizontal=True):
            action_button(_("Delete for good"), lambda: _delete(run), key="delete_for_good", type="primary")
            action_button(_("Keep it"), _spare, key="keep_run")

    ask()


def _spare() -> None:
    st.session_state[DOOMED] = None


def _delete(run: KeptRun) -> None:
    _spare()
    if not _do(lambda: engine().delete(run.run_id)):
        return
    _forget([run.run_id])
    if (lab := st.session_state.get(LAB)) is not None and lab.run_id == run.run_id:
        del st.session_state[LAB]
    st.session_state[DONE] = _("The run has been deleted.")


def _open(run: KeptRun) -> None:
    """The lab's run is to be this one; `listing` goes there."""
    st.session_state[LAB] = SessionRun(config=RunConfig.from_flat(run.config), run_id=run.run_id)
    st.session_state[GO] = True
    lease(run.run_id)


def _rename(run_id: str) -> None:
    name = st.session_state[f"name_{run_id}"]
    if _do(lambda: engine().rename(run_id, name)) and len(name) > LONGEST_NAME:
        notices.say(notices.too_long(name, LONGEST_NAME))


def _pin(run_id: str) -> None:
    pinned = bool(st.session_state[f"pin_{run_id}"])
    _do(lambda: engine().pin(run_id, pinned))


def _do(act: Callable[[], None]) -> bool:
    """Whether the engine did it; otherwise a notice says why not."""
    try:
        act()
    except EngineError as error:
        notices.say(error)
        return False
    return True


def _forget(run_ids: list[str]) -> None:
    for run in run_ids:
        remembered().forget(run)


def _called(run: KeptRun) -> str:
    return f"**{escape_markdown(run.name) if run.name else title(run.config)}**"


def title(config: dict[str, Any]) -> str:
    """What a run without a name is called: its task and its gate."""
    task, router = TASK_OPTIONS.get(str(config.get("task"))), ROUTER_OPTIONS.get(str(config.get("router")))
    return " · ".join(_(title) for title in (task and task.title, router and router.facts.title) if title)


def words(config: dict[str, Any]) -> str:
    """The settings in a few words: the first knobs, then whatever differs from a plain run of this task and gate."""
    try:
        run = RunConfig.from_flat(config)
    except ValueError:
        return ""
    plain, values, fields = (
        RunConfig.from_flat({w: config[w] for w in ("task", "router")}).flat(),
        run.flat(),
        run.fields(),
    )
    other = [word for word in values if values[word] != plain.get(word) and word not in (*FIRST, "speed", "points")]
    chosen = [word for word in FIRST if word in values] + other[:MOST_WORDS]
    parts = [f"{_(fields[word].title or word)} {show(word, values[word])}" for word in chosen if word in fields]
    return escape_markdown(" · ".join(parts) + (" …" if len(other) > MOST_WORDS else ""), 400)


def facts(run: KeptRun, own: bool) -> list[str]:
    """Step, when it was last saved, size, and what is special about it."""
    step = _("step {step}").format(step=number(run.step, "d")) if run.step is not None else ""
    parts = [step, ago(time.time() - run.seen), _("{n} MB").format(n=f"{run.bytes / 1e6:.1f}")]
    parts += [":material/keep: " + _("pinned")] * run.pinned + [_("trains now")] * run.playing
    return [fact for fact in parts + [_("opened by its link")] * (not own) if fact]


def ago(seconds: float) -> str:
    """How long ago, roughly."""
    for size, text in ((86400, _("saved {n} d ago")), (3600, _("saved {n} h ago")), (60, _("saved {n} min ago"))):
        if seconds >= size:
            return text.format(n=int(seconds // size))
    return _("saved just now")


def link(run: KeptRun) -> str:
    """The address that opens this very run."""
    return address(RunConfig.from_flat(run.config), language(), run.run_id)

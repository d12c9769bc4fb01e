"""One run in the list: its buttons, its menu, and what they do."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import EngineError, KeptRun
from moe_viz.spec import MixtureConfig, RunConfig, config_of
from moe_viz.ui.escape import clean
from moe_viz.ui.i18n import _
from moe_viz.ui.my_runs.description import facts, heading, link, title, words
from moe_viz.ui.session.fit import FitRun
from moe_viz.ui.session.permalink import page_of
from moe_viz.ui.session.run import STATE as LAB
from moe_viz.ui.session.run import SessionRun
from moe_viz.ui.session.run_cookie import remembered
from moe_viz.ui.session.watched import lease
from moe_viz.ui.widgets import notices
from moe_viz.ui.widgets.buttons import action_button
from moe_viz.ui.widgets.script import script_files, show_done
from moe_viz.ui.widgets.tables import lazy
from moe_viz.ui.words import in_words

DONE, DOOMED, GO = "my_runs_said", "my_runs_doomed", "my_runs_go"
"""What has been done, to be said once; the run that is to be deleted if the reader confirms it; which page is to be opened."""
LONGEST_NAME = 60


def row(run: KeptRun) -> None:
    """What it is called, what is said of it, and what can be done with it. The menu is drawn only while it is open."""
    own = remembered().runs.get(run.run_id, False)
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"row_{run.run_id}"):
        with st.container(width="stretch", gap=None):
            st.markdown(heading(run))
            st.caption(f"{words(run.config)}  \n{' · '.join(facts(run, own))}")
        st.button(_("Open"), key=f"open_{run.run_id}", icon=":material/play_circle:", on_click=open_in_lab, args=(run,))
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
        file_name=f"moe_viz-{_stem(run)}.safetensors",
        mime="application/octet-stream",
        icon=":material/download:",
        key=f"export_{run.run_id}",
        on_click="ignore",
    )
    with lazy(_("What was done in this run"), f"done_{run.run_id}", ":material/tune:") as is_open:
        if is_open:
            _show_done(run)
    script_files(run.run_id, run.config, _stem(run), f"files_{run.run_id}")
    if own:
        st.button(_("Delete…"), key=f"delete_{run.run_id}", icon=":material/delete:", on_click=_ask_first, args=(run,))
    else:
        st.button(_("Remove from this list"), key=f"forget_{run.run_id}", on_click=forget, args=([run.run_id],))


def _stem(run: KeptRun) -> str:
    """The middle of the names of its files."""
    return "-".join([*config_of(run.config).names.values(), str(run.step or 0)])


def _show_done(run: KeptRun) -> None:
    try:
        show_done(engine().script(run.run_id, figures=False), f"done_table_{run.run_id}")
    except EngineError as error:
        st.warning(in_words(error), icon=":material/warning:")


def _ask_first(run: KeptRun) -> None:
    st.session_state[f"menu_{run.run_id}"] = False
    st.session_state[DOOMED] = run


def confirm_deletion(run: KeptRun) -> None:
    """Ask first: what is deleted is gone for everyone."""

    @st.dialog(_("Delete this run?"), on_dismiss=_spare)
    def ask() -> None:
        st.markdown(heading(run))
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
    if not ask_engine(lambda: engine().delete(run.run_id)):
        return
    forget([run.run_id])
    if (lab := st.session_state.get(LAB)) is not None and lab.run_id == run.run_id:
        del st.session_state[LAB]
    st.session_state[DONE] = _("The run has been deleted.")


def open_in_lab(run: KeptRun) -> None:
    """The lab's run is to be this one, or a page's of *Origins*; `listing` goes there."""
    config = config_of(run.config)
    page = page_of(config)
    if isinstance(config, MixtureConfig):
        st.session_state[page] = FitRun(config=config, run_id=run.run_id)
    elif isinstance(config, RunConfig):
        st.session_state[LAB] = SessionRun(config=config, run_id=run.run_id)
    st.session_state[GO] = page or "lab"
    lease(run.run_id)


def _rename(run_id: str) -> None:
    name = st.session_state[f"name_{run_id}"]
    if ask_engine(lambda: engine().rename(run_id, name)) and len(name) > LONGEST_NAME:
        notices.say(notices.too_long(name, LONGEST_NAME))


def _pin(run_id: str) -> None:
    pinned = bool(st.session_state[f"pin_{run_id}"])
    ask_engine(lambda: engine().pin(run_id, pinned))


def ask_engine(act: Callable[[], None]) -> bool:
    """Whether the engine did it; otherwise a notice says why not."""
    try:
        act()
    except EngineError as error:
        notices.say(error)
        return False
    return True


def forget(run_ids: list[str]) -> None:
    for run in run_ids:
        remembered().forget(run)

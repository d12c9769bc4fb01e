"""A run's script on a page: what was done as a table, and the files that make the same run elsewhere."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from moe_viz.engine.client import engine
from moe_viz.engine.protocol import EngineError
from moe_viz.records.script import Script
from moe_viz.records.script_file import OWN, write_script
from moe_viz.records.script_list import Turn, as_python, turns
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, MixtureConfig, RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.ui.escape import clean
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.tables import show_table
from moe_viz.ui.words import show

OPERATIONS = {
    "reset": N_("Reset"),
    "go_on": N_("Went on after it had stopped"),
    "step_once": N_("One step by hand"),
    "fork": N_("The branch begins"),
    "diverged": N_("Diverged: back to step {to}"),
    "moved": N_("Went on on another machine"),
}
TITLES = {
    word: info.title or word
    for fields in (MixtureConfig, RunConfig, *ROUTER_OPTIONS.values(), *TASK_OPTIONS.values())
    for word, info in fields.model_fields.items()
}


def done_table(script: Script) -> pd.DataFrame:
    """What was done, a line each: after how many restarts, at which step, what, from, to."""
    rows = [
        (turn.epoch + 1, turn.step, _what(turn), _value(turn, turn.old), _value(turn, turn.new))
        for turn in turns(script)
    ]
    return pd.DataFrame(rows, columns=[_("Start"), _("Step"), _("What"), _("From"), _("To")])


def show_done(script: Script | None, key: str) -> None:
    """The table, or a word why there is none."""
    if script is None:
        st.info(_(NO_SCRIPT))
    elif not script.events:
        st.info(_("Nothing was turned in this run so far."))
    else:
        show_table(done_table(script), key=key)
        st.caption(_("“Start” counts how often the run began at step 0; a run that had diverged counts on, too."))


def script_files(run_id: str, config: dict, stem: str, key: str) -> None:
    """Two files that make the same run elsewhere: the script, and a Python program."""
    own = True
    if any(config.get(word) for word in OWN):
        own = st.checkbox(_("With my own painted points in it"), value=True, key=f"{key}_own")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            _("As script"),
            data=lambda: write_script(_script(run_id), own).encode(),
            file_name=f"moe_viz-{stem}.script.json",
            mime="application/json",
            key=f"{key}_script",
            on_click="ignore",
            help=_(
                "What was done at which step. “Import” on My runs makes the same run from it, and `python -m moe_viz verify` checks it."
            ),
        )
        st.download_button(
            _("As Python"),
            data=lambda: as_python(_script(run_id)).encode(),
            file_name=f"moe_viz-{stem}.py",
            mime="text/x-python",
            key=f"{key}_python",
            on_click="ignore",
            help=_("A program that makes this run with the public interface of moe_viz."),
        )


def _script(run_id: str) -> Script:
    script = engine().script(run_id)
    if script is None:
        raise EngineError(NO_SCRIPT)
    return script


def _what(turn: Turn) -> str:
    if turn.word is None:
        return _(OPERATIONS[turn.operation]).format(to=turn.to)
    return _(TITLES.get(turn.word, turn.word))


def _value(turn: Turn, value: object) -> str:
    return "" if turn.word is None else clean(show(turn.word, value), 60)


NO_SCRIPT = N_("This run comes from a version that kept no script.")

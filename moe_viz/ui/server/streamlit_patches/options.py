"""Streamlit's options, and what happens before its server is up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import streamlit as st
from streamlit import config
from streamlit.runtime.pages_manager import PagesManager


def options_given(arguments: Sequence[str]) -> dict[str, Any]:
    """The Streamlit options that flags and `STREAMLIT_...` variables set, by dotted name, in their own types. Ends the process on a bad one."""
    from streamlit.web.cli import main_run  # only a server needs it

    try:
        words = main_run.make_context("python -m moe_viz serve", [*arguments, "app.py"]).params
    except click.exceptions.Exit as done:  # --help
        raise SystemExit(done.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    if words["args"]:
        raise SystemExit(f"python -m moe_viz serve: {words['target']} is no flag of streamlit run")
    given = {word.replace("_", "."): value for word, value in words.items() if value is not None and value != ()}
    return {name: value for name, value in given.items() if name in config._config_options_template}


def set_options(chosen: Mapping[str, Any]) -> None:
    """Put options in force, as `streamlit run` does with its flags, before anything asks for one."""
    from streamlit.web.bootstrap import load_config_options

    load_config_options(dict(chosen))


def set_options_left_open(chosen: Mapping[str, Any]) -> None:
    """The same in a process that `streamlit run` has started: what the user has set by flag, variable or file stays."""
    for name, value in chosen.items():
        if not config.is_manually_set(name):
            config.set_option(name, value)


def run(app: Any) -> int:
    """Serve a `st.App` until the process is told to end. Without `streamlit run`'s own watcher of configuration files."""
    from streamlit.web.server.starlette.starlette_server import UvicornRunner

    UvicornRunner(app).run()
    return 0


def no_automatic_pages() -> bool:
    """Switch off Streamlit's automatic `pages/`, which open beside `app.py` before the first `st.navigation`; whether they were on."""
    were_on, PagesManager.uses_pages_directory = PagesManager.uses_pages_directory, False
    return bool(were_on)


def index_html() -> str:
    """The HTML that Streamlit serves at every address."""
    return (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")

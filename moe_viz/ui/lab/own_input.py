"""What the reader has given, asked of the engine once for each moment of the run: a page that ticks would send it again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

import streamlit as st

from moe_viz.engine.protocol import InputRefused
from moe_viz.ui.session.run import SessionRun

T = TypeVar("T")
Given = TypeVar("Given", str, bytes)
STATE = "own_input_answers"


@dataclass(frozen=True)
class _Known:
    """An answer. settings: the run, its config, and the input; moment: epoch and step, for which a refusal need not be asked again."""

    settings: tuple[Any, ...]
    moment: tuple[int, int] | None
    value: Any = None
    refusal: InputRefused | None = None


def answer(run: SessionRun, call: Callable[[str, Given], T], given: Given) -> T:
    """`call(run id, given)`, from memory while run, settings, step and input are those of the last time; a refusal also at later steps.

    Raises EngineError, WorkerLost among them, as the call does.
    """
    assert run.run_id is not None, "asked of a run that the engine has opened"
    data = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    latest = run.latest
    settings = (run.run_id, latest.snapshot.config if latest else None, sha256(data).digest())
    moment = (latest.epoch, latest.snapshot.step) if latest else None
    kept: dict[str, _Known] = st.session_state.setdefault(STATE, {})
    known = kept.get(call.__name__)
    if (
        known is None
        or known.settings != settings
        or (known.refusal is None and (moment is None or known.moment != moment))
    ):
        kept.pop(call.__name__, None)
        try:
            known = _Known(settings, moment, call(run.run_id, given))
        except InputRefused as refusal:
            known = _Known(settings, moment, refusal=refusal)
        kept[call.__name__] = known
    if known.refusal is not None:
        raise known.refusal.with_traceback(None)
    return known.value

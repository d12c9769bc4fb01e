"""The calls of the engine about runs as things one has: list, name, pin, copy, delete, export, import.

A run's id is the key to it: whoever has the id (the owner, and everyone whom the run's link was given) may do all of this, nobody else can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from moe_viz.engine.protocol import EngineError, KeptRun, UnknownRun
from moe_viz.engine.storage.run_store import RUN_ID
from moe_viz.engine.worker.cost import estimate, refuse_costly
from moe_viz.engine.worker.run_calls import RunCalls
from moe_viz.records.script import Script
from moe_viz.records.script_file import read_script
from moe_viz.spec import Config, plain
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused, Sentence

T = TypeVar("T")

MOST_LISTED = 200
LONGEST_NAME = 60
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


class StoredRunCalls(RunCalls):
    """A part of `Host`."""

    def describe(self, run_ids: list[str]) -> list[KeptRun]:
        described = (self._described(run_id) for run_id in dict.fromkeys(run_ids[:MOST_LISTED]))
        return [kept for kept in described if kept is not None]

    def rename(self, run_id: str, name: str) -> None:
        self._stored(run_id)
        asked_of_disk(lambda: self._roster.store.rename(run_id, clean(name)))

    def pin(self, run_id: str, pinned: bool) -> None:
        self._stored(run_id)
        if not asked_of_disk(lambda: self._roster.store.pin(run_id, pinned)):
            raise EngineError(
                N_(
                    "Pinned runs already take half of the server's room for runs. Unpin one, or export this one instead."
                )
            )

    def copy(self, run_id: str) -> str:
        run = self._find(run_id)
        self._roster.make_room(1, estimate(run.trainer.config).model_bytes)
        twin = self._guard(run, lambda: type(run.trainer).from_bytes(run.trainer.checkpoint()))
        return self._roster.admit([twin], False, self._floor)[0].id

    def delete(self, run_id: str) -> None:
        if RUN_ID.fullmatch(run_id):
            self._roster.forget(run_id)

    def export(self, run_id: str) -> bytes:
        run = self._find(run_id)
        kept = self._described(run_id)
        name = kept.name if kept else ""
        return self._guard(run, lambda: run.trainer.exported(self.limits.import_bytes, name))

    def import_run(self, data: bytes, name: str = "") -> str:
        if len(data) > self.limits.import_bytes:
            raise EngineError(
                N_("This file has {size:.1f} MB; a run that is imported can have at most {limit:.0f} MB."),
                size=len(data) / 1e6,
                limit=self.limits.import_bytes / 1e6,
            )

        def allow(config: Config) -> None:
            refuse_costly(config, self.limits.model_bytes, self.limits.largest_step)
            self._roster.make_room(1, estimate(config).model_bytes)

        trainer, called = self._roster.make(lambda: self._roster.trainer.imported(data, allow))
        run_id = self._roster.admit([trainer], False, self._floor)[0].id
        if (title := clean(name) or clean(called)) and run_id in self._roster.store:
            asked_of_disk(lambda: self._roster.store.rename(run_id, title))
        return run_id

    def script(self, run_id: str, figures: bool = True) -> Script | None:
        return self._ask(run_id, lambda trainer: trainer.script_with_figures if figures else trainer.script_so_far)

    def open_script(self, data: bytes, own: tuple[str, ...] = (), name: str = "") -> str:
        if len(data) > self.limits.import_bytes:
            raise EngineError(
                N_("This file has {size:.1f} MB; a script that is opened here can have at most {limit:.0f} MB."),
                size=len(data) / 1e6,
                limit=self.limits.import_bytes / 1e6,
            )
        script = _in_a_sentence(lambda: read_script(data, own))
        needed = 0.0
        for config in (script.config, *(moment.after for moment in script.moments())):
            refuse_costly(config, self.limits.model_bytes, self.limits.largest_step)
            needed = max(needed, estimate(config).model_bytes)
        self._roster.make_room(1, needed)
        replay = _in_a_sentence(
            lambda: self._roster.with_memory(lambda: self._roster.trainer.play(script), self._roster.full)
        )
        run_id = self._roster.admit([replay.run], True, self._floor)[0].id
        if (title := clean(name)) and run_id in self._roster.store:
            asked_of_disk(lambda: self._roster.store.rename(run_id, title))
        return run_id

    def _described(self, run_id: str) -> KeptRun | None:
        kept = self._roster.store.describe(run_id)
        live = self._runs.get(run_id)
        if kept is None or live is None:
            return kept and replace(kept, playing=False)
        playing = live.playing and live.healthy and live.seen >= self._clock() - self.limits.lease_s
        return replace(kept, step=live.trainer.step_number, config=live.trainer.config.flat(), playing=playing)

    def _stored(self, run_id: str) -> None:
        if run_id not in self._roster.store:
            raise UnknownRun(N_("This run is not kept here any more. Start a new one."))


def _in_a_sentence(request: Callable[[], T]) -> T:
    """A request about a script; what is wrong with that becomes the end of a sentence."""
    try:
        return request()
    except Refused as error:
        raise EngineError(_NO_SCRIPT, why=Sentence(error.template, **error.values)) from error
    except ValueError as error:
        raise EngineError(_NO_SCRIPT, why=plain(error)[:400]) from error


_NO_SCRIPT = N_("This script cannot be opened: {why}.")


def asked_of_disk(request: Callable[[], Any]) -> Any:
    """A small write on a reader's behalf; a disk that will not take it becomes an EngineError."""
    try:
        return request()
    except OSError as error:
        raise EngineError(N_("The server's disk does not take this now. Try again later.")) from error


def clean(name: str) -> str:
    """A name as it is kept: one line of at most `LONGEST_NAME` characters, nothing invisible."""
    return " ".join(UNPRINTABLE.sub(" ", str(name)).split())[:LONGEST_NAME]

"""HostableRun: a run together with what whoever hosts it asks of it beside training: its script played again, and its files for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TypeVar

from moe_viz.records.script import Script
from moe_viz.spec import Config
from moe_viz.training.files import figures, run_file
from moe_viz.training.replay import Replay, replay
from moe_viz.training.scripted_run import ScriptedRun

C = TypeVar("C", bound=Config)


class HostableRun(ScriptedRun[C]):
    """The base of `Trainer` and `MixtureRun`: all that a host needs of a run of any kind."""

    @classmethod
    def replay(cls, script: Script, steps: int | None = None) -> Self:
        """The run of a script, played again from step 0. steps: the step of its last epoch to end at (None: where the script ends).

        Equal to the run that the script was written from, bit for bit on the same kind of machine. Raises ValueError for a script that
        cannot be played here, and where the run diverges otherwise than the script says.
        """
        return replay(cls, script, steps)

    @classmethod
    def play(cls, script: Script) -> Replay[Self]:
        """The same in portions, between which other runs can train: `advance(steps)` until `finished`, then its `run`."""
        return Replay(cls, script)

    def go_on_playing(self) -> Replay[Self]:
        """The rest of the script that this run is being made from (`pending`)."""
        return Replay.going_on(self)

    @property
    def script_with_figures(self) -> Script | None:
        """The script as it is given to others: with rows of the history, so that they can tell whether a replay is the same run."""
        return figures.script_with_figures(self)

    def exported(self, most_bytes: int, name: str = "") -> bytes:
        """The run as one file for others, see `moe_viz.training.files.run_file`."""
        return run_file.export(self, most_bytes, name)

    @classmethod
    def imported(cls, data: bytes, allow: Callable[[Config], None]) -> tuple[Self, str]:
        """The run of such a file, and its name. `allow` may refuse its config by raising. ValueError for any other file."""
        return run_file.imported(cls, data, allow)

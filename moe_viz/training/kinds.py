"""Which class runs which kind of config: the one place where a host, a file or a script is told what it has before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moe_viz.records.script import Script
from moe_viz.spec import Config
from moe_viz.training.files import run_file
from moe_viz.training.files.checkpoint import Checkpoint
from moe_viz.training.hostable_run import HostableRun
from moe_viz.training.mixture_run import MixtureRun
from moe_viz.training.replay import Replay
from moe_viz.training.scripted_run import read
from moe_viz.training.trainer import Trainer

RUNS: dict[str, type[HostableRun[Any]]] = {"network": Trainer, "mixture": MixtureRun}
"""kind of a config or script -> its run."""


class Runs:
    """Makes and reads runs of all kinds as each class does its own."""

    def __call__(self, config: Config) -> HostableRun[Any]:
        """A new run. Raises ValueError for a config that cannot run here."""
        return RUNS[config.kind](config)

    def of(self, checkpoint: Checkpoint) -> HostableRun[Any]:
        """The run that stands where a checkpoint does. Raises ValueError where its tensors do not fit its config."""
        return RUNS[checkpoint.config.kind].of(checkpoint)

    def load(self, path: str | Path) -> HostableRun[Any]:
        """The run of a file that `save` wrote. Raises ValueError where it is missing, broken or something else."""
        return self.of(Checkpoint.from_bytes(read(path), str(path)))

    def play(self, script: Script) -> Replay[Any]:
        """What plays a script, see `Replay`."""
        return RUNS[script.kind].play(script)

    def imported(self, data: bytes, allow: Callable[[Config], None]) -> tuple[HostableRun[Any], str]:
        """The run of an exported file, and its name, see `run_file`."""
        return run_file.imported(self, data, allow)


runs = Runs()

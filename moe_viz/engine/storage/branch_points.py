"""Branch points: checkpoints along a run, so that a branch can start from an earlier moment with a changed knob.

Files `EPOCH-STEP` in one directory per run, written by `Trainer.save` without the history. Their number and their bytes are bounded: they
lie on a grid of steps whose spacing doubles when there are too many, so that they cover the whole run evenly however long it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import reduce
from math import gcd
from pathlib import Path
from typing import Any

from moe_viz.engine.protocol import EngineError
from moe_viz.spec import change, needs_restart
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Knobs

log = logging.getLogger(__name__)

MOST = 12
MOST_BYTES = 48_000_000
"""Per run, less where many share the store; a wide model has fewer milestones."""
SPACING = 25
"""Steps between the first ones."""


class BranchPoints:
    """Checkpoints of one run in `directory`, which appears with the first one."""

    def __init__(self, directory: Path):
        self._directory = directory
        self.most_bytes = MOST_BYTES
        self._held = self._on_disk()
        self._next: tuple[int, int] | None = None  # (epoch, step) of the next one; None: look at what is held

    def steps(self) -> list[tuple[int, int]]:
        """(epoch, step) of each checkpoint that is still there, oldest first."""
        self._held = self._on_disk()
        return list(self._held)

    def wanted(self, trainer: Any) -> bool:
        """Whether the trainer stands where a checkpoint belongs. Cheap: asked before every step."""
        epoch, step = trainer.epoch, trainer.step_number
        if self._next is None or self._next[0] != epoch:
            ours = self._of(epoch)
            self._next = (epoch, _after(ours[-1][1], self._spacing(epoch)) if ours else step)
        return step >= self._next[1]

    def keep(self, trainer: Any) -> None:
        """Write a checkpoint of this moment. A full disk costs the reader this milestone, not the run."""
        epoch, step = trainer.epoch, trainer.step_number
        path = self._path(epoch, step)
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            trainer.save(path, history=False)
        except OSError:
            log.exception("cannot write the milestone %s", path)
        if trainer.state == "diverged":  # found while saving: what was written is an earlier moment than its name says
            path.unlink(missing_ok=True)
        self._held = self._on_disk()
        while len(self._held) > MOST or (len(self._held) > 1 and self._bytes() > self.most_bytes):
            self._thin(epoch)
        self._next = (epoch, _after(step, self._spacing(epoch)))

    def revive(
        self, step: int, epoch: int, knobs: dict[str, Any], load: Callable[[Path], Any]
    ) -> tuple[Any, tuple[int, int]]:
        """A trainer from the last checkpoint up to `step` (the first after it where there is none), knobs turned; its (epoch, step).

        Raises EngineError where no checkpoint is left or cannot be read, and for a knob that a running model cannot take; ValueError for a
        bad word or value.
        """
        ours = [at for at in self.steps() if at[0] == epoch]
        if not ours:
            raise EngineError(
                N_("No checkpoint of this part of the run is kept, so nothing can branch off from step {step}."),
                step=step,
            )
        before = [at for at in ours if at[1] <= step]
        start = before[-1] if before else ours[0]
        try:
            trainer = load(self._path(*start))
        except ValueError as error:
            log.exception("cannot read milestone %s", start)
            raise EngineError(N_("The checkpoint of step {step} cannot be read."), step=start[1]) from error
        fixed = needs_restart(trainer.config, change(trainer.config, **knobs))
        if fixed:
            raise EngineError(
                N_("A branch goes on with the same model, so {knobs} cannot change in it."),
                knobs=Knobs((trainer.config.fields()[word].title,) for word in sorted(fixed)),
            )
        trainer.branch()
        if knobs:
            trainer.set(**knobs)
        return trainer, start

    def _thin(self, epoch: int) -> None:
        """Let every second one go; first whatever is left of earlier (re)starts."""
        ours = self._of(epoch)
        gone = [at for at in self._held if at[0] != epoch]
        spacing = self._spacing(epoch)
        while not gone:
            spacing *= 2
            gone = [at for at in ours[1:] if at[1] % spacing]
            if spacing > ours[-1][1]:
                gone = ours[1:]
        for at in gone:
            self._path(*at).unlink(missing_ok=True)
        self._held = [at for at in self._held if at not in gone]

    def _spacing(self, epoch: int) -> int:
        """The grid of the checkpoints held; the first of an epoch may lie anywhere."""
        return reduce(gcd, (step for _, step in self._of(epoch)[1:]), 0) or SPACING

    def _of(self, epoch: int) -> list[tuple[int, int]]:
        return [at for at in self._held if at[0] == epoch]

    def _path(self, epoch: int, step: int) -> Path:
        return self._directory / f"{epoch}-{step}"

    def _bytes(self) -> int:
        return sum(self._path(*at).stat().st_size for at in self._held)

    def _on_disk(self) -> list[tuple[int, int]]:
        if not self._directory.is_dir():
            return []
        names = (path.name.split("-") for path in self._directory.iterdir())
        return sorted((int(n[0]), int(n[1])) for n in names if len(n) == 2 and n[0].isdigit() and n[1].isdigit())


def _after(step: int, spacing: int) -> int:
    """The next step of the grid."""
    return (step // spacing + 1) * spacing

"""ScriptedRun: what every kind of run is. It makes steps, takes knobs while it runs, and can be written down, read back and played again.

`Run` (a network that trains) and `MixtureRun` (a classical mixture that is fitted) say what a step is; that a run is a pure function of its
script, and how it is hosted, kept, exported and verified, is the same for both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch
from torch import Tensor

from moe_viz.records.history import History, Mark
from moe_viz.records.script import Event, Script
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import Config, change, changed, needs_restart
from moe_viz.training import messages
from moe_viz.training.devices import as_before, here
from moe_viz.training.files.checkpoint import Checkpoint, fingerprint
from moe_viz.training.script_writer import ScriptWriter, last_device, turned

C = TypeVar("C", bound=Config)


class ScriptedRun(ABC, Generic[C]):
    """One run of `config`. Raises ValueError for a config that cannot run here.

    state        "running", or "diverged": stopped on a figure that was not finite, with the last sound parameters put back
    message      why it stopped, or ""
    step_number  steps done;  epoch  rises with each restart (reset, or a knob that cannot be live)
    history      every step's metrics; complete after `snapshot`, `run` or `collect`
    """

    kind: ClassVar[str]
    """Of its configs and scripts, see `moe_viz.spec.Config`."""
    KINDS: ClassVar[dict[str, type[ScriptedRun[Any]]]] = {}
    """kind -> the class that was the first to be of it."""
    config: C
    device: torch.device
    step_number: int
    state: str
    message: str
    at_rest: bool = False
    """Whether it waits, having come to an end of its own: whoever hosts it makes no more steps by itself."""
    pending: tuple[Script, int] | None = None
    """The script that this run is being made from and how many of its events were played, see `replay.Replay`; None once it is at its end."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "kind" in vars(cls):
            ScriptedRun.KINDS.setdefault(cls.kind, cls)

    def __init__(self, config: C):
        self.history = History()
        self._begin(config)
        self._writer = ScriptWriter(config, self.device)

    @property
    def epoch(self) -> int:
        return self.history.epoch

    # -- what a kind of runs says of itself ----------------------------------------------------------------------------------

    @abstractmethod
    def _begin(self, config: C) -> None:
        """Stand at step 0 of this config."""

    @abstractmethod
    def step(self) -> None:
        """One step; none where the run has diverged."""

    @abstractmethod
    def run(self, steps: int) -> None:
        """Up to so many steps; fewer where the run diverges."""

    @abstractmethod
    def collect(self) -> None:
        """Bring what the steps since the last time have measured into the history."""

    @abstractmethod
    def keep(self) -> None:
        """Remember the present parameters as sound."""

    @abstractmethod
    def snapshot(self, evaluate: bool = True) -> Snapshot:
        """This moment, for a page."""

    @abstractmethod
    def _take_over(self, new: C, words: set[str]) -> list[str]:
        """Have a config in which only live `words` differ take effect; what else that did, in plain sentences. `config` is still the old one."""

    def _restarted(self) -> None:
        """The history has begun another epoch."""

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """Everything that defines the run's future, shared with it; parameters and buffers are called `model.<name>`."""

    @abstractmethod
    def _stand_at(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint's tensors and history, having begun with its config. Raises ValueError where they do not fit."""

    # -- knobs -------------------------------------------------------------------------------------------------------------

    def set(self, **knobs: Any) -> list[str]:
        """Turn knobs (flat words); what was done, in plain sentences. Raises ValueError on a bad word or value, changing nothing.

        Live knobs take effect at the next step; any other restarts the run from step 0. A diverged run goes on from its last sound step.
        """
        new = change(self.config, **knobs)
        words, restart = changed(self.config, new), needs_restart(self.config, new)
        running = self.state == "running"
        self.collect()
        if not words and self.state == "running":
            return []
        self._writer.refuse_when_full()
        done = self._event(turned(self.config, new) or ("reset" if restart else "go_on"))
        before = self.config
        if restart:
            self._restart(new, done)
            return [messages.restarted(restart, before, new)]
        notices = []
        told = self._take_over(new, words) if words else []  # before anything else: there may be no memory for it
        if self.state == "diverged":
            notices += [self.message] if running else []  # it went wrong since the last look: nobody has been told yet
            self.state, self.message = "running", ""
            self.history.restart()  # steps run twice from here on: they belong to an epoch of their own
            notices.append(messages.goes_on(self.step_number))
        if words:
            self.config = new
            notices += told
            self.keep()
        self._writer.add(done)
        return notices

    def reset(self) -> None:
        """Start again from step 0 with the present config."""
        self.collect()
        self._writer.refuse_when_full()
        self._restart(self.config, self._event("reset"))

    def _restart(self, config: C, done: Event) -> None:
        self._begin(config)
        self._writer.add(done)
        self.history.restart()
        self._restarted()

    # -- the script --------------------------------------------------------------------------------------------------------

    @property
    def script(self) -> Script | None:
        """What this run is a pure function of, up to now. None for one that came from a file of a version which kept no script."""
        self.collect()
        return self._writer.script(self.epoch, self.step_number, self._fingerprint())

    @property
    def script_so_far(self) -> Script | None:
        """The same without the hash of the present parameters: what was done, at once."""
        self.collect()
        return self._writer.script(self.epoch, self.step_number)

    @property
    def events(self) -> tuple[Event, ...]:
        """What was done so far."""
        return tuple(self._writer.events)

    def note(self, what: str, **more: Any) -> None:
        """Add to the script what was done without changing a number: "step_once", "fork". Raises ValueError where the script is full."""
        self.collect()
        self._writer.refuse_when_full()
        self._writer.add(self._event(what, **more))

    def branch(self) -> None:
        """From here on a run of its own. Raises ValueError where the script is full."""
        self.note("fork")
        self.pending = None

    def _event(self, what: str | dict[str, Any], step: int | None = None, **more: Any) -> Event:
        """An event of this moment. Everything up to now must have been collected."""
        at = self.step_number if step is None else step
        return Event(epoch=self.epoch, step=at, what=what, parameters=self._fingerprint(), **more)

    def _fingerprint(self) -> str:
        return fingerprint(self._tensors())

    # -- keeping -----------------------------------------------------------------------------------------------------------

    def checkpoint(self, history: bool = True) -> bytes:
        """The run as bytes (safetensors with a JSON header), for `from_bytes` or a file."""
        return self.moment(history).to_bytes()

    def save(self, path: str | Path, history: bool = True, since: Mark | None = None) -> None:
        """Write `checkpoint` to a file, atomically. since: of the history only what came after this moment of it."""
        self.moment(history).to_file(path, since)

    def moment(self, history: bool = True, **extra: Any) -> Checkpoint:
        """The run as it stands, sharing its parameters: to be written before the next step. extra: what else its file shall say."""
        self.collect()
        kept = self.history if history else None
        script = self._writer.script(self.epoch, self.step_number)
        at = (self.config, self.step_number, self.epoch)
        return Checkpoint(*at, self._to_keep(), str(self.message), kept, extra, script, self.pending)

    def _to_keep(self) -> dict[str, Tensor]:
        """What a checkpoint holds: what defines the future, and what more the run remembers of its past."""
        return self._tensors()

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "checkpoint", device: str | None = None) -> Self:
        """The run of a checkpoint, ready to go on. device: another one than it was trained on. Raises ValueError on broken data."""
        checkpoint = Checkpoint.from_bytes(data, source)
        if device is not None:
            checkpoint = replace(checkpoint, config=checkpoint.config.settled(device))
        return cls.of(checkpoint)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The run that stands where a checkpoint does, with device "auto" where its own is not here. ValueError where its tensors do not fit it."""
        config = checkpoint.config
        checkpoint = replace(checkpoint, config=config.settled(here(config.device)))
        with as_before(None if checkpoint.script is None else last_device(checkpoint.script)):
            run = cls(cast("C", checkpoint.config))
        run.history = checkpoint.history or History()
        run.history.epoch = checkpoint.epoch
        run.step_number = checkpoint.step
        run._stand_at(checkpoint)
        if checkpoint.stopped:
            run.state, run.message = "diverged", checkpoint.stopped
        run.keep()
        run._writer = ScriptWriter.after(checkpoint.script, checkpoint.config, run.device)
        if checkpoint.script is not None and (moved := run._writer.moved(checkpoint.config)):
            run._writer.add(run._event(**moved))
        run.pending = checkpoint.pending
        return run

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> Self:
        """The run of a file that `save` wrote. Raises ValueError where it is missing, broken or something else."""
        return cls.from_bytes(read(path), str(path), device)


def read(path: str | Path) -> bytes:
    """A checkpoint's file. Raises ValueError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read the checkpoint {path}: {error.strerror}") from error

"""Replay: a script played from step 0. On an equal machine and equal versions the run that comes out is that of the script, to the bit.

It may be played in portions, between which other runs train; `Trainer.replay` plays all of it at once.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import torch

from moe_viz.records.script import End, Event, Script
from moe_viz.spec import Config
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused
from moe_viz.tasks.files import data_hashes
from moe_viz.training.devices import here
from moe_viz.training.provenance import provenance, threads
from moe_viz.training.scripted_run import ScriptedRun

R = TypeVar("R", bound=ScriptedRun[Any])


class Differs(ValueError):
    """The replay left the script's path: after `step` steps of `epoch` the run diverged where it had not, or the other way round."""

    def __init__(self, epoch: int, step: int, template: str):
        super().__init__(template.format(step=step))
        self.epoch, self.step = epoch, step


class Replay(Generic[R]):
    """A script being played.

    kind     the class of the run, where it is one of the script's kind; otherwise it is played by that kind's own class;  steps  the step of the last epoch to end at (None: the script's own);  device  another one than the script's
    run      given: one that stands in the middle of it, to go on from; later: the run as far as it has been played
    done, total  training steps
    looks    (epoch, step) at which the run is looked at, as a page did: right after that step, before anything else is done
    parameters  for each event played so far: SHA-256 of the parameters just before it
    Raises `Refused` for a script that cannot be played here, ValueError for a device that is absent.
    """

    def __init__(
        self,
        kind: type[R],
        script: Script,
        steps: int | None = None,
        device: str | None = None,
        looks: set[tuple[int, int]] | None = None,
        run: R | None = None,
    ):
        if script.kind != kind.kind:
            kind = cast("type[R]", ScriptedRun.KINDS[script.kind])
        _refuse_what_is_not_here(script)
        last = script.end.epoch
        self._events = [e for e in script.events if steps is None or e.epoch < last or e.step <= steps]
        end = script.end if steps is None else End(epoch=last, step=steps)
        self.script = script.model_copy(update={"events": tuple(self._events), "end": end})
        self.total, self.done, self._next = self.script.n_steps(), 0, 0
        self._keeps = {(event.epoch, event.to) for event in self._events if event.to is not None}
        device = device or (None if here(script.config.device) == script.config.device else "auto")
        self._looks, self._device, self._threads = looks or set(), device, script.provenance.threads
        self.parameters: list[str | None] = []
        if run is None:
            with threads(self._threads):
                run = kind(self._here(script.config))
        else:
            self._go_on_from(run)
        self.run = run
        run.pending = (self.script, self._next)

    @classmethod
    def going_on(cls, run: R) -> Replay[R]:
        """What is left of the script that `run` is being made from: a checkpoint in the middle changes nothing."""
        assert run.pending is not None
        return cls(type(run), run.pending[0], run=run)

    def _go_on_from(self, run: R) -> None:
        assert run.pending is not None
        self._next = run.pending[1]
        played = self._events[: self._next]
        self.parameters = [event.parameters or "" for event in played]
        self._threads = ([self._threads] + [event.on.threads for event in played if event.on is not None])[-1]
        end = End(epoch=run.epoch, step=run.step_number)
        self.done = self.script.model_copy(update={"events": tuple(played), "end": end}).n_steps()

    @property
    def finished(self) -> bool:
        return self._next == len(self._events) and self.run.step_number >= self.script.end.step

    @property
    def played(self) -> Script:
        """The script of the run as far as it has been played."""
        script = self.run.script
        assert script is not None  # only a run from before there were scripts has none
        return script

    @property
    def parted(self) -> tuple[int, int] | None:
        """(epoch, step) of the first event so far, or the end, at which the parameters are not those that the script says."""
        for event, ours in zip(self._events, self.parameters):
            if event.parameters not in (None, ours):
                return event.epoch, event.step
        end = self.script.end
        if self.finished and end.parameters not in (None, self.played.end.parameters):
            return end.epoch, end.step
        return None

    @property
    def provenance_differences(self) -> dict[str, tuple[str, str]]:
        """Word -> (here, there) of what the script's run ran on and this one does not; equal numbers cannot be expected then."""
        return provenance(self.run.device).differs(self.script.provenance)

    def advance(self, steps: int) -> None:
        """Play on for up to so many training steps, and what was done before the step after them. Raises `Differs`."""
        until = self.done + steps
        with threads(self._threads):
            while True:
                event = self._events[self._next] if self._next < len(self._events) else None
                target = self.script.end.step if event is None else event.step
                while self.run.step_number < target:
                    if self.done >= until:
                        return
                    self._step()
                if event is None:
                    self._sound()
                    self.run.pending = None
                    return
                known = len(self.run.events)
                self._sound()
                self._do(event)
                new = self.run.events[known:]
                self.parameters.append(new[0].parameters if new else self.played.end.parameters)
                self._next += 1
                self.run.pending = (self.script, self._next)

    def _step(self) -> None:
        run = self.run
        if (run.epoch, run.step_number) in self._keeps:
            run.collect()
            run.keep()
        run.step()
        self.done += 1
        if run.state == "diverged":
            raise Differs(run.epoch, run.events[-1].step, _DIVERGED)
        self._look()

    def _look(self) -> None:
        at = (self.run.epoch, self.run.step_number)
        if at in self._looks:
            self._looks.discard(at)
            self.run.snapshot()

    def _sound(self) -> None:
        """Bring all steps to the host. Raises `Differs` where one of them was not finite."""
        known = len(self.run.events)
        self.run.collect()
        if len(self.run.events) > known:
            raise Differs(self.run.epoch, self.run.events[-1].step, _DIVERGED)

    def _do(self, event: Event) -> None:
        run = self.run
        if event.what == "diverged":
            if (run.epoch, run.step_number) in self._keeps:
                run.keep()
            run.step()
            run.collect()
            if run.state != "diverged":
                raise Differs(event.epoch, event.step, _NOT_DIVERGED)
            return
        if isinstance(event.what, dict):
            knobs = event.what if self._device is None else {w: v for w, v in event.what.items() if w != "device"}
            run.set(**knobs)
        elif event.what == "go_on":
            run.set()
        elif event.what == "reset":
            run.reset()
        elif event.what == "moved":
            assert event.on is not None  # an event says so, or is refused
            run.note("moved", on=event.on)
            self._threads = event.on.threads
            torch.set_num_threads(self._threads)
        else:
            run.note(event.what)

    def _here(self, config: Config) -> Config:
        return config if self._device is None else config.settled(self._device)


def _refuse_what_is_not_here(script: Script) -> None:
    if script.missing:
        raise Refused(_MISSING, key=script.missing[0][:12])
    here = data_hashes(script.sources)
    for name, hash_ in script.provenance.data.items():
        if here.get(name) != hash_:
            raise Refused(_DATA, name=name[:60], there=hash_[:12], here=here.get(name, "–")[:12])


def replay(kind: type[R], script: Script, steps: int | None = None) -> R:
    """The run of a script. Raises as `Replay` does."""
    play = Replay(kind, script, steps)
    while not play.finished:
        play.advance(100)
    play.run.pending = None
    return play.run


_DATA = N_("the run was trained on other data: {name} is {there}… in the script, {here}… here")
_MISSING = N_("the run was trained on the reader's own data {key}…, which the script names but does not hold")
_DIVERGED = "the run diverged after step {step}, which the script does not know of"
_NOT_DIVERGED = "the script says that the run diverged after step {step}; here it did not"

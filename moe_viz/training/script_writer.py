"""Writing the script of a run while it happens: each thing done becomes an event, with a hash of the parameters just before it."""

from __future__ import annotations

from typing import Any

import torch

from moe_viz.records.script import MOST_EVENTS, End, Event, Script
from moe_viz.spec import Config
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused
from moe_viz.training.devices import device_of
from moe_viz.training.provenance import provenance

RESERVE = 10
"""Events that are kept free for what nobody does: a divergence, a move to another machine."""


class ScriptWriter:
    """The script of one run so far. began: its first config, None where the run comes from a file that kept no script."""

    def __init__(self, config: Config, device: torch.device):
        self.began: Config | None = settled(config)
        self.device = device
        self.provenance = provenance(device, [config.source])
        self.events: list[Event] = []

    @classmethod
    def after(cls, script: Script | None, config: Config, device: torch.device) -> ScriptWriter:
        """Going on after what was done so far. `moved` says whether this process runs on something else than the run did before."""
        writer = cls(config, device)
        if script is None:
            writer.began = None
        else:
            writer.began, writer.provenance, writer.events = script.config, script.provenance, list(script.events)
        return writer

    def moved(self, config: Config) -> dict[str, Any]:
        """What to `add` where this process differs from what the run ran on last; empty where it does not."""
        here = provenance(self.device, [config.source])
        last = ([self.provenance] + [event.on for event in self.events if event.on is not None])[-1]
        same = last.model_copy(update={"data": {name: last.data.get(name) for name in here.data}}) == here
        return {} if same else {"what": "moved", "on": here}

    def add(self, event: Event) -> None:
        self.events.append(event)

    def refuse_when_full(self) -> None:
        """Raises `Refused` where nothing more can be noted that a reader does."""
        if len(self.events) >= MOST_EVENTS - RESERVE:
            raise Refused(_FULL, most=MOST_EVENTS)

    def script(self, epoch: int, step: int, parameters: str | None = None) -> Script | None:
        """The script up to (epoch, step), where the parameters have this hash."""
        if self.began is None:
            return None
        end = End(epoch=epoch, step=step, parameters=parameters)
        script = Script(
            kind=self.began.kind, config=self.began, events=tuple(self.events), end=end, provenance=self.provenance
        )
        data = provenance(self.device, script.sources).data | self.provenance.data
        return script.model_copy(update={"provenance": self.provenance.model_copy(update={"data": data})})


def turned(old: Config, new: Config) -> dict[str, Any]:
    """The words that differ in `new`, and all that a new part of it brings, so that no later default can change what they mean."""
    before, after = settled(old).flat(), settled(new).flat()
    whole = new.brought_along(old)
    return {
        word: value for word, value in after.items() if word in whole or word not in before or before[word] != value
    }


def settled(config: Config) -> Config:
    """The config with the device that `auto` stands for here."""
    return config.settled(device_of(config).type)


def last_device(script: Script) -> str:
    """The kind of device that a run was on when its script was written."""
    on = ([script.provenance] + [event.on for event in script.events if event.on is not None])[-1]
    return on.device.partition(" ")[0]


_FULL = N_(
    "This run has been changed almost {most:,} times, and its script can hold no more. Start a new run, or go on watching this one."
)

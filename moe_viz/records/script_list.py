"""A script for people: as a list of what was done, and as a Python program that makes the same run with the public API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moe_viz.records.script import Script

ONLY_NOTED = {"step_once": "the next step was asked for by hand", "fork": "a branch left its parent here"}

PROGRAM = {"network": ("RunConfig", "Trainer", "loss"), "mixture": ("MixtureConfig", "MixtureRun", "log_likelihood")}
"""kind of a script -> the settings, the run and the figure that its program names."""


@dataclass(frozen=True)
class Turn:
    """One line of the list. word: of the knob turned (old -> new), or None where `operation` was done. to: of a divergence."""

    epoch: int
    step: int
    word: str | None = None
    old: Any = None
    new: Any = None
    operation: str = ""
    to: int | None = None


def turns(script: Script) -> list[Turn]:
    """What was done, in order. Of the options that a new gate or task brings along only those are told that have a value before and after."""
    listed: list[Turn] = []
    for moment in script.moments():
        event = moment.event
        if isinstance(event.what, str):
            listed.append(Turn(event.epoch, event.step, operation=event.what, to=event.to))
            continue
        before, after = moment.before.flat(), moment.after.flat()
        changed = [word for word in event.what if word in before and before[word] != after[word]]
        order = sorted(changed, key=lambda word: word not in ("task", "router"))
        listed += [Turn(event.epoch, event.step, word, before[word], after[word]) for word in order]
    return listed


def as_python(script: Script) -> str:
    """The program. It prints whether the run came out the same, bit for bit."""
    provenance = script.provenance
    settings, run, figure = PROGRAM[script.kind]
    lines = [
        f'"""A run of moe_viz {provenance.version}, made on {_comment(provenance.cpu)} with torch {_comment(provenance.torch)}.',
        "",
        "Settings, and what was done at which step. On another machine, or with other versions, its numbers may differ a little.",
        '"""',
        "",
        "import torch",
        "",
        f"from moe_viz.spec import {settings}",
        f"from moe_viz.training import {run}",
        "",
        f"torch.set_num_threads({provenance.threads})",
        f"trainer = {run}(",
        f"    {settings}.from_flat(",
        "        {",
        *(f"            {word!r}: {value!r}," for word, value in script.config.flat().items()),
        "        }",
        "    )",
        ")",
    ]
    keeps: set[tuple[int, int | None]] = {(event.epoch, event.to) for event in script.events if event.to is not None}
    epoch = step = 0
    for moment in script.moments():
        event = moment.event
        lines += _to_step(step, event.step, epoch, keeps)
        if isinstance(event.what, dict):
            lines.append(_call("trainer.set", event.what))
        elif event.what == "go_on":
            lines.append("trainer.set()  # it had stopped, and goes on")
        elif event.what == "reset":
            lines.append("trainer.reset()")
        elif event.what == "diverged":
            lines += _keep(epoch, event.step, keeps)
            lines.append(f"trainer.run(1)  # not finite: back to step {event.to}")
        elif event.what == "moved" and event.on is not None:
            lines.append(f"torch.set_num_threads({event.on.threads})  # it went on on {_comment(event.on.cpu)}")
        else:
            lines.append(f"# step {event.step}: {ONLY_NOTED.get(event.what, _comment(event.what))}")
        epoch, step = moment.epoch, moment.step
    lines += _to_step(step, script.end.step, epoch, keeps)
    lines += ["", f"print(f\"step {{trainer.step_number}}, {figure} {{trainer.snapshot().metrics['{figure}']}}\")"]
    if script.end.parameters:
        lines += [
            f"same = trainer.script.end.parameters == {script.end.parameters!r}",
            'print("the same run, bit for bit" if same else "the parameters differ: another machine, or other versions")',
        ]
    return "\n".join(lines) + "\n"


def _to_step(start: int, end: int, epoch: int, keeps: set[tuple[int, int | None]]) -> list[str]:
    """Lines that train from one step to another, stopping where the parameters must be kept for a divergence to come."""
    lines: list[str] = []
    for stop in sorted({to for at, to in keeps if at == epoch and to is not None and start <= to < end} | {end}):
        if stop > start:
            lines.append(f"trainer.run({stop - start})  # to step {stop}")
            start = stop
        if stop < end:
            lines += _keep(epoch, stop, keeps)
    return lines


def _keep(epoch: int, step: int, keeps: set[tuple[int, int | None]]) -> list[str]:
    return ["trainer.keep()  # what a divergence falls back to"] if (epoch, step) in keeps else []


def _call(name: str, knobs: dict[str, Any]) -> str:
    words = [f"{word}={value!r}" for word, value in knobs.items()]
    one_line = f"{name}({', '.join(words)})"
    return one_line if len(one_line) <= 110 else f"{name}(\n" + "".join(f"    {word},\n" for word in words) + ")"


def _comment(text: str) -> str:
    """A text that a stranger may have written, where it can do nothing."""
    return "".join(letter for letter in text if letter.isprintable() and letter not in "\"\\'#")[:100]

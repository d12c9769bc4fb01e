"""Script: what a run is a pure function of. The settings it began with, what was done at which step, and what it ran on.

Kept as UTF-8 JSON, `NAME.script.json`: one event a line, so that people can read it and a refusal can name the line. It grows with the number
of events, not with steps. `Script.model_json_schema()` is its schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from moe_viz.spec import Config, change, config_of, needs_restart, problems
from moe_viz.spec.knobs import N_, Spec, is_live
from moe_viz.spec.sentence import Refused

SCHEMA = 1
MOST_EVENTS = 100_000
MOST_STEPS = 1_000_000_000
OPERATIONS = ("reset", "go_on", "step_once", "fork", "diverged", "moved")
"""reset: again from step 0.  go_on: a run that had stopped goes on with nothing turned.  step_once: the next step was asked for by hand.
fork: a branch left its parent here.  diverged: the next step was not finite, and the parameters of step `to` were put back.
moved: from here on it ran on something else (`on`). The last two are nobody's doing, but a replay must know them."""
Count = Annotated[int, Field(strict=True, ge=0, le=MOST_STEPS)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Value = StrictBool | StrictInt | StrictFloat | StrictStr | None


class Provenance(Spec):
    """What a run ran on. data: file of `assets/data` -> its SHA-256, of every file that its tasks read."""

    version: str
    torch: str
    numpy: str
    cpu: str
    device: str
    threads: int = Field(strict=True, ge=1, le=4096)
    data: dict[str, Hash] = {}

    def differs(self, other: Provenance) -> dict[str, tuple[str, str]]:
        """Word -> (here, there) of whatever may change the numbers, data apart; a replay takes the script's own number of threads."""
        words = ("version", "torch", "numpy", "cpu", "device")
        return {w: (getattr(self, w), getattr(other, w)) for w in words if getattr(self, w) != getattr(other, w)}


class Event(Spec):
    """Something done after `step` steps of an `epoch`: knobs turned (word -> new value), or one of `OPERATIONS`.

    parameters: SHA-256 of all parameters and buffers just before.  to: of "diverged".  on: of "moved"
    """

    epoch: Count
    step: Count
    what: dict[str, Value] | StrictStr
    to: Count | None = None
    on: Provenance | None = None
    parameters: Hash | None = None


class End(Spec):
    """Where the run stood when the script was written."""

    epoch: Count
    step: Count
    parameters: Hash | None = None


class Figures(Spec):
    """Rows of the run's history, to compare a replay with: `rows` hold epoch, step and one value per column (null: not measured)."""

    columns: list[str] = Field(max_length=8192)
    rows: list[list[float | None]] = Field(max_length=8192)


@cache
def _live(kind: type[Config]) -> set[str]:
    """Words that never restart a run of this kind."""
    return {word for word, info in kind.model_fields.items() if is_live(info) and word != "router"}


class Moment(NamedTuple):
    """An event with the settings before and after it, and where the run stands after it."""

    event: Event
    before: Config
    after: Config
    epoch: int
    step: int


def _config(value: Any) -> Any:
    return config_of(value) if isinstance(value, dict) else value


class Script(Spec):
    """See the module's text. Raises ValueError where an event cannot follow those before it. config: what the run began with."""

    schema_: Literal[1] = Field(default=SCHEMA, alias="schema")
    kind: Literal["network", "mixture"] = "network"
    config: Annotated[
        Config,
        BeforeValidator(_config),
        PlainSerializer(lambda config: config.flat()),
        WithJsonSchema(
            {
                "type": "object",
                "description": "one word per knob, as in a link",
                "anyOf": [{"required": ["task", "router"]}, {"required": ["data", "method"]}],
            }
        ),
    ]
    events: tuple[Event, ...] = Field((), max_length=MOST_EVENTS)
    end: End
    provenance: Provenance
    own: dict[Hash, str | None] = Field(default={}, max_length=1000)
    """SHA-256 of each of the reader's own data that the run was trained on -> its content; null where the reader kept it back."""
    figures: Figures | None = None

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Script:
        if self.kind != self.config.kind:
            raise ValueError(f"kind = {self.kind!r}, but its settings are those of a {self.config.kind}")
        return self

    @property
    def missing(self) -> list[str]:
        """Hashes of own data whose content is not here."""
        return [key for key, content in self.own.items() if content is None]

    @property
    def sources(self) -> list[str]:
        """The names of all data that the run has had: its tasks, or a mixture's data sets."""
        word = self.config.SOURCE
        turned = [str(event.what[word]) for event in self.events if isinstance(event.what, dict) and word in event.what]
        return list(dict.fromkeys([self.config.source, *turned]))

    def moments(self) -> Iterator[Moment]:
        """The events in order. Raises `Refused` at the first that cannot follow those before it."""
        config, epoch, step, stopped = self.config, 0, 0, False
        for number, event in enumerate(self.events):
            path = ("events", number)
            if (event.epoch, event.step) < (epoch, step) or event.epoch != epoch:
                raise Misplaced(path, _ORDER, epoch=event.epoch, step=event.step, at_epoch=epoch, at_step=step)
            after, step = config, event.step
            if isinstance(event.what, dict):
                try:
                    after = change(config, **event.what)
                except ValueError as error:
                    raise refused_knobs(error, (*path, "what"), event.what) from error
                restart = not event.what.keys() <= _live(type(config)) and bool(needs_restart(config, after))
            elif event.what not in OPERATIONS:
                raise Misplaced((*path, "what"), _OPERATION, word=event.what[:60], known=", ".join(OPERATIONS))
            else:
                restart = event.what == "reset"
            turns = isinstance(event.what, dict) or event.what == "go_on"
            if restart or (stopped and turns):
                epoch, stopped = epoch + 1, False
            step = 0 if restart else step
            if event.what == "diverged":
                if event.to is None or event.to > step or stopped:
                    raise Misplaced((*path, "to"), _BACK, step=event.step, to=event.to)
                step, stopped = event.to, True
            if event.what == "moved" and event.on is None:
                raise Misplaced(path, _MOVED, step=event.step)
            yield Moment(event, config, after, epoch, step)
            config = after
        if self.end.epoch != epoch or self.end.step < step:
            raise Misplaced(("end",), _ORDER, epoch=self.end.epoch, step=self.end.step, at_epoch=epoch, at_step=step)

    def n_steps(self) -> int:
        """Training steps from the first to the end, those included that a divergence undid."""
        total = at = 0
        for moment in self.moments():
            total, at = total + moment.event.step - at, moment.step
        return total + self.end.step - at


class Misplaced(Refused):
    """A refusal that knows where in the JSON value its cause stands."""

    def __init__(self, path: tuple[str | int, ...], template: str, **values: Any):
        super().__init__(template, **values)
        self.path = path


def refused_knobs(error: Exception, path: tuple[str | int, ...], values: dict[str, Any]) -> Misplaced:
    """What is wrong with one of these knobs, and where it stands."""
    word, value, why = "", None, str(error).splitlines()[0][:200]
    if isinstance(error, ValidationError):
        word, value, why = problems(error)[0]
        why = _UNKNOWN if error.errors()[0]["type"] == "extra_forbidden" else why
    else:
        word = next((word for word in values if word in why), "")
        value = values.get(word)
        why = _UNKNOWN if why.startswith("unknown knob") else why
    if word not in values:
        return Misplaced(path, _KNOBS, why=why)
    return Misplaced((*path, word), _KNOB, word=word[:60], value=short(value), why=why)


def short(value: Any) -> str:
    """A value as a refusal names it."""
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


_ORDER = N_("step {step} of epoch {epoch} cannot come after step {at_step} of epoch {at_epoch}")
_OPERATION = N_("{word!r} is not an operation known here; known are {known}")
_BACK = N_("the run stopped after step {step}, but “to” = {to} is no step to go back to")
_MOVED = N_("at step {step} the run moved, but “on” does not say what it ran on")
_UNKNOWN = "not a knob of this task and gate"
_KNOB = "{word} = {value}: {why}"
_KNOBS = "{why}"

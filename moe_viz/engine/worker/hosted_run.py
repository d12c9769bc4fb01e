"""One run inside a host: its trainer, its lease, its pace and what it has cost so far. No transport, no threads."""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from moe_viz.engine.protocol import EngineError, OutOfMemory, Update
from moe_viz.engine.storage.branch_points import BranchPoints
from moe_viz.engine.worker.answers import Answers
from moe_viz.logs import event
from moe_viz.records.snapshot import Snapshot
from moe_viz.spec import Config, RunConfig
from moe_viz.spec.describe import write
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Knobs, Sentence

log = logging.getLogger(__name__)

CATCH_UP_S = 0.25
"""A paced run makes up for delays up to this long and forgets longer ones: no drift from jitter, no burst after a stall."""
WIDE_BUFFERS = 4
"""Capacity factors above this are the first to be turned down where memory ends: the buffers are mostly empty."""
VISIBLE_S = 0.1
"""Two steps closer than this look like one: only slower runs must be kept from catching up in a burst."""
RATE_WINDOW_S = 5.0


@dataclass(frozen=True)
class Detail:
    """How much an answer holds. rows: points per series; evaluate_s: least time between two measurements on held-out data while a run
    trains, which cost as much as several steps."""

    rows: int = 200
    evaluate_s: float = 0.0

    @classmethod
    def among(cls, active: int) -> Detail:
        """What all get where so many runs train: everything up to a handful, less for each of a class."""
        return cls() if active <= 4 else cls(200 if active <= 12 else 100, min(active / 4, 8.0))


@dataclass
class Account:
    """What one session's runs have cost together, in CPU seconds on the host's fair-share scale. owner: its token, "" where unknown."""

    owner: str = ""
    cost: float = 0.0
    furthest: float = 0.0
    """The most that one of its runs has spent."""


@dataclass
class HostedRun:
    """A trainer and how it is being served. Times are seconds of the host's clock."""

    id: str
    trainer: Any
    playing: bool
    seen: float
    """When a page last asked for it."""
    milestones: BranchPoints
    """Checkpoints along the run, for branches."""
    account: Account = field(default_factory=Account)
    spent: float = 0.0
    """Its own part of that cost since it last waited for long: within one account, the run that has spent least goes next."""
    acted: float = field(init=False)
    """When its reader last did more than look."""
    due: float = field(init=False)
    """When the next paced step belongs; `not_before` keeps two steps of a slow run at least half a period apart while it catches up."""
    not_before: float = -math.inf
    until: int | None = None
    """The step at which it waits, where one was named."""
    failure: EngineError | None = None
    notices: list[str] = field(default_factory=list)
    revision: int = 0
    """Rises when a knob is turned: the same step may then route differently."""
    saved: tuple[Any, ...] | None = None
    saved_at: float = -math.inf
    unsaved_reported: bool = False
    answers: Answers = field(default_factory=Answers, repr=False)
    """What was said of its reader's own texts and pictures."""
    group: list[HostedRun] = field(default_factory=list, repr=False)
    """The runs that advance in lock-step, this one among them: one list, shared. The first keeps the pace and pays for all."""
    _shown: tuple[Any, Snapshot] | None = None
    _evaluated: tuple[Any, float] = (None, -math.inf)
    _rate: deque[tuple[float, int, float]] = field(default_factory=deque)

    replay: Any = None
    """What plays a script in this run until it is at its end, see `moe_viz.training.replay`."""

    def __post_init__(self) -> None:
        self.replay = self.trainer.go_on_playing() if self.trainer.pending is not None else None
        self.due = self.acted = self.seen
        self.group = self.group or [self]

    @property
    def lead(self) -> HostedRun:
        return self.group[0]

    @property
    def cost(self) -> float:
        """CPU seconds charged to its session."""
        return self.account.cost

    def charge(self, seconds: float) -> None:
        self.account.cost += seconds
        self.spent += seconds
        self.account.furthest = max(self.account.furthest, self.spent)

    def catch_up(self, floor: float, credit: float) -> None:
        """What it left unused while it waited is lost, but for a little: otherwise it would starve the others on its return."""
        self.account.cost = max(self.account.cost, floor - credit)
        self.spent = max(self.spent, self.account.furthest - credit)

    @property
    def behind(self) -> list[HostedRun]:
        """Who of the group steps next: all where they are level, otherwise those with the fewest steps."""
        sound = [run for run in self.group if run.healthy]
        lowest = min((run.trainer.step_number for run in sound), default=0)
        return [run for run in sound if run.trainer.step_number == lowest]

    @property
    def level(self) -> bool:
        return len({run.trainer.step_number for run in self.group if run.healthy}) < 2

    @property
    def speed(self) -> float:
        """Steps per second; infinite at full speed."""
        speed = self.trainer.config.speed
        return math.inf if speed == "full" or self.replay is not None else float(speed)

    @property
    def version(self) -> tuple[Any, ...]:
        """Changes whenever what a page would see changes."""
        return (self.trainer.epoch, self.trainer.step_number, self.trainer.state, self.revision)

    @property
    def healthy(self) -> bool:
        return self.failure is None and self.trainer.state != "diverged"

    @property
    def state_to_save(self) -> tuple[Any, ...]:
        return (self.version, self.playing)

    @property
    def unsaved(self) -> bool:
        """Whether a checkpoint would add anything. A broken run keeps its last good one, where there is one."""
        return self.saved is None or (self.healthy and self.saved != self.state_to_save)

    def next_step(self, leased_since: float) -> float:
        """When its group may take its next step (-inf: at once), infinite where it may not (paused, unread since `leased_since`, failed),
        and for all but the first of a group."""
        if self is not self.lead or self.seen < leased_since or not any(run.healthy for run in self.group):
            return math.inf
        if not self.level:
            return -math.inf  # also while paused: only runs that have done equally many steps can be compared
        if (
            self.resting
            or not self.playing
            or self.speed == 0
            or (self.until is not None and self.trainer.step_number >= self.until)
        ):
            return math.inf
        return -math.inf if math.isinf(self.speed) else max(self.due, self.not_before)

    @property
    def resting(self) -> bool:
        """Whether all of its group have come to an end of their own and wait there. One that plays a script has that script's end."""
        return self.replay is None and all(run.trainer.at_rest for run in self.group if run.healthy)

    def step(self) -> None:
        """One training step: the run's next, or that of the script that it plays."""
        if self.replay is None:
            self.trainer.step()
            return
        try:
            self.replay.advance(1)
        except ValueError as error:  # it has left the script's path
            self.trainer.pending = self.replay = None
            self.failure = EngineError(_LEFT_ITS_PATH, why=str(error))
            return
        if self.replay.finished:
            self.notices.append(_outcome(self.replay))
            self.replay, self.playing = None, False
            self.revision += 1

    def refuse_while_it_plays(self) -> None:
        """Raises EngineError while the run is being made from a script: what is done meanwhile would not be in it."""
        if self.replay is not None:
            raise EngineError(
                N_("This run is just being made from its script. Wait until it is at its end, or cancel it.")
            )

    def stepped(self, now: float, cost: float) -> None:
        """Account for one step that ended at `now`."""
        if 0 < self.speed < math.inf:
            period = 1 / self.speed
            self.due = max(self.due + period, now - CATCH_UP_S)
            self.not_before = now + period / 2 if period >= VISIBLE_S else now
        if self._rate and now - self._rate[-1][0] < 0.25:
            since, steps, seconds = self._rate[-1]
            self._rate[-1] = (since, steps + 1, seconds + cost)
        else:
            self._rate.append((now, 1, cost))
        while self._rate[0][0] < now - RATE_WINDOW_S:
            self._rate.popleft()

    def waited(self, seconds: float) -> None:
        """What its last steps took on the device after the host had asked for all of them."""
        if self._rate:
            since, steps, spent = self._rate[-1]
            self._rate[-1] = (since, steps, spent + seconds)

    def hurry(self, now: float) -> None:
        """After a change of speed or a pause: no waiting for a step that the old speed had put far ahead."""
        period = 1 / self.speed if self.speed > 0 else math.inf
        self.due, self.not_before = max(min(self.due, now + period), now), now

    def rate(self, now: float) -> float:
        """Steps per second of wall time over the last seconds."""
        recent = [item for item in self._rate if item[0] >= now - RATE_WINDOW_S]
        return sum(item[1] for item in recent) / max(now - recent[0][0], 0.25) if recent else 0.0

    def status(self, now: float, leased_since: float) -> dict[str, Any]:
        """For an operator: state, and over the last seconds `steps_per_second` and `ms_per_step` of CPU (None: no steps)."""
        recent = [item for item in self._rate if item[0] >= now - RATE_WINDOW_S]
        steps = sum(item[1] for item in recent)
        return {
            **self.trainer.config.names,
            "state": "failed" if self.failure else self.trainer.state,
            "step": self.trainer.step_number,
            "playing": self.playing,
            "active": self.healthy and self.lead.next_step(leased_since) < math.inf,
            "unread_s": now - self.seen,
            "steps_per_second": self.rate(now),
            "ms_per_step": 1000 * sum(item[2] for item in recent) / steps if steps else None,
        }

    def snapshot(self, paused: bool, now: float = math.inf, detail: Detail = Detail()) -> Snapshot:
        """The newest snapshot, computed once per version; one that fails leaves the last good one with a message."""
        evaluate = paused or now - self._evaluated[1] >= detail.evaluate_s
        known = self._shown is not None and self._shown[0] == self.version
        if self.failure is None and not (known and (self._evaluated[0] == self.version or not evaluate)):
            snapshot = self.trainer.snapshot() if evaluate else self.trainer.snapshot(evaluate=False)
            self._shown = (self.version, snapshot)  # in this order: looking may be what finds a divergence
            if evaluate:
                self._evaluated = (self.version, now)
            if self.trainer.state == "diverged":
                event(log, "run_diverged", run=self.id, step=self.trainer.step_number)
        if self._shown is None:
            raise self.failure or EngineError(N_("This run has nothing to show yet."))
        snapshot = self._shown[1]
        if self.failure is not None:
            return replace(snapshot, state="failed", message=str(self.failure))
        if self.trainer.state == "diverged":
            return snapshot
        return replace(snapshot, state="paused" if paused else "running")

    def update(self, since: tuple[int, int] | None = None, now: float = math.inf, detail: Detail = Detail()) -> Update:
        """The answer to a reader."""
        snapshot = self.snapshot(not self.playing, now, detail)
        # a reader who has seen nothing is shown the present beginning only: after a reset the old run's curves are not its own
        beginning = self.trainer.epoch if since is None else None
        history = self.trainer.history.rows(since, limit=detail.rows, epoch=beginning)
        playing, epoch = self.playing and self.healthy, self.trainer.epoch
        played = None if self.replay is None else (self.replay.done, self.replay.total)
        return Update(snapshot, history, playing, epoch, self.take_notices(), self.lead.rate(now), played)

    def take_notices(self) -> list[str]:
        notices, self.notices = self.notices, []
        return notices


def _outcome(replay: Any) -> Sentence:
    """What a reader is told of a script that has been played to its end."""
    if replay.parted is None:
        return Sentence(
            N_("The script was played to its end, step {step}: the same run, bit for bit."), step=replay.run.step_number
        )
    epoch, step = replay.parted
    if replay.provenance_differences:
        there, here = next(iter(replay.provenance_differences.values()))[::-1]
        return Sentence(_OTHER_PROVENANCE, step=step, there=there, here=here)
    return Sentence(_NOT_THE_SAME, step=step, epoch=epoch)


def no_memory(config: Config) -> OutOfMemory:
    """A request for which there was no memory, with the knob that helps most."""
    flat, fields = config.flat(), config.fields()
    if not isinstance(config, RunConfig):
        fewer = max(config.n_experts // 2, 1)
        return OutOfMemory(_NO_MEMORY, knob=Knobs([(fields["n_experts"].title or "n_experts",)]), value=write(fewer))
    word = "micro_batches" if config.micro_batches < 16 else "batch_tokens"
    if (flat.get("capacity_factor") or 0) > WIDE_BUFFERS:
        word = "capacity_factor"
    value = 2 * config.micro_batches if word == "micro_batches" else write(flat[word] / 2)
    return OutOfMemory(_NO_MEMORY, knob=Knobs([(fields[word].title or word,)]), value=value)


def stopped_by_the_device(step: int) -> EngineError:
    """Why a run is stopped that has ended the process before this one."""
    return EngineError(_DEVICE_ERROR, step=step)


_NO_MEMORY = N_(
    "There is not enough memory for this now; nothing has changed. This helps: {knob} set to {value}, or a smaller model."
)
_NO_MEMORY_TO_GO_ON = N_(
    "Out of memory: the run has stopped at step {step}, also at a second try. This helps: {knob} set to {value}; it then goes on."
)
_DEVICE_ERROR = N_(
    "The computing device has reported an error in this run, after step {step}, and had to be started again; the other runs went on. Reset the run, or turn a knob, to go on."
)
_OTHER_PROVENANCE = N_(
    "The script was played to its end, but its run was made on something else ({there}, here {here}): the parameters differ from step {step} on."
)
_NOT_THE_SAME = N_(
    "The script was played to its end, but it is not the run that was written: the parameters differ first at step {step} of epoch {epoch}."
)
_LEFT_ITS_PATH = N_(
    "The script cannot be played to its end: {why}. The run stands where it came to; reset it to start again."
)


def failure_of(error: Exception, step: int) -> EngineError:
    """What the reader is told when a run's own error has stopped it; the traceback goes to the log."""
    if isinstance(error, OutOfMemory):
        return EngineError(_NO_MEMORY_TO_GO_ON, step=step, **error.values)
    return EngineError(
        N_("The run has stopped at step {step} because of an error in the program ({kind}). Reset it to go on."),
        step=step,
        kind=type(error).__name__,
    )

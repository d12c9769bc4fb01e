"""What a page may ask of the engine, declared once. `worker.Host` does it; `client.LocalEngine` and the cluster carry it there.

Every argument and result is a plain picklable value. Errors that a user can cause come back as `EngineError` with a
readable message; a lost worker is `WorkerLost`.

To add a call: declare it in `Engine` with `@call`, a docstring for its body, the run's id first and called `run_id`; give `Host` (or a part
of it: `worker/analysis_calls`, `stored_run_calls`) the method that does it. Nothing else: pages can call it on `engine()`, on one machine and on a cluster.
A call that makes runs says `born`, how their ids follow from its result; without it a cluster could not find them again.
"""

# pyright: reportReturnType=false
# a declaration has its docstring for a body

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.engine.calls import Call, R, Request, call, call_of, calls_of
from moe_viz.records import mixture as mixtures
from moe_viz.records.analysis import Analysis
from moe_viz.records.assignment import AssignmentLosses
from moe_viz.records.gate_map import GateMap
from moe_viz.records.model_size import ModelSize
from moe_viz.records.script import Script
from moe_viz.records.snapshot import Continuation, Snapshot
from moe_viz.records.step_story import StepStory
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import Config


class EngineError(Exception):
    """A request the engine refuses; the message is for the user.

    `template` (marked with `N_`) and `values` are kept apart, so that a page can translate: `_(e.template).format(**e.values)`.
    """

    def __init__(self, template: str, **values: Any):
        super().__init__(template.format(**values) if values else template)
        self.template, self.values = template, values

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.template, self.values)


class WorkerLost(EngineError):
    """The training process is gone; `resume` starts it again from the last checkpoint."""


class RunRefused(EngineError):
    """The run has ended the training process again and again: it is kept, but not started any more."""


class TooCostly(EngineError):
    """A config that this server does not run, however empty it is."""


class OutOfMemory(EngineError):
    """Memory ended in this one request, also at the second try; nothing else has changed."""


class InputRefused(EngineError):
    """What the reader has given cannot be used by a run with these settings, however often it is sent."""


class UnknownRun(EngineError):
    """Neither running nor stored: the id is wrong, or the run was evicted long ago."""


class Full(EngineError):
    """No room now. `position`: this session's place in line, held by asking again; `wait_s`: how long it may take (None: not known)."""

    def __init__(self, template: str, **values: Any):
        super().__init__(template, **values)
        self.position: int = values.get("position", 0)
        self.wait_s: float | None = values.get("wait_s")


def _rebuild(kind: type[EngineError], template: str, values: dict[str, Any]) -> EngineError:
    return kind(template, **values)


@dataclass(frozen=True)
class Update:
    """Answer to `read`: the newest snapshot and the history rows the page has not seen.

    history: columns `epoch` (rises with each restart of the run), `step` and one per scalar metric / per layer (`drop_rate.0`) / per
    expert (`load.0.3`); at most 200 rows, evenly thinned where more are new. To a page that has seen none: of the present beginning only.
    """

    snapshot: Snapshot
    history: pd.DataFrame
    playing: bool
    epoch: int
    notices: list[str] = field(default_factory=list)
    steps_per_second: float = 0.0
    """Of wall time, over the last seconds."""
    played: tuple[int, int] | None = None
    """While the run is being made from a script: steps done, and steps in all."""


@dataclass(frozen=True)
class KeptRun:
    """A run as a list of runs shows it. config: flat; step: None where its checkpoint cannot be read; playing: whether it trains at this
    moment; seen: when it was last saved (Unix time); bytes: on disk."""

    run_id: str
    name: str
    config: dict[str, Any]
    step: int | None
    playing: bool
    pinned: bool
    seen: float
    bytes: int


class Engine:
    """The calls a page makes. A run id is an unguessable string. Every call that names a run renews its lease.

    A subclass either carries all of them elsewhere (`carry`) or does each of them itself.
    """

    def __init_subclass__(cls) -> None:
        missing = [name for name in CALLS if call_of(getattr(cls, name)) is not None]
        if missing and cls.carry is Engine.carry:
            raise TypeError(f"{cls.__name__} neither does {', '.join(missing)} nor carries calls elsewhere")

    def carry(self, request: Request[R]) -> R:
        """Have a request done elsewhere; its answer."""
        raise NotImplementedError

    @call(starts=True, born=lambda run_id: [run_id])
    def open(self, config: Config, playing: bool = True, owner: str = "") -> str:
        """Start a run; its id.

        owner: an unguessable token of the session. All runs of one owner share one session's part of the CPU, and it holds the place in line:
        where there is no room, `Full` says which one, and asking again within ten seconds keeps it.
        """

    @call(starts=True, born=list)
    def open_group(self, configs: Sequence[Config], playing: bool = True, owner: str = "") -> list[str]:
        """Start runs that advance in lock-step: one step each in turn, so that all have done equally many whenever a page looks.

        They share play, pause, step, reset and speed (the first config's): one call on any of them moves all. Other knobs are each run's
        own; one that restarts its run restarts all. A run that diverges or fails stays where it stopped while the others go on.
        """

    @call
    def set(self, run_id: str, **knobs: Any) -> list[str]:
        """Turn knobs (flat words). Live ones take effect at the next step, others restart the run. What was done, in plain sentences."""

    @call
    def play(self, run_id: str, playing: bool) -> None:
        """Let a run train, or pause it."""

    @call
    def step_once(self, run_id: str) -> None:
        """One training step, also while paused."""

    @call
    def reset(self, run_id: str) -> None:
        """Start again from step 0 with the present config."""

    @call(reads=True)
    def read(self, run_id: str, since: tuple[int, int] | None = None) -> Update:
        """Newest snapshot plus history after (epoch, step) `since`; wakes a run that paused or was released for want of a reader.

        Where others wait, a run that its reader has paused makes room for them; it is then read as it was when it left.
        """

    @call(reads=True)
    def read_group(self, run_ids: list[str]) -> list[Update]:
        """`read` of several runs at one moment: nothing trains in between. Those of a group are at the same step, but for one that
        stopped, and one that comes back from an older checkpoint or last sound step, for which the others wait."""

    @call
    def all_rows(self, run_id: str) -> pd.DataFrame:
        """Every row of the history that is kept, of all epochs; `read` hands over a thinned view of it."""

    @call
    def route_text(self, run_id: str, text: str) -> list[RoutingTrace]:
        """Route the reader's own text through the live model; one trace per layer. InputRefused where the task is not text."""

    @call
    def route_image(self, run_id: str, data: bytes) -> tuple[list[RoutingTrace], np.ndarray]:
        """Route the reader's own picture (a PNG, JPEG or WebP file) through the live model; one trace per layer, and the picture as the
        model sees it: [H, W] or [H, W, 3] in 0..1. InputRefused where the task has no images and for any file that is refused."""

    @call
    def continue_text(self, run_id: str, text: str, n_tokens: int, temperature: float) -> Continuation:
        """`text` and `n_tokens` more tokens by the model, drawn at `temperature` (0 to 10), with how all are routed.

        EngineError where the task is not text.
        """

    @call
    def keyframe(self, run_id: str, step: int, epoch: int | None = None) -> list[RoutingTrace]:
        """The probe batch's routing at the kept moment nearest to `step` (by default of the present epoch); [] if none is kept."""

    @call
    def keyframe_steps(self, run_id: str) -> list[tuple[int, int]]:
        """(epoch, step) of each kept moment of the probe batch's routing, oldest first."""

    @call
    def first_choices(self, run_id: str, layer: int, epoch: int | None = None) -> tuple[list[int], np.ndarray]:
        """Steps of (at most 64 of) the kept moments of one epoch, and each token's first expert then: [S, T] int16, -1 = none."""

    @call
    def checkpoint_steps(self, run_id: str) -> list[tuple[int, int]]:
        """(epoch, step) of each checkpoint from which `fork` can start, oldest first."""

    @call(born=lambda branch: [branch[0]])
    def fork(self, run_id: str, step: int, epoch: int | None = None, **knobs: Any) -> tuple[str, int]:
        """A new run that branches off at the last checkpoint up to `step`, live knobs turned: its id and the step it starts from.

        The original goes on untouched. Without knobs the branch repeats the original, bit for bit on CPU, as long as no knob was turned in
        that either. EngineError where no checkpoint is left, and for a knob that a running model cannot take.
        """

    @call
    def analyse(self, run_id: str) -> Analysis:
        """This moment on a larger held-out batch, with the experts' geometry and how routing has changed; kept per step."""

    @call
    def switch_off(self, run_id: str, step: int, layer: int, expert: int | None) -> np.ndarray:
        """[S] mean loss of each analysed sequence with one expert of a layer silent (None: with all). `step`: that of the last analysis."""

    @call
    def look(self, run_id: str, names: list[str]) -> dict[str, Any]:
        """Columns of an exercise's check that are measured on demand (`LOOKED_AT` of `lessons.check_parser`), as they are now; per layer as
        lists. The history's newest row gets them, too. EngineError for other names."""

    @call
    def measure(self, run_id: str, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """What an exercise measures on the run as it stands, without a step and without leaving a knob turned. EngineError where it cannot be.

        knobs: settings {name: flat words}, columns → {name: {column: value}};  edit: settings, text, after → {name: {"routes_changed_before": share}};
        texts: group, layer, texts {name: text} → {name: {"share_to": share}};  slots: answer, tokens, slots → {"mine" | "random" | "best": {"loss": loss}};
        by_hand: nothing → logits, capacity, marked, truth;  switched_off: layer → marked, rises;  matrix: tokens → {"loss": [T][E + 1]}
        """

    @call
    def gate_map(self, run_id: str, layer: int, resolution: int = 64) -> GateMap:
        """Which expert owns each of R × R places of the plane now; kept per step. EngineError where the task is not in the plane."""

    @call
    def model_size(self, run_id: str) -> ModelSize:
        """How many numbers each part of the run's model holds, counted from its tensors."""

    @call
    def assignment_losses(self, run_id: str, deal: int) -> AssignmentLosses:
        """What every assignment of twelve held-out tokens (`deal`, from 0) to experts would cost. EngineError where the task is not points."""

    @call
    def train_to(self, run_id: str, step: int) -> int:
        """Let a run train up to `step` and wait there; the steps it has done. EngineError where it has stopped for an error."""

    @call
    def dissect(self, run_id: str, token: int, layer: int) -> StepStory:
        """The run's next training step as one token of its batch meets it in one layer, down to the router's weights. Changes nothing.

        EngineError where the batch has no such token, the model no such layer, or the run has diverged.
        """

    @call
    def mixture(self, run_id: str, step: int | None = None) -> mixtures.MixturePicture:
        """A mixture as it was at the kept moment nearest to `step` of its present beginning (None: now). EngineError for a network."""

    @call(reads=True)
    def describe(self, run_ids: list[str]) -> list[KeptRun]:
        """Those of `run_ids` that are kept, in that order. It renews no lease and wakes no run."""

    @call
    def rename(self, run_id: str, name: str) -> None:
        """Call a run something; at most 60 characters."""

    @call
    def pin(self, run_id: str, pinned: bool) -> None:
        """Keep a run from being removed when the server's room for runs is used up. EngineError where pinned runs fill their half of it."""

    @call(born=lambda run_id: [run_id])
    def copy(self, run_id: str) -> str:
        """A new run that stands where this one stands, history included; its id. It waits to be played."""

    @call
    def delete(self, run_id: str) -> None:
        """Remove a run and everything kept of it. No error where there is none."""

    @call
    def export(self, run_id: str) -> bytes:
        """The run as one file: settings, version, definitions of its numbers, history, checkpoint."""

    @call(starts=True, born=lambda run_id: [run_id])
    def import_run(self, data: bytes, name: str = "") -> str:
        """A new run from such a file, waiting to be played; its id. EngineError where the file is too large, damaged or something else."""

    @call(reads=True)
    def script(self, run_id: str, figures: bool = True) -> Script | None:
        """What the run is a pure function of. None for a run of a version that kept none.

        figures: with the hash of its parameters now and rows of its history, to compare a replay with.
        """

    @call(starts=True, born=lambda run_id: [run_id])
    def open_script(self, data: bytes, own: tuple[str, ...] = (), name: str = "") -> str:
        """A new run that plays a script (the content of its file) from step 0 at full speed, and waits at its end; its id.

        own: contents of the reader's own data that the script may hold back. Until it is at its end `read` says how far it is, nothing can
        be turned, and `delete` is how to cancel. EngineError, naming line and value, where the file is no script that can be played here.
        """

    @call
    def resume(self, run_id: str) -> None:
        """Bring a run back from its last checkpoint, after a lost worker or a long absence."""

    @call
    def release(self, run_id: str) -> None:
        """The page is gone: pause, keep a checkpoint."""

    @call
    def status(self) -> dict[str, Any]:
        """For an operator: totals, each run by the first letters of its id, the process and its machine."""


CALLS = calls_of(Engine)


def called(request: Request[Any]) -> Call:
    """What is declared of the call that a request names. Raises EngineError where there is no such call."""
    if request.name not in CALLS:
        raise EngineError(f"{request.name!r} is not a call of the engine")
    return CALLS[request.name]

"""Trainer: a run and all that looks at it. What looks never changes the run, so each of these methods may be called at any step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from moe_viz.records.analysis import Analysis
from moe_viz.records.assignment import AssignmentLosses
from moe_viz.records.gate_map import GateMap
from moe_viz.records.model_size import ModelSize
from moe_viz.records.script import Script
from moe_viz.records.snapshot import Continuation
from moe_viz.records.step_story import StepStory
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch, ProbeLabels
from moe_viz.training.files import figures, run_file
from moe_viz.training.inspect import exercise, own_input, probe
from moe_viz.training.inspect.analysis import Analyser
from moe_viz.training.inspect.assignment import assignment_losses
from moe_viz.training.inspect.gate_map import gate_map
from moe_viz.training.inspect.model_size import model_size
from moe_viz.training.inspect.step_trace import dissect
from moe_viz.training.replay import Replay, replay
from moe_viz.training.run import Run


class Trainer(Run):
    """One run of `config`, see `Run`. Raises ValueError for a device that is absent."""

    def _begin(self, config: RunConfig) -> None:
        super()._begin(config)
        self._analyser: tuple[Any, Analyser] | None = None
        self._gate_map: tuple[Any, GateMap] | None = None

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

    def trace(self, batch: Batch, labels: ProbeLabels) -> list[RoutingTrace]:
        """How the present model routes a batch, one trace per layer; nothing about the run changes."""
        routings = probe.route(self.model, batch, self.config, self.step_number, self.device)
        return probe.traces_of(routings, labels, self.config, self.step_number)

    def route_text(self, text: str) -> list[RoutingTrace]:
        """Route the reader's own text, one trace per layer. Raises ValueError where the task is not text or the text is empty or too long."""
        return own_input.route_text(self, text)

    def route_image(self, data: bytes) -> tuple[list[RoutingTrace], np.ndarray]:
        """Route the reader's own picture: one trace per layer, and what the model sees of it. ValueError where the task or the file will not do."""
        return own_input.route_image(self, data)

    def continue_text(self, text: str, n_tokens: int = 40, temperature: float = 0.8) -> Continuation:
        """Let the language model write on. Raises ValueError as `route_text` does, and for a bad `n_tokens` or `temperature`."""
        return own_input.continue_text(self, text, n_tokens, temperature)

    def analyse(self) -> Analysis:
        """This moment on a larger held-out batch (tens of milliseconds); the same object again while nothing has changed."""
        self.collect()
        now = (self.epoch, self.step_number, self.config)
        if self._analyser is None or self._analyser[0] != now:
            self._analyser = (now, Analyser(self))
        return self._analyser[1].analysis

    def switch_off(self, step: int, layer: int, expert: int | None) -> np.ndarray:
        """[S] mean loss of each analysed sequence at the analysed `step` with one expert silent (None: with all of them).

        Raises ValueError where the last analysis was of another step, or layer or expert are out of range.
        """
        if self._analyser is None or (self._analyser[1].epoch, self._analyser[1].step) != (self.epoch, step):
            raise ValueError(f"step = {step} is not the one that was analysed last; analyse the run again")
        return self._analyser[1].losses(layer, expert)

    def look(self, names: Sequence[str]) -> dict[str, Any]:
        """Columns of a check that are measured on demand, as they are now; the history's newest row gets them. ValueError for other names."""
        return exercise.look(self, names)

    def measure(self, kind: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What an exercise measures on the run as it stands, see `inspect.exercise.MEASURES`. Raises ValueError for what cannot be measured."""
        return exercise.measured(self, kind, **wanted)

    def dissect(self, token: int, layer: int) -> StepStory:
        """The next training step as one of its tokens meets it in one layer; nothing about the run changes. Raises ValueError for none such."""
        return dissect(self, token, layer)

    def assignment_losses(self, deal: int) -> AssignmentLosses:
        """What every assignment of twelve held-out tokens (`deal`, from 0) to experts would cost. ValueError for runs that are not of points."""
        return assignment_losses(self, deal)

    def gate_map(self, layer: int, resolution: int = 64) -> GateMap:
        """Which expert owns each place of the plane; the same object again while nothing has changed. ValueError for other tasks."""
        now = (self.epoch, self.step_number, self.config, layer, resolution)
        if self._gate_map is None or self._gate_map[0] != now:
            self._gate_map = (now, gate_map(self, layer, resolution))
        return self._gate_map[1]

    def model_size(self) -> ModelSize:
        """How many numbers each part of the model holds."""
        return model_size(self.model)

    def exported(self, most_bytes: int, name: str = "") -> bytes:
        """The run as one file for others, see `moe_viz.training.files.run_file`."""
        return run_file.export(self, most_bytes, name)

    @classmethod
    def imported(cls, data: bytes, allow: Callable[[RunConfig], None]) -> tuple[Self, str]:
        """The run of such a file, and its name. `allow` may refuse its config by raising. ValueError for any other file."""
        return run_file.imported(cls, data, allow)

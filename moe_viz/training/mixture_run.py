"""MixtureRun: the fit of a classical mixture as a run: an iteration is its step, and every iteration can be looked at again.

Two fits of one config are equal bit for bit on the same kind of machine: nothing is random but the start, which the seed draws.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from moe_viz.mixtures.scales import Scale
from moe_viz.records.mixture import MixturePicture
from moe_viz.records.snapshot import Snapshot
from moe_viz.records.thinning import first_of_each
from moe_viz.spec import MixtureConfig
from moe_viz.tasks import mixture_data
from moe_viz.training import messages
from moe_viz.training.files.checkpoint import Checkpoint
from moe_viz.training.hostable_run import HostableRun
from moe_viz.training.mixture_fit import FLOOR, MixtureFit

FRAMES = "frames."
"""How the names of what a checkpoint holds of earlier iterations begin."""
MOST_FRAMES = 300
TOO_FAR = 1e12
"""A parameter of standardised columns that is larger, or no number, has left the data for good."""
PLACES = 121
"""Along x in a picture."""
PACE = frozenset({"speed", "iterations"})
"""Knobs that change nothing of the fit."""
_LAWFUL = ("competitive", "ascent", "constant_gaussian", 2)
SECONDS = "seconds"
"""The column of the processor's time since the start of this beginning; two machines never agree in it."""


class MixtureRun(HostableRun[MixtureConfig]):
    """One fit of `config`, see `ScriptedRun`. `at_rest` after `config.iterations` iterations since something last changed."""

    kind: ClassVar[str] = MixtureConfig.kind

    def _begin(self, config: MixtureConfig) -> None:
        self.config, self.device = config, torch.device("cpu")
        self.step_number, self.state, self.message = 0, "running", ""
        base = mixture_data.shipped(config.data, config.seed)
        self.data = mixture_data.load(config)
        x, y = _columns(base)
        ones = torch.ones(len(x), dtype=torch.float64)
        scales = Scale.of_inputs(x, ones), Scale.of_answers(y, ones)
        if config.data == "clumps":
            scales = (
                replace(scales[0], kept=scales[0].kept[:0], centre=scales[0].centre[:0], spread=scales[0].spread[:0]),
                scales[1],
            )
        with torch.no_grad():
            self.fit = MixtureFit(config, *_columns(self.data), *scales)
        self._changed_at, self._seconds = 0, 0.0
        self._gap: float | None = None
        self._gap_before: float | None = None
        self._frames: list[tuple[int, dict[str, Tensor]]] = []
        self._rows: list[tuple[int, dict[str, float]]] = []
        self._note_moment()

    @property
    def at_rest(self) -> bool:  # type: ignore[override]
        return self.step_number - self._changed_at >= self.config.iterations

    # -- fitting -----------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One iteration; none where the fit has diverged."""
        if self.state == "diverged":
            return
        before = {name: tensor.clone() for name, tensor in self.fit.tensors().items()}
        started = time.thread_time()
        try:
            self.fit.step()
        except ValueError:
            self._diverged(before)
            return
        self._seconds += time.thread_time() - started
        if not all((tensor.abs() < TOO_FAR).all() for tensor in self.fit.parameters().values()):
            self._diverged(before)
            return
        self.step_number += 1
        self._note_moment()

    def run(self, steps: int) -> None:
        """So many iterations, at rest or not; fewer where the fit diverges."""
        for _ in range(steps):
            self.step()
        self.collect()

    def _diverged(self, before: dict[str, Tensor]) -> None:
        self.collect()
        self.fit.take(before)
        self._writer.add(self._event("diverged", to=self.step_number))
        self.state = "diverged"
        self.message = messages.diverged(self.step_number + 1, float("nan"), self.step_number, self.config)

    def collect(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        columns = list(rows[0][1])
        self.history.append(
            columns, [step for step, _ in rows], np.array([[row[c] for c in columns] for _, row in rows])
        )

    def keep(self) -> None:
        """The figures of the present moment; what an iteration that diverges falls back to is the one before it."""
        self._last = self._metrics(self._gap_before)

    def _take_over(self, new: MixtureConfig, words: set[str]) -> list[str]:
        if not words <= PACE:
            self._changed_at = self.step_number
        if "points" in words:
            self.data = mixture_data.load(new)
            self.fit.see(*_columns(self.data))
        self.fit.turn(new)
        return []

    # -- looking -----------------------------------------------------------------------------------------------------------

    def snapshot(self, evaluate: bool = True) -> Snapshot:
        """This moment; `extras["mixture"]` is its `MixturePicture`."""
        self.collect()
        metrics = self._last
        config = self.config.flat()
        extras = {"mixture": self.picture(), "at_rest": self.at_rest}
        return Snapshot(self.step_number, config, metrics, [], self.state, self.message, extras)

    def picture(self, step: int | None = None) -> MixturePicture:
        """The mixture now, or at the kept iteration nearest to `step` of this beginning, beside the present points."""
        if step is None or not self._frames:
            return self._drawn(self.step_number)
        nearest, parameters = min(self._frames, key=lambda frame: (abs(frame[0] - step), -frame[0]))
        now = {name: tensor.clone() for name, tensor in self.fit.tensors().items()}
        try:
            self.fit.take({**parameters, FLOOR: now[FLOOR]})
            return self._drawn(nearest)
        finally:
            self.fit.take(now)

    def frame_steps(self) -> list[int]:
        """The iterations that can be looked at again, oldest first."""
        return [step for step, _ in self._frames]

    @torch.no_grad()
    def _drawn(self, step: int) -> MixturePicture:
        data, fit = self.data, self.fit
        left, right, _low, _high = data.limits
        grid = np.linspace(left, right, PLACES)
        at = fit.x_scale.into(torch.from_numpy(grid)[:, None])
        width = float(fit.y_scale.spread[0])
        log_gate = fit.log_gate(at)
        lines = fit.y_scale.back(fit.experts.mean(at)[..., 0])
        spread = (fit.experts.free["log_scale"] / 2).exp() * width
        prior, posterior, pull, squared = self._at_points()
        return MixturePicture(
            step=step,
            epoch=self.epoch,
            newest=self.step_number,
            x=data.x,
            y=data.y,
            places=data.places,
            grid=grid,
            lines=lines.T.numpy(),
            spread=spread[:, None].expand(-1, PLACES).numpy(),
            gate=log_gate.exp().T.numpy(),
            blend=(log_gate.exp() * lines).sum(1).numpy(),
            splits=fit.splits(at).numpy(),
            prior=prior.numpy(),
            posterior=posterior.numpy(),
            pull=pull.numpy(),
            error=squared.numpy(),
            limits=data.limits,
        )

    @torch.no_grad()
    def _at_points(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[N, E] each: prior, posterior, share of the pull, squared distance in parts of the variance of y."""
        fit = self.fit
        x, y = fit.points.x, fit.points.y
        prior = fit.log_gate(x)
        posterior = (prior + fit.experts.log_prob(x, y)).softmax(1)
        squared = (y - fit.experts.mean(x)[..., 0]).square()
        weight = prior.exp() if self.config.error in ("localised", "cooperative") else posterior
        force = weight if self.config.error == "cooperative" else weight * squared.sqrt()
        return prior.exp(), posterior, force / force.sum(1, keepdim=True).clamp_min(1e-300), squared

    @torch.no_grad()
    def _metrics(self, before: float | None) -> dict[str, Any]:
        """What a row of the history holds. before: the gap one step ago, None at the start.

        loss              what is lowered, a point: minus the log-likelihood, or the error of squared distances;  log_likelihood  a point's (None with
                          errors that are no likelihood)
        blend_error       mean squared error of the blend, in parts of the variance of y;  nearest_error  of the nearest expert
        near_blend, near_expert   share of the points whose x cannot tell y that lie near the blend, near an expert (None: not asked of these data)
        experts_per_point  mean of exp H(g)
        gap               between the experts' mean answers, in standard deviations of y
        growth, growth_law   by how much the gap was multiplied in the last step, and by how much it is while it is small (None: no such law, or
                          no step yet): for two constant experts that climb the competitive error by plain steps of rate e, 1 + e (Var y / s^2 - 1) / 2
        share             [E] of the points: mean posterior
        """
        fit, config = self.fit, self.config
        prior, posterior, _pull, squared = self._at_points()
        answers = fit.experts.mean(fit.points.x)[..., 0]
        away = (fit.points.y[:, 0] - (prior * answers).sum(1)).abs()
        entropy = -(prior * prior.clamp_min(1e-300).log()).sum(1)
        near: tuple[float | None, float | None] = (None, None)
        if self.data.near is not None and self.data.ambiguous is not None and self.data.ambiguous.any():
            asked, reach = torch.from_numpy(self.data.ambiguous), self.data.near / float(fit.y_scale.spread[0])
            near = (
                float((away[asked] <= reach).double().mean()),
                float((squared.amin(1).sqrt()[asked] <= reach).double().mean()),
            )
        is_density = config.error in ("likelihood", "competitive")
        gap, law = float(answers.mean(0).amax() - answers.mean(0).amin()), None
        if (config.error, config.method, config.expert, config.n_experts) == _LAWFUL:
            variance = float(fit.points.y.var(correction=0))
            law = 1 + config.lr * (variance / config.sigma**2 - 1) / 2
        return {
            "loss": -fit.objective,
            "log_likelihood": fit.log_likelihood if is_density else None,
            "blend_error": float(away.square().mean()),
            "nearest_error": float(squared.amin(1).mean()),
            "near_blend": near[0],
            "near_expert": near[1],
            "experts_per_point": float(entropy.exp().mean()),
            "gap": gap,
            "growth": gap / before if law is not None and before else None,
            "growth_law": law,
            "share": posterior.mean(0).tolist(),
        }

    def _note_moment(self) -> None:
        """This iteration's row and frame."""
        metrics = self._last = self._metrics(self._gap)
        self._gap_before, self._gap = self._gap, metrics["gap"]
        row = {name: np.nan if value is None else value for name, value in metrics.items() if name != "share"}
        row |= {f"share.{expert}": value for expert, value in enumerate(metrics["share"])}
        self._rows.append((self.step_number, row | {SECONDS: self._seconds}))
        frame = {name: tensor.clone() for name, tensor in self.fit.parameters().items()}
        self._frames.append((self.step_number, frame))
        if len(self._frames) > MOST_FRAMES:
            kept = first_of_each(np.array(self.frame_steps()), MOST_FRAMES * 2 // 3)
            self._frames = [self._frames[index] for index in kept]

    # -- keeping -----------------------------------------------------------------------------------------------------------

    def _tensors(self) -> dict[str, Tensor]:
        return self.fit.tensors()

    def _to_keep(self) -> dict[str, Tensor]:
        kept = self.fit.tensors() | {
            f"{FRAMES}{name}": torch.stack([f[name] for _, f in self._frames]) for name in self.fit.parameters()
        }
        kept[f"{FRAMES}step"] = torch.tensor(self.frame_steps(), dtype=torch.int64)
        kept[f"{FRAMES}gap"] = torch.tensor(
            [self._gap_before] if self._gap_before is not None else [], dtype=torch.float64
        )
        kept[f"{FRAMES}{SECONDS}"] = torch.tensor([self._seconds], dtype=torch.float64)
        return kept

    def _stand_at(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        self.fit.take(tensors)
        self._rows = []
        self._frames = _frames_of(tensors, self.fit.parameters())
        self._seconds = float(tensors.get(f"{FRAMES}{SECONDS}", torch.zeros(1))[0])
        events = checkpoint.script.events if checkpoint.script is not None else ()
        turned = [
            e.step
            for e in events
            if e.epoch == checkpoint.epoch and isinstance(e.what, dict) and not e.what.keys() <= PACE
        ]
        self._changed_at = max(turned, default=0)
        before = tensors.get(f"{FRAMES}gap", torch.zeros(0, dtype=torch.float64))
        self._gap_before = float(before[0]) if len(before) else None
        self._last = self._metrics(self._gap_before)
        self._gap = self._last["gap"]


def _columns(data: mixture_data.MixtureData) -> tuple[Tensor, Tensor]:
    """x, y [N, 1] float64."""
    return torch.from_numpy(data.x.astype(np.float64))[:, None], torch.from_numpy(data.y.astype(np.float64))[:, None]


def _frames_of(tensors: dict[str, Tensor], parameters: dict[str, Tensor]) -> list[tuple[int, dict[str, Tensor]]]:
    """The frames of a checkpoint. Raises ValueError where they are not those of such a fit."""
    steps = tensors.get(f"{FRAMES}step")
    if steps is None:
        return []
    if steps.dtype != torch.int64 or steps.dim() != 1 or len(steps) > MOST_FRAMES:
        raise ValueError("the checkpoint's frames have no steps")
    stacks = {name: tensors.get(f"{FRAMES}{name}") for name in parameters}
    for name, stack in stacks.items():
        wanted = (len(steps), *parameters[name].shape)
        if stack is None or stack.shape != wanted or stack.dtype != parameters[name].dtype:
            raise ValueError(f"the checkpoint's frames of {name} are not {wanted}")
    return [
        (int(step), {name: stack[i] for name, stack in stacks.items() if stack is not None})
        for i, step in enumerate(steps)
    ]

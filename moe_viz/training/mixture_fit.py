"""MixtureFit: a mixture of experts while it is fitted, one iteration at a time, its whole state in tensors.

Gates, experts, errors and methods are those of `moe_viz.mixtures`; here stands where a fit begins, and how it is written down and taken up again.
All in standardised columns; y has one column. N points, E experts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moe_viz.mixtures.methods import Climb, Method, Points, make_method
from moe_viz.mixtures.scales import Scale, first_guess
from moe_viz.mixtures.tree import Tree
from moe_viz.spec import MixtureConfig

NU = 4.0
"""Degrees of freedom of `student_t`."""
FLOOR, OPTIMIZER = "model.floor", "optimizer."
LISTS, WHOLE, PLAIN = ("old_dirs", "old_stps", "ro"), ("func_evals", "n_iter"), ("t", "prev_loss")
"""What L-BFGS keeps as lists of tensors, as whole numbers and as other numbers; all else are tensors."""


class MixtureFit:
    """x, y [N, 1] float64 in their own units; x_scale, y_scale: of the data that the fit began with, whatever it sees later."""

    def __init__(self, config: MixtureConfig, x: Tensor, y: Tensor, x_scale: Scale, y_scale: Scale):
        self.config, self.x_scale, self.y_scale = config, x_scale, y_scale
        self.tree = Tree(config.branching, config.expert, config.gate, NU, config.ridge)
        self.points = self._seen(x, y)
        n_experts, count = config.n_experts, len(x)
        if config.start == "points":
            h = first_guess(self.points.x, self.points.y, n_experts, np.random.default_rng(config.seed))
        else:
            h = torch.full((count, n_experts), 1 / n_experts, dtype=torch.float64)
        self.tree.start(self.points.x, self.points.y, h)
        if config.start == "mean":
            weight = torch.zeros_like(self.experts.free["weight"])
            weight[:, -1, 0] = (torch.arange(n_experts, dtype=torch.float64) - (n_experts - 1) / 2) * config.apart
            self.experts.free["weight"] = weight
        self._method = self._make_method()

    # -- what it is --------------------------------------------------------------------------------------------------------

    @property
    def experts(self) -> Any:
        """The experts of the tree: regressions, as y is one number."""
        return self.tree.experts

    @property
    def objective(self) -> float:
        """What is climbed, a point: the log-likelihood, or minus the error."""
        return float(self._method.objective) / len(self.points.x)

    @property
    def log_likelihood(self) -> float:
        """A point's, of standardised y (and x, where the gate models it)."""
        return float(self._method.log_likelihood) / len(self.points.x)

    def log_gate(self, x: Tensor) -> Tensor:
        """log g [N, E]; leaves of a tree in depth-first order."""
        return self.tree.log_gate(x).log_softmax(1)

    def splits(self, x: Tensor) -> Tensor:
        """[nodes, N] the probability of each gate's first branch, level by level; [0, N] where the mixture is flat."""
        if not self.config.tree:
            return x.new_zeros(0, len(x))
        return torch.stack([gate.log_score(x).softmax(1)[:, 0] for level in self.tree.gates for gate in level])

    # -- what changes it ---------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One iteration of the method. Raises ValueError where it leaves the numbers."""
        self._method.step()

    def see(self, x: Tensor, y: Tensor) -> None:
        """Go on with these points; everything fitted stays."""
        self.points = self._seen(x, y)
        self._begin_anew()

    def turn(self, config: MixtureConfig) -> None:
        """Go on with a config in which only live knobs differ."""
        self.config = config
        self._begin_anew()

    def _seen(self, x: Tensor, y: Tensor) -> Points:
        return Points(self.x_scale.into(x), self.y_scale.into(y), None)

    def _begin_anew(self) -> None:
        """The method at the present state, with what it remembers of the way there."""
        remembered = self._optimizer()
        self._method = self._make_method()
        self._recall(remembered)

    def _make_method(self) -> Method:
        config = self.config
        if config.error != "likelihood":
            unit = torch.full((config.n_experts,), 2 * math.log(config.sigma), dtype=torch.float64)
            self.experts.free = {**self.experts.free, "log_scale": unit}
        # in units of sigma, in which the paper writes its error, a plain step is this much longer
        rate = config.lr * (config.sigma**2 if (config.error, config.method) == ("competitive", "ascent") else 1.0)
        return make_method(config.method, self.tree, self.points, config.error, config.sigma, rate)

    # -- its state ---------------------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Everything that defines its future, shared with it."""
        floor = torch.tensor(self.experts.floor, dtype=torch.float64)
        return self.parameters() | {FLOOR: floor} | self._optimizer()

    def parameters(self) -> dict[str, Tensor]:
        """Of experts and gates, shared with the fit."""
        return {
            f"model.{number}.{name}": value
            for number, part in enumerate(self.tree.parts)
            for name, value in part.free.items()
        }

    def take(self, tensors: dict[str, Tensor]) -> None:
        """Stand where these tensors say. Raises ValueError, before anything is changed, where they are not those of such a fit."""
        for name, tensor in self.parameters().items():
            given = tensors.get(name)
            if given is None or given.shape != tensor.shape or given.dtype != tensor.dtype:
                raise ValueError(f"the checkpoint does not fit its config: {name} is not {tuple(tensor.shape)} float64")
        remembered = {name: value.clone() for name, value in tensors.items() if name.startswith(OPTIMIZER)}
        if any(value.dtype != torch.float64 for value in remembered.values()):
            raise ValueError("the checkpoint's optimiser state is not float64")
        for number, part in enumerate(self.tree.parts):
            part.free = {name: tensors[f"model.{number}.{name}"].clone() for name in part.free}
        self.experts.floor = float(tensors.get(FLOOR, torch.tensor(self.experts.floor)))
        self._method = self._make_method()
        self._recall(remembered)

    def _optimizer(self) -> dict[str, Tensor]:
        """What the method remembers of its way, by leaf; EM and plain ascent remember nothing."""
        if not isinstance(self._method, Climb):
            return {}
        kept: dict[str, Tensor] = {}
        for number, state in self._method.optimiser.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, list):
                    there = [torch.as_tensor(part, dtype=torch.float64) for part in value if part is not None]
                    value = torch.stack(there) if there and name in LISTS else None
                if value is not None:
                    kept[f"{OPTIMIZER}{number}.{name}"] = torch.as_tensor(value, dtype=torch.float64).detach().clone()
        return kept

    def _recall(self, remembered: dict[str, Tensor]) -> None:
        if not isinstance(self._method, Climb) or not remembered:
            return
        leaves = self._method.optimiser.param_groups[0]["params"]
        if self.config.method == "gradient":
            self._method.optimiser.state[leaves[0]].update({name: [] for name in LISTS})
        for key, value in remembered.items():
            number, name = key.removeprefix(OPTIMIZER).split(".", 1)
            if int(number) >= len(leaves):
                raise ValueError(f"the checkpoint has optimiser state for leaf {number}, which the fit has not")
            if name in LISTS:
                kept: Any = list(value.unbind(0))
            else:
                kept = int(value) if name in WHOLE else float(value) if name in PLAIN else value
            if name == "step":
                kept = value.float()
            self._method.optimiser.state[leaves[int(number)]][name] = kept

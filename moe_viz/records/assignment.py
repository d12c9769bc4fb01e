"""Twelve tokens, a few slots: what every assignment of tokens to experts would cost, and how the rules of known routers do at it.

`AssignmentLosses` is measured on a trained model; the rules below are pure functions of it. An assignment is one expert for each token, from 0,
or `NONE`: left out. Axes: T tokens, E experts; every expert has equally many slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

NONE = -1


@dataclass(frozen=True)
class AssignmentLosses:
    """One deal of tokens in a model's last layer.

    losses [T, E + 1] float64: loss of token t through expert e alone, weighted by that expert's gate; last column: through none
    probs [T, E] float64: the gates;  untrained [T, E]: those of the same model before its first step
    tokens [T] str: how they are called;  groups [T] str: the cluster that each comes from;  slots: of each expert
    """

    step: int
    seed: int
    deal: int
    slots: int
    tokens: np.ndarray
    groups: np.ndarray
    losses: np.ndarray
    probs: np.ndarray
    untrained: np.ndarray

    @property
    def n_experts(self) -> int:
        return self.probs.shape[1]

    @property
    def random(self) -> float:
        """Mean loss over all full assignments: in these every token has every expert equally often."""
        return float(self.losses[:, :-1].mean())

    def loss(self, experts: np.ndarray) -> float:
        """Mean loss of an assignment [T]. Raises ValueError where an expert has more tokens than slots."""
        if (np.bincount(experts[experts != NONE], minlength=self.n_experts) > self.slots).any():
            raise ValueError(f"an expert has more than {self.slots} tokens")
        return float(self.losses[np.arange(len(experts)), experts].mean())  # NONE is the last column

    def score(self, experts: np.ndarray) -> float:
        """(random - mine) / (random - best): 0 is as good as chance, 1 the best that is possible. 0 where no assignment beats chance."""
        room = self.random - self.loss(best(self.losses, self.slots))
        return (self.random - self.loss(experts)) / room if room > 0 else 0.0

    def rivals(self) -> dict[str, np.ndarray]:
        """Name of each rule -> its assignment [T]."""
        return {
            "best": best(self.losses, self.slots),
            "by_gate": best_by_gate(self.probs, self.slots),
            "next_best": next_best_free(self.probs, self.slots),
            "model": first_come(self.probs, self.slots),
            "untrained": first_come(self.untrained, self.slots),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per token: its gates, and its loss through each expert and through none. Experts count from 1."""
        table = pd.DataFrame({"token": self.tokens, "cluster": self.groups})
        for e in range(self.n_experts):
            table[f"gate_{e + 1}"] = self.probs[:, e]
        for e in range(self.n_experts):
            table[f"loss_{e + 1}"] = self.losses[:, e]
        return table.assign(loss_none=self.losses[:, -1])


def first_come(probs: np.ndarray, slots: int) -> np.ndarray:
    """The model's own choice: each token asks for its best expert, first come, first served; who comes too late is left out. [T]"""
    taken, chosen = np.zeros(probs.shape[1], int), []
    for expert in probs.argmax(-1):
        chosen.append(expert if taken[expert] < slots else NONE)
        taken[expert] += 1
    return np.array(chosen, int)


def next_best_free(probs: np.ndarray, slots: int) -> np.ndarray:
    """In reading order each token takes the best expert that still has a slot; none is left out while there is one. [T]"""
    taken, chosen = np.zeros(probs.shape[1], int), []
    for row in probs:
        free = [expert for expert in np.argsort(-row, kind="stable") if taken[expert] < slots]
        chosen.append(free[0] if free else NONE)
        if free:
            taken[free[0]] += 1
    return np.array(chosen, int)


def best_by_gate(probs: np.ndarray, slots: int) -> np.ndarray:
    """The assignment with the largest sum of gates (BASE, Lewis et al. 2021, by probabilities). [T]"""
    return best(np.concatenate([-probs, np.zeros((len(probs), 1))], 1), slots)


def best(losses: np.ndarray, slots: int) -> np.ndarray:
    """The assignment [T] with the least sum of losses [T, E + 1], exactly: the least cost of every way to have filled the experts so far, token
    by token. There are (slots + 1)^E of these: made for a few experts with a few slots each."""
    n_tokens, n_experts = losses.shape[0], losses.shape[1] - 1
    ways: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {(0,) * n_experts: (0.0, ())}
    for row in losses.tolist():
        after: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {}
        for filled, (cost, chosen) in ways.items():
            for expert in range(NONE, n_experts):
                if expert == NONE:
                    then = filled
                elif filled[expert] < slots:
                    then = (*filled[:expert], filled[expert] + 1, *filled[expert + 1 :])
                else:
                    continue
                total = cost + row[expert]
                if then not in after or total < after[then][0]:
                    after[then] = total, (*chosen, expert)
        ways = after
    chosen = min(ways.values(), key=lambda way: way[0])[1]
    return np.array(chosen, int).reshape(n_tokens)

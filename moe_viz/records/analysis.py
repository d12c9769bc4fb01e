"""Analysis: one moment of a run seen on a larger, fixed held-out batch, for claims that need more than the probe batch can carry.

It is made on demand, never in a tick. In its traces `tokens` names the token *id* and nothing else (a byte, a word piece, a patch's
place), so that "the same token" means the same to every view. Axes: T tokens, E experts, L layers, S sequences, D domains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.trace import RoutingTrace


@dataclass(frozen=True)
class Geometry:
    """How alike the experts of one layer are, as numbers.

    router_cosine    [E, E] cosine between the experts' rows of the router; None where a router has no such rows
    expert_distance  [E, E] |W_i - W_j| / sqrt(|W_i|^2 + |W_j|^2) over all their weights: 0 the same, 1 unrelated, at most sqrt 2
    """

    layer: int
    router_cosine: np.ndarray | None
    expert_distance: np.ndarray


@dataclass(frozen=True)
class Analysis:
    """One moment of a run.

    step, epoch  when;  config  the run's flat config then;  traces, geometry  one per layer
    change  columns `step`, `layer`, `saturation` (choices of then that are still today's), `settled` (tokens that have stayed with their
            expert ever since), one row per keyframe of the probe batch and layer
    bias    columns `step` and `bias.<layer>.<expert>`: the selection bias whenever somebody looked; no rows where the router has none
    """

    step: int
    epoch: int
    config: dict[str, Any]
    traces: list[RoutingTrace]
    geometry: list[Geometry]
    change: pd.DataFrame
    bias: pd.DataFrame

    @property
    def n_layers(self) -> int:
        return len(self.traces)

    def sequence_groups(self) -> np.ndarray:
        """[S] domain of each sequence, in the order of their numbers."""
        _, first = np.unique(self.traces[0].sequence, return_index=True)
        return self.traces[0].group[first]


@dataclass(frozen=True)
class Ablation:
    """What is lost when one expert of a layer says nothing (its output is zero, the routing stays), one expert at a time.

    group [S] str domain of each sequence or image (the analysis batch, or its first half where experts are many);
    base [S] its mean loss with all experts;  off [E, S] the same without expert i
    """

    step: int
    layer: int
    group: np.ndarray
    base: np.ndarray
    off: np.ndarray

    @property
    def domains(self) -> list[str]:
        return sorted(set(self.group.tolist()))

    def change(self) -> np.ndarray:
        """[E, D] mean rise of the loss per domain, in the task's unit (nats per token on text)."""
        rise = self.off - self.base
        return np.stack([rise[:, self.group == domain].mean(1) for domain in self.domains], 1)

    def shuffled(self, seed: int = 0) -> Ablation:
        """The same with the domains of whole sequences permuted: an effect that stays is not about domains."""
        return replace(self, group=np.random.default_rng(seed).permutation(self.group))

    def table(self) -> pd.DataFrame:
        """One row per expert and domain: `expert`, `domain`, `change`, its standard error over the sequences (`error`), and the control:
        mean (`others`) and standard deviation (`others_sd`) of the change that the layer's other experts make in this domain.

        NaN where there is no other expert, or only one sequence.
        """
        rise, change = self.off - self.base, self.change()
        n_experts, rows = len(change), []
        for d, domain in enumerate(self.domains):
            here = rise[:, self.group == domain]
            error = here.std(1, ddof=1) / np.sqrt(here.shape[1]) if here.shape[1] > 1 else np.full(n_experts, np.nan)
            for i in range(n_experts):
                others = np.delete(change[:, d], i)
                control = (others.mean(), others.std()) if len(others) else (np.nan, np.nan)
                rows.append((i, domain, change[i, d], error[i], *control))
        return pd.DataFrame(rows, columns=["expert", "domain", "change", "error", "others", "others_sd"])

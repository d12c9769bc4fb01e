"""GateMap: which expert owns each place of the plane at one moment, with what probability, and what the model answers there.

Places are the centres of R × R fields that fill the square from -1 to 1; row 0 is the lowest, column 0 the leftmost. Axes: E experts,
N points on the picture, H held-out points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moe_viz.records.metrics import is_dead


@dataclass(frozen=True)
class GateMap:
    """One layer's map, made in evaluation mode.

    owner [R, R] int16, the first choice of a point there (kept or not); -1 = no expert.  probs [R, R, E] float32
    prediction [R, R] int16 class, -1 where no expert had room or asked.  points [N, 2] float32 and classes [N] int16: training data to show
    held_out_owner [H] int16, held_out_correct [H] bool: the points behind the task's accuracy
    batch_dependent: owners change with the other points of the batch (found out by routing half of the places alone)
    """

    step: int
    epoch: int
    layer: int
    router: str
    owner: np.ndarray
    probs: np.ndarray
    prediction: np.ndarray
    points: np.ndarray
    classes: np.ndarray
    held_out_owner: np.ndarray
    held_out_correct: np.ndarray
    batch_dependent: bool

    @property
    def resolution(self) -> int:
        return self.owner.shape[0]

    @property
    def n_experts(self) -> int:
        return self.probs.shape[2]


def grid(resolution: int) -> np.ndarray:
    """[R * R, 2] centres of the fields, row by row from below."""
    centres = (np.arange(resolution) + 0.5) * 2 / resolution - 1
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def to_frame(gate_map: GateMap) -> pd.DataFrame:
    """One row per place: x, y, expert and class (from 1; missing where there is none), and each expert's probability."""
    places, owner, answer = grid(gate_map.resolution), gate_map.owner.ravel(), gate_map.prediction.ravel()
    table = pd.DataFrame({"x": places[:, 0], "y": places[:, 1]})
    for name, values in (("expert", owner), ("predicted_class", answer)):
        table[name] = pd.Series(values + 1).where(values >= 0).astype("Int64")
    probs = gate_map.probs.reshape(len(table), -1)
    return table.assign(**{f"probability_{expert + 1}": probs[:, expert] for expert in range(gate_map.n_experts)})


def dead_owners(gate_map: GateMap, load: Sequence[float | None] | None) -> list[int]:
    """Experts (from 0) that are dead by their load [E] in training and own places of the map all the same. None: no load is known."""
    if load is None or None in load:
        return []
    owned = np.isin(np.arange(gate_map.n_experts), gate_map.owner)
    return np.flatnonzero(is_dead(np.asarray(load)) & owned).tolist()


def regions(gate_map: GateMap) -> pd.DataFrame:
    """The map as a table, one row per expert, and one for "none" (expert missing) where there is such a place.

    Columns: expert (from 0), share of the plane, mean_probability there (missing where it owns nothing), held_out (points of the held-out
    data that it owns), accuracy on them (missing where there are none).
    """
    owners = [*range(gate_map.n_experts), -1]
    rows = []
    for expert in owners:
        there, held = gate_map.owner == expert, gate_map.held_out_owner == expert
        if expert < 0 and not there.any() and not held.any():
            continue
        rows.append(
            {
                "expert": expert if expert >= 0 else None,
                "share": there.mean(),
                "mean_probability": gate_map.probs[..., expert][there].mean(dtype=np.float64)
                if there.any() and expert >= 0
                else None,
                "held_out": int(held.sum()),
                "accuracy": gate_map.held_out_correct[held].mean() if held.any() else None,
            }
        )
    return pd.DataFrame(rows).astype({"expert": "Int64", "mean_probability": "Float64", "accuracy": "Float64"})

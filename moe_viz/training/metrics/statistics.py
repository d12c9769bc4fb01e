"""What each training step leaves behind: one row of numbers, kept on the device in a ring until somebody looks.

Writing a row never waits for the device; reading copies all new rows to the host at once. Per step and layer a row holds sums
(routes asked for, routes kept, probabilities, gates, entropy, z), so that micro-batches add up and a moving window is a sum of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moe_viz.moe.balance import mass_of_experts
from moe_viz.moe.routing import Routing, SoftRouting, SparseRouting

RING_ROWS = 512
"""Steps a run can go before its rows must be read."""


@dataclass(frozen=True)
class StepRows:
    """N steps on the host. L layers, E experts; NaN where a layer's router has no such quantity.

    step [N] int64, steps done after it;  tokens [N] tokens trained on;  loss [N], grad_norm [N]
    asked, kept [N, L, E] routes;  mass [N, L, E] sum over tokens of the probabilities p_t
    gates [N, L, E] sum of the combine weights of the routes asked for, before any was dropped
    token_entropy, z [N, L] sum over tokens, of H(p_t) in nats and of logsumexp(logits)^2
    norms [N, L, 2, E] gradient norms (see gradient_norms.py), NaN where they were not asked for
    """

    step: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray
    grad_norm: np.ndarray
    asked: np.ndarray
    kept: np.ndarray
    mass: np.ndarray
    gates: np.ndarray
    token_entropy: np.ndarray
    z: np.ndarray
    norms: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.step)

    def __getitem__(self, part: slice) -> StepRows:
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        taken: dict[str, Any] = {name: None if values is None else values[part] for name, values in fields.items()}
        return StepRows(**taken)

    @property
    def finite(self) -> np.ndarray:
        """[N] bool: loss and gradient were finite, so the parameters after that step are too."""
        return np.isfinite(self.loss) & np.isfinite(self.grad_norm)

    def to_tensors(self, prefix: str) -> dict[str, Tensor]:
        """These rows for a checkpoint: `<prefix><field>`. Numbers were float32 on the device, so nothing is lost."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__ if getattr(self, name) is not None}
        return {
            prefix + n: torch.from_numpy(a if a.dtype == np.int64 else a.astype(np.float32)) for n, a in arrays.items()
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], prefix: str, n_layers: int, n_experts: int) -> StepRows | None:
        """What `to_tensors` made; None where there is none of it. Raises ValueError where it is of another shape."""
        given = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if not given:
            return None
        per_expert, wanted = (n_layers, n_experts), dict.fromkeys(("step", "tokens", "loss", "grad_norm"), ())
        wanted |= dict.fromkeys(("asked", "kept", "mass", "gates"), per_expert)
        wanted |= dict.fromkeys(("token_entropy", "z"), (n_layers,)) | {"norms": (n_layers, 2, n_experts)}
        count = len(given["step"]) if "step" in given and given["step"].ndim else 0
        forms = {name: tuple(tensor.shape) for name, tensor in given.items()}
        if forms != {name: (count, *form) for name, form in wanted.items() if name != "norms" or name in given}:
            raise ValueError(f"the last steps in the checkpoint do not fit its config: {forms}")
        return cls(**{n: t.numpy() if t.dtype == torch.int64 else t.double().numpy() for n, t in given.items()})

    @classmethod
    def join(cls, parts: Sequence[StepRows]) -> StepRows:
        columns = {name: [getattr(part, name) for part in parts] for name in cls.__dataclass_fields__}
        joined: dict[str, Any] = {
            n: None if any(p is None for p in column) else np.concatenate(column) for n, column in columns.items()
        }
        return cls(**joined)


@torch.no_grad()
def layer_sums(routing: Routing) -> list[Tensor]:
    """The sums of one layer over one (micro-)batch: asked, kept, mass, gates (each [E]), entropy [1], z [1]."""
    routing = routing.unpadded
    probs = routing.probs.detach()
    n_tokens = probs.shape[0]
    unknown = probs.new_full((1,), float("nan"))
    if routing.logits is None:  # no scores: nothing to be sure or unsure about
        entropy = z = unknown
    else:
        entropy = torch.special.entr(probs).sum().view(1)
        z = routing.aux["z"].detach().view(1) * n_tokens if "z" in routing.aux else _z_sum(routing.logits.detach())
    return [routing.pre_counts, routing.post_counts, probs.sum(0), _gate_sums(routing), entropy, z]


def _gate_sums(routing: Routing) -> Tensor:
    if isinstance(routing, SoftRouting):
        return routing.combine.detach().sum((0, 2))
    assert isinstance(routing, SparseRouting)
    weight = weight_before_drop(routing)
    # what a router never asked for may stand in its candidate list with any weight
    weight = torch.where(routing.requested, weight, 0.0)
    return mass_of_experts(weight, routing.route_expert, routing.route_token, routing.n_experts, routing.n_tokens)


def weight_before_drop(routing: SparseRouting) -> Tensor:
    """[M] the combine weight each route was given before any expert turned it away."""
    weight = routing.route_weight if routing.asked_weight is None else routing.asked_weight
    return weight.detach().float()


def _z_sum(logits: Tensor) -> Tensor:
    return logits.logsumexp(-1).square().sum().view(1)


class Statistics:
    """The ring. `add` once per micro-batch, `commit` once per step, `read` when somebody looks or it is `full`."""

    def __init__(self, n_layers: int, n_experts: int, device: torch.device, rows: int = RING_ROWS):
        self.n_layers, self.n_experts = n_layers, n_experts
        self._ring = torch.full((rows, 2 + n_layers * (4 * n_experts + 2)), float("nan"), device=device)
        self._norms = torch.full((rows, n_layers, 2, n_experts), float("nan"), device=device)
        self._noted = False  # norms are copied to the host only where there are some
        self._about: deque[tuple[int, int]] = deque(maxlen=rows)  # (step, tokens) of each unread row, oldest first
        self._next = 0
        self._sums: Tensor | None = None

    def __len__(self) -> int:
        return len(self._about)

    @property
    def full(self) -> bool:
        """The next row would overwrite one that nobody has read."""
        return len(self._about) == len(self._ring)

    def begin(self) -> None:
        """Open a step, forgetting what one that an error interrupted has added."""
        self._sums = None

    def add(self, loss: Tensor, routings: Sequence[Routing]) -> None:
        """Add one micro-batch; `loss` is its share of the step's loss."""
        parts = [loss.detach().view(1)]
        for routing in routings:
            parts += layer_sums(routing)
        sums = torch.cat([part.float() for part in parts])
        self._sums = sums if self._sums is None else self._sums + sums

    def commit(self, step: int, tokens: int, grad_norm: Tensor, norms: Tensor | None = None) -> None:
        """Close the step: its row joins the ring. norms [L, 2, E]: its entry in the gradient ledger."""
        assert self._sums is not None
        row = self._ring[self._next]
        row[0].copy_(grad_norm.detach())
        row[1:].copy_(self._sums)
        self._sums = None
        if norms is not None:
            self._norms[self._next].copy_(norms)
            self._noted = True
        self._next = (self._next + 1) % len(self._ring)
        self._about.append((step, tokens))

    def read(self) -> StepRows:
        """All unread rows, in one copy to the host (waits for the device)."""
        count, end = len(self._about), self._next
        start = end - count
        rows = [_unread(ring, start, end) for ring in ([self._ring, self._norms] if self._noted else [self._ring])]
        together = rows[0] if len(rows) == 1 else torch.cat([part.flatten(1) for part in rows], 1)
        values, norms = np.split(together.cpu().double().numpy(), [self._ring.shape[1]], 1)
        if self._noted:
            self._norms.fill_(float("nan"))
            self._noted = False
        shape = (count, self.n_layers, 2, self.n_experts)
        about = np.array(self._about, np.int64).reshape(count, 2)
        self._about.clear()
        layers = values[:, 2:].reshape(count, self.n_layers, 4 * self.n_experts + 2)
        asked, kept, mass, gates = (layers[..., i * self.n_experts : (i + 1) * self.n_experts] for i in range(4))
        return StepRows(
            step=about[:, 0],
            tokens=about[:, 1],
            loss=values[:, 1],
            grad_norm=values[:, 0],
            asked=asked,
            kept=kept,
            mass=mass,
            gates=gates,
            token_entropy=layers[..., -2],
            z=layers[..., -1],
            norms=norms.reshape(shape) if norms.size else np.full(shape, np.nan),
        )


def _unread(ring: Tensor, start: int, end: int) -> Tensor:
    return ring[start:end] if start >= 0 else torch.cat([ring[start:], ring[:end]])

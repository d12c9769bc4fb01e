"""How large a live model is, as counted from its tensors: what the arithmetic of sizes is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSize:
    """Numbers in a model's tensors, part by part, all layers together.

    parts: `embedding`, `positions`, `head`, `attention`, `norms`, `router` (selection biases included), `experts`, `shared`, `shared_gate`,
    `beside` (a network beside the experts that the router itself needs), `other`; 0 where there is none.
    heads: of one attention, 0 without;  head_dim: numbers in one;  vocab: rows of the head's matrix;  positions: learned ones.
    """

    parts: dict[str, int]
    heads: int
    head_dim: int
    vocab: int
    positions: int

    @property
    def total(self) -> int:
        return sum(self.parts.values())

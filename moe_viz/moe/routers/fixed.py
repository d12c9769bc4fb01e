"""Routers without a choice to learn and the two simplest gates: `dense` (all experts, blended), `hard` (the winner alone) and
`hash` (a fixed table by token id; Roller et al. 2021)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from moe_viz.moe.balance import as_share, balance_loss, precise, z_loss
from moe_viz.moe.routers.base import Choice, Router, TokenChoiceRouter
from moe_viz.moe.routing import SparseRouting, traced
from moe_viz.spec.routers.fixed import Dense, Hard, Hash


class DenseRouter(TokenChoiceRouter):
    """Every token goes to every expert, weighted by the softmax gate (Jacobs et al. 1991). M = T*E."""

    options: Dense

    def select(self, c: Choice) -> tuple[Tensor, None]:
        return torch.arange(self.n_experts, device=c.x.device).expand(c.x.shape[0], -1), None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return c.probs

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        # With every expert asked by every token, counts say nothing; what can be uneven is the gate mass.
        share = as_share(c.probs.detach().sum(0))
        return {"balance": balance_loss(c.probs, share), "z": z_loss(c.logits)}


class HardRouter(TokenChoiceRouter):
    """The best expert alone, with weight 1: no task gradient to the gate, unless straight-through lends it that of the probability."""

    options: Hard

    def select(self, c: Choice) -> tuple[Tensor, None]:
        return c.ranking.argmax(-1, keepdim=True), None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        if not self.options.straight_through:
            return torch.ones_like(expert, dtype=c.probs.dtype)
        gate = c.probs.gather(1, expert)
        return 1 + (gate - gate.detach())


class HashRouter(TokenChoiceRouter):
    """expert = table[token id], weight 1, no parameters. `balanced` needs the training frequencies: call `set_frequencies`.

    Until then both schemes use the random table, drawn once from torch's generator and kept in checkpoints.
    """

    options: Hash
    table: Tensor

    def __init__(self, d_model: int, n_experts: int, options: Hash):
        Router.__init__(self, d_model, n_experts, options)
        self.register_buffer("table", torch.randint(n_experts, (options.vocab_size,)))

    def set_frequencies(self, counts: Tensor) -> None:
        """counts [V] of each token id in the training data; V becomes the vocabulary. Random tables only grow to V."""
        counts = counts.detach().cpu().double().flatten()
        if self.options.scheme == "random":
            if len(counts) > len(self.table):
                more = torch.randint(self.n_experts, (len(counts) - len(self.table),)).to(self.table)
                self.table = torch.cat([self.table, more])
            return
        table = torch.empty(len(counts), dtype=torch.int64)
        lightest = [(0.0, expert) for expert in range(self.n_experts)]
        # Longest-processing-time rule: the most frequent token first, each to the expert that has least so far.
        for token in counts.argsort(dim=0, descending=True, stable=True).tolist():
            mass, expert = lightest[0]
            table[token] = expert
            heapq.heapreplace(lightest, (mass + float(counts[token]), expert))
        self.table = table.to(self.table.device)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        table = state_dict.get(f"{prefix}table")
        if table is not None:
            self.check_state({"table": table})
            if table.shape != self.table.shape:
                self.table = self.table.new_empty(table.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def check_state(self, state: Mapping[str, Tensor]) -> None:
        """Raises ValueError where the table is not a list of experts that exist; the vocabulary may be of any size."""
        table = state["table"]
        if table.dim() != 1 or table.dtype != torch.int64 or not len(table):
            raise ValueError(
                f"a hash table is a list of whole numbers (int64), one for each token; got {table.dtype} of shape {list(table.shape)}"
            )
        if table.is_meta:
            return
        low, high = int(table.min()), int(table.max())
        if low < 0 or high >= self.n_experts:
            wrong = low if low < 0 else high
            raise ValueError(f"the hash table names expert {wrong}; experts here are 0 to {self.n_experts - 1}")

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> SparseRouting:
        if token_ids is None:
            raise ValueError("the hash router needs token_ids: it chooses by token, not by what the token means here")
        if token_ids.numel() != x.shape[0]:
            raise ValueError(f"token_ids has {token_ids.numel()} entries for {x.shape[0]} tokens")
        if token_ids.is_floating_point() or token_ids.is_complex() or token_ids.dtype == torch.bool:
            raise ValueError(f"token_ids are whole numbers; got {token_ids.dtype}")
        token_ids = token_ids.reshape(-1).long()
        # Elsewhere than on the host such a look would make every step wait.
        if token_ids.device.type == "cpu" and not traced() and len(token_ids):
            low, high = (int(bound) for bound in token_ids.aminmax())
            if low < 0 or high >= len(self.table):
                wrong = low if low < 0 else high
                raise ValueError(f"token_ids has {wrong}; the hash table knows tokens 0 to {len(self.table) - 1}")
        return super().route(x, token_ids, group_size)

    def scores(self, c: Choice) -> None:
        return None

    def probabilities(self, c: Choice) -> Tensor:
        assert c.token_ids is not None
        c.expert = self.table[c.token_ids][:, None]
        return precise(c.x).new_zeros(c.x.shape[0], self.n_experts).scatter_(1, c.expert, 1.0)

    def ranking(self, c: Choice) -> Tensor:
        return c.probs

    def select(self, c: Choice) -> tuple[Tensor, None]:
        return c.expert, None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return torch.ones_like(expert, dtype=c.probs.dtype)

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        c.share = self.share(*self.charged(c))
        return {"balance": balance_loss(c.probs, c.share)}

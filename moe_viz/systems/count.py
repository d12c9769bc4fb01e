"""How many weights a system has, how many of them a token meets, and what that costs in operations and bytes.

The rules are those under which 18 published totals come out to the last parameter (assets/systems/README.md lists them). A multiply
and an add are two operations. Attention over the context is apart from `flops_per_token`: it grows with the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused
from moe_viz.systems.system import CONVENTIONS, System

PARTS = {
    "embedding": N_("input embedding"),
    "head": N_("output head"),
    "attention": N_("attention"),
    "dense_ffn": N_("dense FFN"),
    "shared_ffn": N_("shared FFN"),
    "experts": N_("experts"),
    "router": N_("routers"),
    "norms": N_("norms"),
    "other": N_("other"),
}
"""Parts of a total -> in words."""
Bytes = float
"""Bytes that one number takes: 2 for 16 bits, 0.5 for 4."""


@dataclass(frozen=True)
class Count:
    """What `count` found.

    parts: weights of each of `PARTS`; they add up to `total`.  per_expert: weights of one expert, None where there is none.
    chosen_experts: weights of the experts that one token meets, over all layers (with null experts the mean).
    """

    system: System
    parts: dict[str, int]
    per_expert: int | None
    chosen_experts: int | float
    mtp_ffn: int
    """Of the extra prediction layers, which stand under "other" as a whole: their FFNs, ..."""
    mtp_experts: int
    """... of these the routed experts, ..."""
    mtp: int
    """... and all of them."""

    @property
    def total(self) -> int:
        """All weights."""
        return sum(self.parts.values())

    def active(self, convention: str) -> int | float:
        """Weights that one token meets, in one of `CONVENTIONS`. Raises ValueError for another word."""
        if convention not in CONVENTIONS:
            raise Refused(N_("{word!r} is none of: {known}"), word=convention, known=", ".join(CONVENTIONS))
        met = self.total - self.mtp - self.system.idle - self.parts["experts"] + self.chosen_experts
        if convention != "all" and not self.system.tied:
            met -= self.parts["embedding"]
        if convention == "no_embedding":
            met -= self.parts["head"]
        return met

    @property
    def ffn_share(self) -> float:
        """Part of all weights that stands in FFNs: dense, shared and experts."""
        return (sum(self.parts[name] for name in ("dense_ffn", "shared_ffn", "experts")) + self.mtp_ffn) / self.total

    @property
    def flops_per_token(self) -> int | float:
        """Operations of one token's forward pass. Training takes three times as many."""
        return 2 * self.active("no_input_embedding")

    def kv_bytes_per_token(self, bytes_per_number: Bytes) -> float:
        """Bytes of keys and values that the decoder keeps of each token of its text."""
        s = self.system
        layers = s.n_decoder_layers if s.kv_layers is None else s.kv_layers
        each = s.mla[1] + s.mla[3] if s.mla is not None else 2 * s.kv_heads * s.head_dim
        return each * layers * bytes_per_number

    def weight_bytes(
        self, bytes_per_number: Bytes, experts: int | None = None, expert_bytes: Bytes | None = None
    ) -> float:
        """Bytes of the weights.

        experts: of each MoE layer only so many are resident, everything else whole (None: all).  expert_bytes: of one number
        in a routed expert, where experts are stored in fewer bits than the rest.
        Raises ValueError for fewer than no experts or more than a layer has.
        """
        s = self.system
        if experts is not None and not 0 <= experts <= s.experts:
            raise Refused(N_("experts = {n} is not possible; allowed: 0 to {most}"), n=experts, most=s.experts)
        kept = [n if experts is None else min(n, experts) for n in s.experts_of_layers]
        if s.mtp_layers:
            kept += [s.experts if experts is None else experts] * s.mtp_layers
        resident = sum(kept) * (self.per_expert or 0)
        rest = self.total - self.parts["experts"] - self.mtp_experts
        return rest * bytes_per_number + resident * (bytes_per_number if expert_bytes is None else expert_bytes)

    def all_to_all_bytes_per_token(self, bytes_per_number: Bytes, ranks: int | None = None) -> float:
        """Bytes of one token's vectors that go to its experts and come back, over all MoE layers of a forward pass.

        One copy for each chosen expert each way. ranks: devices over which a layer's experts are spread evenly: the part that stays at
        home, 1 / ranks where all experts are chosen alike, is left out (None: nothing stays).  Raises ValueError for ranks below 1.
        """
        if ranks is not None and ranks < 1:
            raise Refused(N_("ranks = {n} is not possible; at least 1"), n=ranks)
        s = self.system
        sent = sum(_chosen(s, n) for n in s.experts_of_layers) * s.d_model * 2
        away = 1 if ranks is None else 1 - Fraction(1, ranks)
        return float(sent * away) * bytes_per_number


def count(system: System) -> Count:
    """Count a system's weights. Raises ValueError where negative `extra` weights leave none."""
    s = system
    d, moe = s.d_model, s.n_moe_layers
    attention = _attention(s)
    dense_gated = s.gated if s.dense_gated is None else s.dense_gated
    per_expert = None if s.expert_ffn is None else _ffn(s, s.expert_ffn, s.gated)
    shared = (_ffn(s, s.shared_ffn, s.gated) if s.shared_ffn else 0) + (d if s.shared_gate else 0)
    dense = _ffn(s, s.dense_ffn, dense_gated) if s.dense_ffn is not None else 0
    norm = 2 * d if s.norm == "layer" else d
    crossed = s.n_decoder_layers if s.cross_attention else 0
    finals = 0 if not s.norms_per_layer else 2 if s.encoder_layers else 1

    def router(n: int) -> int:
        return (n + s.zero_experts) * (d + s.router_bias + s.selection_bias)

    own = s.qk_norm + s.extra_per_layer
    mtp_layer = attention + own + s.norms_per_layer * norm + shared + router(s.experts) + s.experts * (per_expert or 0)
    mtp = s.mtp_layers * (mtp_layer + 2 * d * d + 3 * norm + (1 if s.tied else 2) * s.vocab * d)
    parts = {
        "embedding": s.vocab * d if not s.tied else 0,
        "head": s.vocab * d,
        "attention": attention * (s.layers + crossed) + s.qk_norm * s.layers,
        "dense_ffn": dense * (s.layers - moe),
        "shared_ffn": shared * moe,
        "experts": sum(s.experts_of_layers) * (per_expert or 0),
        "router": sum(map(router, s.experts_of_layers)),
        "norms": norm * (s.norms_per_layer * s.layers + crossed + finals),
        "other": s.positions * d + s.extra + s.extra_per_layer * s.layers + s.idle + mtp,
    }
    if sum(parts.values()) < 1:
        raise Refused(N_("extra and extra_per_layer take away more weights than there are"))
    chosen = sum(_chosen(s, n) for n in s.experts_of_layers) * (per_expert or 0)
    return Count(
        system=s,
        parts=parts,
        per_expert=per_expert,
        chosen_experts=int(chosen) if chosen == int(chosen) else float(chosen),
        mtp_ffn=s.mtp_layers * (shared + s.experts * (per_expert or 0)),
        mtp_experts=s.mtp_layers * s.experts * (per_expert or 0),
        mtp=mtp,
    )


def _chosen(s: System, n_experts: int) -> Fraction:
    """Experts with weights that a token meets in a layer of so many, the mean where all are chosen alike."""
    return Fraction(s.k * n_experts, n_experts + s.zero_experts)


def _attention(s: System) -> int:
    """Weights of one attention, norms of queries and keys apart."""
    d, h = s.d_model, s.heads
    if s.mla is None:
        queries, keys = h * s.head_dim, s.kv_heads * s.head_dim
        return 2 * d * queries + 2 * d * keys + (queries + 2 * keys) * s.qkv_bias + d * s.o_bias
    q_rank, kv_rank, nope, rope, v = s.mla
    queries = d * q_rank + q_rank + q_rank * h * (nope + rope) if q_rank else d * h * (nope + rope)
    keys = d * (kv_rank + rope) + kv_rank + kv_rank * h * (nope + v)
    return queries + keys + h * v * d


def _ffn(s: System, width: int, gated: bool) -> int:
    """Weights of one FFN."""
    matrices = 3 if gated else 2
    biases = (matrices - 1) * width + s.d_model if s.expert_bias else 0
    return matrices * s.d_model * width + biases

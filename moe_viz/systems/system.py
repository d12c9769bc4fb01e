"""System: the shape of one Transformer with experts, in the numbers that its size follows from.

A field is declared once, with its title, what it means and what it allows; the table of published systems, the page *Sizes* and a
pasted text all go by these declarations.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from moe_viz.spec.knobs import N_, Spec
from moe_viz.spec.sentence import Refused

MOST_LAYERS, MOST_WIDTH, MOST_EXPERTS, MOST_WORDS = 10_000, 1_000_000, 1_000_000, 100_000_000
MOST_EXTRA = 10**14
CONVENTIONS = {
    "all": N_("everything, both embeddings included"),
    "no_input_embedding": N_("without the input embedding, which is a look-up"),
    "no_embedding": N_("without any embedding"),
}
"""What may be meant by *active parameters* -> in words."""


def _number(default: Any, title: str, help: str, least: int = 0, most: int = MOST_WIDTH) -> Any:
    return Field(default, title=title, description=help, ge=least, le=most)


def _flag(default: bool | None, title: str, help: str) -> Any:
    return Field(default, title=title, description=help)


class System(Spec):
    """One system. Raises ValueError (pydantic's, with the field's name) for a value or a combination that no model can have."""

    layers: int = Field(title=N_("Layers"), description=N_("All layers, an encoder's included."), ge=1, le=MOST_LAYERS)
    d_model: int = Field(title=N_("Width"), description=N_("Numbers that describe one token."), ge=1, le=MOST_WIDTH)
    heads: int = Field(
        title=N_("Attention heads"),
        description=N_("Query heads; 0 for a model without attention."),
        ge=0,
        le=MOST_WIDTH,
    )
    kv_heads: int = Field(
        title=N_("Key and value heads"),
        description=N_("Heads of keys and values; fewer than query heads where these share them."),
        ge=0,
        le=MOST_WIDTH,
    )
    head_dim: int = Field(title=N_("Head width"), description=N_("Numbers in one head."), ge=0, le=MOST_WIDTH)
    vocab: int = Field(
        title=N_("Vocabulary"),
        description=N_("Tokens that the model knows; classes, where it classifies."),
        ge=0,
        le=MOST_WORDS,
    )
    experts: int = _number(1, N_("Experts"), N_("Routed experts in each MoE layer."), 1, MOST_EXPERTS)
    k: int = _number(1, N_("Chosen experts (k)"), N_("Experts chosen for each token."), 1, MOST_EXPERTS)
    expert_ffn: int | None = _number(
        None, N_("Expert width"), N_("Hidden units in one expert; none: a dense model."), 1
    )
    dense_ffn: int | None = _number(
        None, N_("Dense FFN width"), N_("Hidden units of the FFN in layers without experts."), 1
    )
    moe_layers: int | None = _number(
        None, N_("MoE layers"), N_("Layers that have experts; all of them where nothing is said."), 0, MOST_LAYERS
    )
    experts_per_layer: tuple[int, ...] | None = Field(
        default=None,
        title=N_("Experts of each MoE layer"),
        description=N_("Where layers have different numbers of experts: one number for each MoE layer."),
        max_length=MOST_LAYERS,
    )
    shared_ffn: int = _number(
        0, N_("Shared width"), N_("Hidden units of all that stands beside the experts and every token passes through.")
    )
    gated: bool = _flag(True, N_("Gated experts"), N_("Experts of three matrices (SwiGLU) instead of two."))
    dense_gated: bool | None = _flag(
        None,
        N_("Gated dense FFN"),
        N_("The same for the FFN in layers without experts; as the experts where nothing is said."),
    )
    tied: bool = _flag(False, N_("Tied embeddings"), N_("Input embedding and output head are one matrix."))
    norm: Literal["rms", "layer"] = Field(
        default="rms",
        title=N_("Normalisation"),
        description=N_("rms: a weight for each number; layer: a weight and a bias."),
    )
    attention: Literal["gqa", "mla"] = Field(
        default="gqa",
        title=N_("Attention"),
        description=N_(
            "gqa: grouped queries, of which multi-head attention is one case; mla: keys and values squeezed into one latent vector."
        ),
    )
    mla: tuple[int, int, int, int, int] | None = Field(
        default=None,
        title=N_("Numbers of MLA"),
        description=N_(
            "Rank of the queries (0: none), rank of keys and values, head width without and with positions, head width of the values."
        ),
    )
    qkv_bias: bool = _flag(False, N_("Bias of queries, keys, values"), N_("Whether these three have biases."))
    o_bias: bool = _flag(False, N_("Bias of the attention's output"), N_("Whether it has one."))
    router_bias: bool = _flag(
        False, N_("Bias of the router"), N_("Whether the router's scores have a bias that is learned.")
    )
    selection_bias: bool = _flag(
        False,
        N_("Selection bias"),
        N_("One number for each expert that balances the choice; part of the weight files."),
    )
    expert_bias: bool = _flag(False, N_("Bias in every FFN"), N_("Of experts, shared and dense FFNs."))
    shared_gate: bool = _flag(
        False, N_("Gate of what is shared"), N_("One vector that scales the shared experts' output.")
    )
    qk_norm: int = _number(0, N_("Norms of queries and keys"), N_("Their weights in one layer."))
    extra_per_layer: int = Field(
        default=0,
        title=N_("Other weights of each layer"),
        description=N_("In total and active. Below 0 where a model lacks what the scheme counts."),
        ge=-MOST_EXTRA,
        le=MOST_EXTRA,
    )
    norms_per_layer: int = _number(2, N_("Norms of each layer"), N_("Vectors of the model's width."), 0, 100)
    encoder_layers: int = _number(
        0, N_("Encoder's layers"), N_("So many of the layers are an encoder's; 0: decoder only."), 0, MOST_LAYERS
    )
    cross_attention: bool = _flag(
        False,
        N_("Cross-attention"),
        N_("Each of the decoder's layers looks at the encoder: one attention and one norm more."),
    )
    positions: int = _number(0, N_("Learned positions"), N_("Places that have a learned vector."), 0, MOST_WORDS)
    mtp_layers: int = _number(
        0, N_("Extra prediction layers"), N_("Layers that predict further tokens: in the total, never active."), 0, 100
    )
    zero_experts: int = _number(
        0, N_("Null experts"), N_("Experts without weights, which may be chosen like others."), 0, MOST_EXPERTS
    )
    kv_layers: int | None = _number(
        None,
        N_("Layers with a KV cache"),
        N_("Layers that keep keys and values of their own; all of the decoder's where nothing is said."),
        0,
        MOST_LAYERS,
    )
    extra: int = Field(
        default=0,
        title=N_("Other weights"),
        description=N_("That every token meets, in total and active."),
        ge=-MOST_EXTRA,
        le=MOST_EXTRA,
    )
    idle: int = _number(
        0, N_("Other idle weights"), N_("That no token of text meets, in the total only."), 0, MOST_EXTRA
    )

    @model_validator(mode="after")
    def _fits_together(self) -> System:
        def refuse(field: str, template: str, **values: Any) -> None:
            raise Refused(template, field=field, **values)

        per_layer = self.experts_per_layer
        if self.k > self.experts + self.zero_experts:
            refuse("k", N_("k = {k} is more than the {n} experts"), k=self.k, n=self.experts + self.zero_experts)
        if self.kv_heads > self.heads:
            refuse("kv_heads", N_("kv_heads = {n} is more than heads = {heads}"), n=self.kv_heads, heads=self.heads)
        if per_layer is not None and (not per_layer or min(per_layer) < self.k or max(per_layer) > self.experts):
            refuse(
                "experts_per_layer",
                N_("experts_per_layer must hold numbers from k = {k} to experts = {n}"),
                k=self.k,
                n=self.experts,
            )
        if per_layer is not None and self.moe_layers not in (None, len(per_layer)):
            refuse(
                "experts_per_layer",
                N_("experts_per_layer has {n} numbers for moe_layers = {layers}"),
                n=len(per_layer),
                layers=self.moe_layers,
            )
        if self.n_moe_layers > self.layers:
            refuse(
                "moe_layers",
                N_("moe_layers = {n} is more than layers = {layers}"),
                n=self.n_moe_layers,
                layers=self.layers,
            )
        if self.expert_ffn is None and self.n_moe_layers:
            refuse(
                "expert_ffn",
                N_("moe_layers = {n}, but the experts have no width: expert_ffn is missing"),
                n=self.n_moe_layers,
            )
        if self.encoder_layers >= self.layers and self.encoder_layers:
            refuse("encoder_layers", N_("encoder_layers = {n} leaves none of layers = {layers} for the decoder"), n=self.encoder_layers, layers=self.layers)  # fmt: skip
        if self.kv_layers is not None and self.kv_layers > self.layers:
            refuse(
                "kv_layers", N_("kv_layers = {n} is more than layers = {layers}"), n=self.kv_layers, layers=self.layers
            )
        if (self.attention == "mla") != (self.mla is not None):
            refuse("mla", N_("attention = mla and the five numbers of mla belong together"))
        if self.mla is not None and not (min(self.mla) >= 0 and min(self.mla[1:]) > 0 and max(self.mla) <= MOST_WIDTH):
            refuse("mla", N_("mla must be five numbers from 1 to {most}, of which the first may be 0"), most=MOST_WIDTH)
        if self.dense_ffn is None and self.n_moe_layers < self.layers:
            refuse("dense_ffn", N_("layers without experts need dense_ffn, the width of their FFN"))
        return self

    @property
    def n_moe_layers(self) -> int:
        """Layers that have experts."""
        if self.experts_per_layer is not None:
            return len(self.experts_per_layer)
        if self.moe_layers is not None:
            return self.moe_layers
        return 0 if self.expert_ffn is None else self.layers

    @property
    def experts_of_layers(self) -> tuple[int, ...]:
        """Routed experts with weights of each MoE layer."""
        return self.experts_per_layer or (self.experts,) * self.n_moe_layers

    @property
    def n_decoder_layers(self) -> int:
        return self.layers - self.encoder_layers

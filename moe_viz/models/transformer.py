"""The Transformer block around an MoE layer: x + attention(norm(x)), then x + moe(norm(x)).

Pre-norm as in GPT-2 (Radford et al. 2019); the MoE layer takes the feed-forward's place (Lepikhin et al. 2020). Because of the
second residual, a dropped token passes the layer unchanged. Axes: N sequences, L tokens in each, D width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from moe_viz.models.base import group_of, init_weights
from moe_viz.moe import MoELayer, Routing

N_HEADS = 4


class Attention(nn.Module):
    """Multi-head self-attention; `causal` lets a token see itself and earlier ones only."""

    def __init__(self, d_model: int, causal: bool):
        super().__init__()
        self.causal = causal
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """[N, L, D] -> [N, L, D]"""
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, N_HEADS, width // N_HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    """Attention and MoE layer, each normalised before and added to the stream."""

    def __init__(self, d_model: int, moe: MoELayer, causal: bool):
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, causal)
        self.moe_norm = nn.LayerNorm(d_model)
        self.moe = moe

    def forward(
        self, x: Tensor, token_ids: Tensor, shared: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Routing]:
        """[N, L, D], token_ids [N*L], shared [D] added to what the router sees -> [N, L, D] and the routing of N*L tokens.

        mask [N*L] bool: the real tokens among those that the MoE layer gets. Attention is not told of it.
        """
        x = x + self.attention(self.attention_norm(x))
        flat = self.moe_norm(x).flatten(0, 1)
        group_size = group_of(self.moe, x.shape[1])
        y, routing = self.moe(flat, token_ids=token_ids, group_size=group_size, router_shift=shared, mask=mask)
        return x + y.view_as(x), routing

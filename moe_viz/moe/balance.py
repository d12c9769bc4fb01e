"""Balancing terms: what a router is charged for uneven use of its experts. All are unweighted scalars in at least float32, and in
all of them counts are detached: the gradient reaches the router only through its probabilities.

Axes: T tokens, E experts, G groups of consecutive tokens over each of which the load must be even.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

CONVENTIONS = ("switch", "hf", "flaxformer", "fairscale")
"""switch: 1 where perfectly balanced, for every k (the lab's own; also mesh, DeepSpeed, Megatron, megablocks, vmoe).
hf, flaxformer: shares are not divided by k, so balanced is k.  fairscale: the plain mean of products, balanced is 1/E^2."""


def precise(x: Tensor) -> Tensor:
    """x in float32, or as it is where it is more precise."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def autocasts(x: Tensor) -> bool:
    """Whether autocast is on where x lies; the meta device has none."""
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Operations within keep the types of their operands."""
    return torch.autocast(x.device.type, enabled=False) if autocasts(x) else nullcontext()


def balance_loss(probs: Tensor, share: Tensor, convention: str = "switch", k: int = 1) -> Tensor:
    """E * sum_i f_i P_i, the balancing loss of Switch (eq. 4), averaged over groups. 1 = balanced, E = everything on one expert; 0 without tokens.

    probs [T, E] full distribution with gradient; share [E], or [G, E] for G groups of T/G consecutive tokens: f, the share of routes each
    expert was asked for (sums to 1; detached here). Raises ValueError where the groups do not divide the tokens.
    """
    n_tokens, n_experts = probs.shape
    probs = precise(probs)
    share, scale = share.detach().to(probs.dtype), n_experts / max(1, n_tokens)
    if share.dim() == 1:
        value = torch.dot(probs.sum(0), share * scale)
    else:
        if n_tokens % share.shape[0]:
            raise ValueError(f"{n_tokens} tokens cannot be split into {share.shape[0]} groups of one size")
        value = (share * probs.reshape(share.shape[0], n_tokens // share.shape[0], n_experts).sum(1)).sum() * scale
    if convention == "switch":
        return value
    if convention in ("hf", "flaxformer"):
        return value * k
    if convention == "fairscale":
        return value / n_experts**2
    raise ValueError(f"convention = {convention!r} is not known; it can be: {', '.join(CONVENTIONS)}")


def routed_share(
    expert: Tensor, n_experts: int, requested: Tensor | None = None, group_size: int | None = None
) -> Tensor:
    """f: the share of routes each expert was asked for. expert, requested [T, K] -> [G, E] float32; an empty group counts as even."""
    n_tokens = expert.shape[0]
    group_size = group_size or max(1, n_tokens)
    if n_tokens % group_size:
        raise ValueError(f"{n_tokens} tokens cannot be balanced in groups of {group_size}: not a multiple")
    picked = expert.reshape(max(1, n_tokens // group_size), expert.shape[1] * min(n_tokens, group_size))
    ones = (
        torch.ones_like(picked, dtype=torch.float32) if requested is None else requested.reshape(picked.shape).float()
    )
    return as_share(ones.new_zeros(picked.shape[0], n_experts).scatter_add_(1, picked, ones))


def as_share(counts: Tensor, total: int | None = None) -> Tensor:
    """counts [..., E] -> shares that sum to 1; all zero becomes even, so that an empty batch is neither NaN nor a penalty.

    total: their sum, where it follows from shapes.
    """
    if total:
        return counts / total
    # Adding a sliver to every count makes empty even, and changes no other share within float32.
    counts = counts + 1e-9
    return counts / counts.sum(-1, keepdim=True)


def z_loss(logits: Tensor) -> Tensor:
    """Mean of logsumexp(logits)^2 over tokens (ST-MoE, Zoph et al. 2022, eq. 5); 0 without tokens. logits [T, E]."""
    logits = precise(logits).t()
    # logsumexp as logit - log probability of the likeliest expert: half the operations of torch.logsumexp, and as exact.
    log_sum = logits.amax(0) - logits.log_softmax(0).amax(0)
    return torch.dot(log_sum, log_sum) / max(1, logits.shape[1])


def mass_of_experts(weight: Tensor, expert: Tensor, token: Tensor, n_experts: int, n_tokens: int) -> Tensor:
    """[E] the sum of each expert's route weights, differentiable. weight, expert, token [M]; a token has an expert at most twice."""
    if weight.device.type == "cpu":
        return weight.new_zeros(n_experts).index_add(0, expert, weight)
    # An accelerator adds to one place in any order: here each place gets one number, and the sum over them has an order.
    places = weight.new_zeros(n_experts * n_tokens).scatter_add(0, expert * n_tokens + token, weight)
    return places.view(n_experts, n_tokens).sum(1)


def cv_squared(x: Tensor, eps: float = 1e-10) -> Tensor:
    """Squared coefficient of variation over the last axis with the population variance (Shazeer et al. 2017, eq. 7): 0 even, E-1 one-hot."""
    x = precise(x)
    return x.var(-1, correction=0) / (x.mean(-1).square() + eps)


def importance_loss(gates: Tensor) -> Tensor:
    """CV^2 of each expert's summed gates (Shazeer et al. 2017, eq. 6-7). gates [T, E], 0 where not chosen."""
    return cv_squared(precise(gates).sum(0))


def smooth_load(clean: Tensor, noisy: Tensor, noise_std: Tensor | float, k: int) -> Tensor:
    """P(x, i): the probability that expert i is among the k best if only its own noise is drawn again (Shazeer et al. 2017, appendix A).

    clean, noisy [T, E] logits without and with the noise; noise_std broadcasts to [T, E]. Returns [T, E]; summed over tokens it is `load`.
    Undefined for k = E (every expert is always chosen): ones.
    """
    clean, noisy = precise(clean), precise(noisy)
    if k >= clean.shape[-1]:
        return torch.ones_like(clean)
    top = noisy.topk(k + 1, -1).values
    inside, outside = top[:, k : k + 1], top[:, k - 1 : k]
    # The k-th best *of the others*: one place lower for an expert that is itself among the k best.
    threshold = torch.where(noisy > inside, inside, outside)
    return torch.special.ndtr((clean - threshold) / noise_std)

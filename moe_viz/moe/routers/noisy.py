"""Routers that learn an even load through noise: `noisy_topk` (Shazeer et al. 2017) and `vmoe` (Riquelme et al. 2021).

A count of tokens has no gradient. Both replace it by the chance that an expert would be chosen if its noise were drawn again,
and charge CV^2 of that smooth load (`aux["load"]`) beside CV^2 of the gate mass (`aux["importance"]`).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moe_viz.moe.balance import cv_squared, importance_loss, mass_of_experts, smooth_load, z_loss
from moe_viz.moe.routers.base import Choice, TokenChoiceRouter, full_precision, softmax
from moe_viz.moe.routing import tokens_of_routes
from moe_viz.spec.routers.noisy import NoisyTopK, VMoE


class NoisyRouter(TokenChoiceRouter):
    """Gates, and not only the choice, are computed from noisy logits; `logits` of the routing stays clean. Subclasses say how much noise."""

    @abstractmethod
    def noise_std(self, c: Choice) -> Tensor | float:
        """Standard deviation of the noise, broadcastable to [T, E]."""

    def probabilities(self, c: Choice) -> Tensor:
        if not (self.training and self.options.noise):
            return softmax(c.logits)
        c.extra["std"] = self.noise_std(c)
        c.extra["noisy"] = c.logits + c.extra["std"] * torch.randn_like(c.logits)
        return softmax(c.extra["noisy"])

    def ranking(self, c: Choice) -> Tensor:
        return c.extra.get("noisy", c.logits).detach()


class NoisyTopKRouter(NoisyRouter):
    """H = x W_g + eps * noise * (softplus(x W_noise) + noise_epsilon); gates are softmax over the k largest of H (eq. 3-5).

    Load is counted with the k-th largest of the *other* experts as threshold (appendix A, `balance.smooth_load`).
    """

    options: NoisyTopK

    def __init__(self, d_model: int, n_experts: int, options: NoisyTopK):
        super().__init__(d_model, n_experts, options)
        self.noise_gate = nn.Linear(d_model, n_experts, bias=False)
        nn.init.zeros_(self.noise_gate.weight)
        if options.zero_start:
            nn.init.zeros_(self.gate.weight)

    def noise_std(self, c: Choice) -> Tensor:
        spread = F.softplus(full_precision(self.noise_gate, c.x)) + self.options.noise_epsilon
        return self.options.noise * spread

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        gates = self.weights(c, c.expert)
        if self.options.renormalize != "never":
            gates = gates / self.norm(gates)
        n_tokens, k = gates.shape
        token = tokens_of_routes(n_tokens, k, gates.device)
        importance = mass_of_experts(gates.reshape(-1), c.expert.reshape(-1), token, self.n_experts, n_tokens)
        load = c.counts
        if "noisy" in c.extra:
            load = smooth_load(c.logits, c.extra["noisy"], c.extra["std"], self.options.k).sum(0)
        c.info |= {"importance": importance.detach(), "load": load.detach()}
        return {"importance": cv_squared(importance), "load": cv_squared(load), "z": z_loss(c.logits)}


class VMoERouter(NoisyRouter):
    """Softmax before the choice, gates not renormalised, noise of 1/E on the logits; short buffers serve the surest tokens first.

    Importance is taken over the clean full softmax. The load's threshold is the k-th largest noisy logit *including* the expert's
    own, unlike `noisy_topk`. The paper's auxiliary loss is half the sum of the two terms.
    """

    options: VMoE

    def noise_std(self, c: Choice) -> float:
        return self.options.noise / self.n_experts

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        load = c.counts
        if "noisy" in c.extra:
            threshold = c.extra["noisy"].topk(self.options.k, -1).values[:, -1:]
            load = torch.special.ndtr((c.logits - threshold) / c.extra["std"]).sum(0)
            clean = softmax(c.logits)
        else:
            clean = c.probs
        c.info["load"] = load.detach()
        return {"importance": importance_loss(clean), "load": cv_squared(load), "z": z_loss(c.logits)}

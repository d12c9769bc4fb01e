"""Routers without weights to learn: `kmeans` (experts are running averages of the tokens they had; Ahrac, Hochwald, Geva 2026,
arXiv:2605.12476) and `random` (experts drawn by lot, as in THOR; Zuo et al. 2021, arXiv:2110.04260).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from moe_viz.moe.balance import precise, without_autocast
from moe_viz.moe.routers.base import Choice, Router, TokenChoiceRouter, in_backward, softmax
from moe_viz.moe.routing import Routing
from moe_viz.spec.routers.learned import KMeans, Random

LOAD_MEMORY = 0.9
"""How much of the moving load, by which an unused centroid is told, each step keeps: about ten steps."""


class KMeansRouter(TokenChoiceRouter):
    """Each expert keeps a running average of the tokens routed to it; a token goes to the k experts it is most like.

    From the paper's abstract: running average, cosine, no parameters. This lab's own choices: the first training batch places the
    centroids far apart (farthest-first), `decay` forgets old tokens, gates are a softmax over the chosen likenesses (1 where k = 1), and a
    centroid with almost no tokens moves, at most one a step, to the token that is worst served. Centroids change in `after_step`
    only, from the tokens of all training forwards since the last one; evaluation changes nothing.
    """

    options: KMeans
    centroids: Tensor
    mass: Tensor
    load: Tensor
    started: Tensor
    seen_sum: Tensor
    seen: Tensor
    worst_served: Tensor

    def __init__(self, d_model: int, n_experts: int, options: KMeans):
        Router.__init__(self, d_model, n_experts, options)
        self.register_buffer("centroids", F.normalize(torch.randn(n_experts, d_model), dim=-1))
        self.register_buffer("mass", torch.zeros(n_experts))
        self.register_buffer("load", torch.full((n_experts,), 1.0 / n_experts))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        # What training forwards have seen since the last step: not state, a step always empties it.
        self.register_buffer("seen_sum", torch.zeros(n_experts, d_model), persistent=False)
        self.register_buffer("seen", torch.zeros(n_experts), persistent=False)
        self.register_buffer("worst_served", torch.zeros(d_model), persistent=False)
        self._placed = False

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._placed = False
        # They are in no checkpoint: a model that was made on the meta device has them from here.
        for name in ("seen_sum", "seen", "worst_served"):
            setattr(self, name, torch.zeros_like(getattr(self, name), device=self.centroids.device))

    def untraceable(self) -> str | None:
        if self.training and not self._placed:
            return "before its first training batch, which places the centroids; after one ordinary forward, or .eval(), it can"
        return None

    def likeness(self, x: Tensor, points: Tensor) -> Tensor:
        """[T, N] of tokens x [T, D] and points [N, D]: cosine, or minus the mean squared difference."""
        if self.options.distance == "cosine":
            return F.normalize(x, dim=-1) @ F.normalize(points, dim=-1).t()
        squares = x.square().sum(-1, keepdim=True) - 2 * x @ points.t() + points.square().sum(-1)
        return -squares / self.d_model

    def scores(self, c: Choice) -> Tensor:
        with without_autocast(c.x):
            x = precise(c.x)
            if self.training and len(x):
                self._place_once(x.detach())
            return self.likeness(x, self.centroids.to(x.dtype)) / self.options.temperature

    def select(self, c: Choice) -> tuple[Tensor, None]:
        expert, _ = super().select(c)
        if self.training and len(c.x) and not in_backward():
            self._observe(c, expert)
        return expert, None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        if self.options.k == 1:
            return torch.ones_like(expert, dtype=c.probs.dtype)
        return softmax(c.logits.gather(1, expert))

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        return {}

    @torch.no_grad()
    def _observe(self, c: Choice, expert: Tensor) -> None:
        x = c.x.detach().to(self.seen_sum.dtype)
        # A product, because an accelerator adds to one place in any order.
        own = x.new_zeros(self.n_experts, len(x)).scatter_(0, expert.t(), 1.0)
        with without_autocast(x):
            self.seen_sum += own @ x
        self.seen += own.sum(1)
        self.worst_served.copy_(x.index_select(0, c.ranking.amax(-1).argmin()[None])[0])

    @torch.no_grad()
    def _place_once(self, x: Tensor) -> None:
        if self._placed:
            return
        # The only look at the device's data, once per run (and once after loading a checkpoint).
        if not bool(self.started):
            points = x[self.likeness(x, x.mean(0, keepdim=True)).argmin()][None]
            for _ in range(self.n_experts - 1):
                farthest = self.likeness(x, points).amax(-1).argmin()
                points = torch.cat([points, x[farthest][None]])
            self.centroids.copy_(points)
            self.started.fill_(True)
        self._placed = True

    @torch.no_grad()
    def after_step(self, routing: Routing) -> None:
        total = self.options.decay * self.mass + self.seen
        moved = (self.options.decay * self.mass)[:, None] * self.centroids + self.seen_sum
        self.centroids.copy_(torch.where(total[:, None] > 0, moved / total.clamp(min=1e-20)[:, None], self.centroids))
        self.mass.copy_(total)
        everything = self.seen.sum()
        share = torch.where(everything > 0, self.seen / everything.clamp(min=1), self.load)
        self.load.mul_(LOAD_MEMORY).add_(share, alpha=1 - LOAD_MEMORY)
        self._revive()
        self.break_off()

    def break_off(self) -> None:
        self.seen_sum.zero_()
        self.seen.zero_()

    def _revive(self) -> None:
        """Move the least used centroid to the worst served token if it gets next to nothing; without a wait for the device."""
        here = torch.arange(self.n_experts, device=self.load.device) == self.load.argmin()
        here &= (self.load.amin() < self.options.revive_below / self.n_experts) & (self.seen.sum() > 0)
        self.centroids.copy_(torch.where(here[:, None], self.worst_served, self.centroids))
        # It starts light, so that its first tokens pull it to their middle, and with time to find them.
        self.mass.masked_fill_(here, 1.0)
        self.load.masked_fill_(here, 1.0 / self.n_experts)


class RandomRouter(TokenChoiceRouter):
    """k different experts drawn uniformly, for each token or for the whole batch; weight 1/k, no parameters.

    Training draws come from torch's stream, as all noise in training does. Evaluation draws start afresh from the router's own seed
    each time, so that looking at the model neither disturbs training nor flickers; `evaluation = "average"` uses all experts instead.

    apart_from: None, or the experts [T, K] of a first pass: those come last in the next draws, so that THOR's second pass meets others.
    """

    options: Random
    seed: Tensor
    apart_from: Tensor | None = None

    def __init__(self, d_model: int, n_experts: int, options: Random):
        Router.__init__(self, d_model, n_experts, options)
        # From torch's stream: reproducible with the run, and different in every layer.
        self.register_buffer("seed", torch.randint(2**62, ()))

    def untraceable(self) -> str | None:
        if self.training or self.options.evaluation == "average":
            return None
        return "at evaluation, where draws start from a number kept with the weights; in training, or with evaluation = 'average', it can"

    def break_off(self) -> None:
        self.apart_from = None

    def scores(self, c: Choice) -> None:
        return None

    def probabilities(self, c: Choice) -> Tensor:
        return precise(c.x).new_full((c.x.shape[0], self.n_experts), 1.0 / self.n_experts)

    def ranking(self, c: Choice) -> Tensor:
        rows = c.x.shape[0] if self.options.per == "token" else min(1, c.x.shape[0])
        generator = None if self.training else torch.Generator(c.x.device).manual_seed(int(self.seed))
        drawn = torch.rand(rows, self.n_experts, generator=generator, device=c.x.device).expand(c.x.shape[0], -1)
        if self.apart_from is None:
            return drawn
        return drawn.scatter_add(1, self.apart_from, drawn.new_full(self.apart_from.shape, -1.0))

    def select(self, c: Choice) -> tuple[Tensor, Tensor | None]:
        if self.options.evaluation == "average" and not self.training:
            return torch.arange(self.n_experts, device=c.x.device).expand(c.x.shape[0], -1), None
        return super().select(c)

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return torch.full_like(expert, 1.0 / expert.shape[1], dtype=c.probs.dtype)

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        return {}

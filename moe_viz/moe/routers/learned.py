"""Routers that learn their sparsity or their choice in another way than a top-k gate: `reinforce` (policy gradient; RL-R of Clark et al.
2022, arXiv:2202.01169, after Williams 1992) and `remoe` (ReLU gate with an adaptive L1 penalty; Wang et al. 2024, arXiv:2412.14711).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.moe.balance import precise, without_autocast, z_loss
from moe_viz.moe.routers.base import Choice, TokenChoiceRouter
from moe_viz.moe.routing import Routing, SparseRouting
from moe_viz.spec.routers.learned import Reinforce, ReMoE

L1_BOUNDS = 1e-12, 1e2
"""The penalty stays between these: where the target cannot be met it would otherwise grow without end."""


class ReinforceRouter(TokenChoiceRouter):
    """One expert per token, drawn from softmax(scores) in training, the likeliest at evaluation; weight 1.

    The gate learns from `feedback` only: no gradient of the task loss reaches it. `info["baseline"]` [T] is the learned guess of the
    reward, with gradient to the baseline's own weights and to nothing else.
    """

    options: Reinforce

    def __init__(self, d_model: int, n_experts: int, options: Reinforce):
        super().__init__(d_model, n_experts, options)
        self.baseline = nn.Linear(d_model, 1)
        nn.init.zeros_(self.baseline.weight)
        nn.init.zeros_(self.baseline.bias)

    def select(self, c: Choice) -> tuple[Tensor, None]:
        if not self.training:
            return c.ranking.argmax(-1, keepdim=True), None
        # The first of E exponential clocks with rates pi rings with probability pi: a draw per token without a loop or a wait.
        clock = torch.empty_like(c.ranking).exponential_()
        return (c.ranking - clock.log()).argmax(-1, keepdim=True), None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return torch.ones_like(expert, dtype=c.probs.dtype)

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        with without_autocast(c.x):
            c.info["baseline"] = self.baseline(c.x.detach().to(self.baseline.weight.dtype)).squeeze(-1)
        return super().aux_terms(c)

    def feedback(self, routing: Routing, reward: Tensor) -> dict[str, Tensor]:
        """Terms to minimise, already weighted by the options, from the reward [T] of the drawn experts (any layer: the same reward).

        reinforce  -policy_coef * mean((R - b) log pi(e)), its gradient an unbiased estimate of that of -policy_coef * E[R]
        entropy    -entropy_coef * mean entropy of pi
        baseline   mean squared error of the learned baseline (only where `baseline = "learned"`)
        Raises ValueError where there is not one reward for each token.
        """
        if reward.shape != (routing.n_tokens,):
            raise ValueError(
                f"{routing.n_tokens} tokens need as many rewards; got a tensor of shape {list(reward.shape)}"
            )
        if routing.padding is not None:
            reward, routing = routing.padding.take(reward), routing.unpadded
        assert isinstance(routing, SparseRouting) and routing.logits is not None
        o, guess = self.options, routing.info["baseline"]
        reward = reward.detach().to(guess.dtype)
        log_pi = torch.log_softmax(precise(routing.logits), -1)
        # The mean of the others: a token's own reward in its baseline would bias the gradient.
        others = (reward.sum() - reward) / max(1, len(reward) - 1)
        expected = {"learned": guess.detach(), "mean": others, "none": torch.zeros_like(reward)}[o.baseline]
        drawn = log_pi.gather(1, routing.route_expert[:, None]).squeeze(-1)
        terms = {
            "reinforce": -o.policy_coef * ((reward - expected) * drawn).mean(),
            "entropy": o.entropy_coef * (log_pi.exp() * log_pi).sum(-1).mean(),
        }
        if o.baseline == "learned":
            terms["baseline"] = (guess - reward).square().mean()
        return terms


class ReMoERouter(TokenChoiceRouter):
    """The gate is ReLU(scores), unnormalised: every expert with a positive score runs. All T*E routes are candidates.

    aux["l1"] is the penalty already multiplied by its weight `l1` (lambda). After each step lambda grows by `l1_growth` if more than
    k of E experts were active on average, and shrinks by it if fewer: for each layer by itself (the paper averages over layers).
    """

    options: ReMoE
    l1: Tensor

    def __init__(self, d_model: int, n_experts: int, options: ReMoE):
        super().__init__(d_model, n_experts, options)
        self.register_buffer("l1", torch.tensor(float(options.l1_start)))

    def probabilities(self, c: Choice) -> Tensor:
        c.extra["gate"] = c.logits.relu()
        total = c.extra["gate"].sum(-1, keepdim=True)
        # A token without any positive score has no preference.
        return torch.where(total > 0, c.extra["gate"] / total.clamp(min=1e-20), 1.0 / self.n_experts)

    def select(self, c: Choice) -> tuple[Tensor, Tensor]:
        experts = torch.arange(self.n_experts, device=c.x.device).expand(c.x.shape[0], -1)
        return experts, c.ranking > 0

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        return c.extra["gate"]

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        mean_gate = c.extra["gate"].sum(0) / max(1, len(c.logits))
        busy = c.counts * (self.n_experts / (self.options.k * max(1, len(c.logits))))
        penalty = ((busy if self.options.balanced_l1 else 1.0) * mean_gate).sum()
        c.info |= {"l1_weight": self.l1.clone(), "active_per_token": c.counts.sum() / max(1, len(c.logits))}
        return {"l1": self.l1 * penalty, "z": z_loss(c.logits)}

    @torch.no_grad()
    def after_step(self, routing: Routing) -> None:
        routing = routing.unpadded
        assert isinstance(routing, SparseRouting)
        if routing.n_tokens:
            sparsity = 1 - routing.requested.float().mean()
            wanted = 1 - self.options.k / self.n_experts
            # Counts are whole numbers: a difference below this is rounding, and means that the target is met.
            gap = wanted - sparsity
            self.l1 *= self.options.l1_growth ** torch.where(gap.abs() < 1e-6, torch.zeros_like(gap), gap.sign())
            self.l1.clamp_(*L1_BOUNDS)

"""What all routers share: `Router`, the interface, and `TokenChoiceRouter`, from which every router is made in which each
token picks its k experts. Such a router is a short subclass that overrides one or two of the steps

    scores -> probabilities -> ranking -> select -> (slots) -> weights -> finish -> aux_terms

Axes: T tokens, D width, E experts, K chosen per token.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from moe_viz.moe.balance import as_share, autocasts, balance_loss, precise, routed_share, without_autocast, z_loss
from moe_viz.moe.capacity import Slots, assign_slots, capacity, reroute_slots
from moe_viz.moe.gates import GateValues, with_gradient
from moe_viz.moe.padding import real_rows, with_padding
from moe_viz.moe.routing import CompleteRouting, ListedRouting, Routing, SparseRouting, has_no_data, tokens_of_routes
from moe_viz.spec import RouterOptions
from moe_viz.spec.routers.base import TokenChoice


class Router(nn.Module, ABC):
    """Base of all routers. Subclasses implement `route` and return a `Routing`.

    options         the declared options, read at each forward: assign another instance of the same class to turn a live knob
    balance_group   tokens per group over which the load must be even (a sequence, an image); None: the whole batch
    global_counts   None, or a float tensor [E] that a trainer sets to zeros at the start of a step: training forwards then add their
                    route counts to it, and balance is charged on the running shares of all micro-batches so far (arXiv:2501.11873)
    """

    balance_group: int | None = None
    global_counts: Tensor | None = None
    on_choice: Callable[[Choice], None] | None = None
    """Of a token-choice router: called with each choice once its experts are ranked, e.g. to take a step apart; it may read, not change."""
    needs_network: bool = False
    """`residual_mix` blends the experts with a network for all tokens, which the layer then holds; otherwise with the token itself."""

    def __init__(self, d_model: int, n_experts: int, options: RouterOptions):
        super().__init__()
        self.d_model, self.n_experts, self.options = d_model, n_experts, options
        self._declared = frozenset(type(options).model_fields)

    def forward(
        self, x: Tensor, token_ids: Tensor | None = None, group_size: int | None = None, mask: Tensor | None = None
    ) -> Routing:
        """x [T, D] float, token_ids [T] int64 -> Routing. Selection and capacity hold within each `group_size` consecutive tokens.

        mask [T] bool, True = a real token: the others are routed nowhere and count in nothing, as if the batch did not have them
        (so groups are of consecutive real tokens). Raises ValueError where x is not [T, D] float, the mask is no such tensor, or the groups
        do not divide the number of (real) tokens; and while torch compiles or exports what cannot be (`untraceable`).
        """
        if has_no_data(x):
            reason = self.untraceable() if mask is None else "with a mask, which says by data how many tokens there are"
            if reason:
                raise ValueError(f"the {self.options.name} router cannot be compiled or exported {reason}")
        if x.dim() != 2 or x.shape[1] != self.d_model:
            raise ValueError(f"a router takes x of shape [tokens, {self.d_model}]; got {list(x.shape)}")
        if not x.is_floating_point():
            raise ValueError(f"a router takes x of floating-point numbers; got {x.dtype}")
        if mask is not None:
            rows = real_rows(mask, x.shape[0], token_ids)
            ids = None if token_ids is None else token_ids.reshape(-1)[rows]
            return with_padding(Router.forward(self, x[rows], ids, group_size), mask, rows)
        if group_size is not None and (group_size < 1 or x.shape[0] % group_size):
            raise ValueError(f"{x.shape[0]} tokens cannot be routed in groups of {group_size}: not a multiple")
        return self.route(x, token_ids, group_size or max(1, x.shape[0]))

    def option(self, name: str, otherwise: Any) -> Any:
        """The option of that name as it is now, or `otherwise` where these options do not declare it."""
        return getattr(self.options, name) if name in self._declared else otherwise

    def untraceable(self) -> str | None:
        """Why this router, set as it is, looks at data while it routes: the end of a sentence. None where shapes say all, and torch can
        compile and export it."""

    def check_state(self, state: Mapping[str, Tensor]) -> None:
        """Raises ValueError where these tensors, by their names in this router's own state_dict, hold what no training can have left."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As torch's own, but what a router keeps in buffers (counts, biases, penalties) never goes below float32: sums would stall."""
        before = {name: b for name, b in self._buffers.items() if b is not None and b.is_floating_point()}
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            after = self._buffers[name]
            if after is not None and after.is_floating_point() and after.dtype.itemsize < 4:
                self._buffers[name] = buffer.to(after.device, torch.float32)
        return self

    @abstractmethod
    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> Routing:
        """The routing of x [T, D], T a multiple of group_size."""

    def after_step(self, routing: Routing) -> None:
        """Called once after each optimiser step with the (last) training routing, without gradient: bias controllers and the like."""

    def break_off(self) -> None:
        """Called where an error has interrupted a step: what its forwards have left for the rest of it must not count in the next one."""

    def feedback(self, routing: Routing, reward: Tensor) -> dict[str, Tensor]:
        """More `aux` terms, once the reward [T] (detached, e.g. a token's log-likelihood) of each token is known."""
        return {}

    def balance(
        self, probs: Tensor, expert: Tensor, requested: Tensor | None = None, counts: Tensor | None = None
    ) -> Tensor:
        """Balancing loss over whatever `balance_group` and `global_counts` say; 1 = balanced.

        probs [T, E]; the other arguments as in `share`.
        """
        return balance_loss(probs, self.share(expert, requested, counts))

    def share(self, expert: Tensor, requested: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        """f of the balancing loss, [E] or [G, E].

        expert, requested [T, K'] the routes whose shares count (e.g. only first choices); counts [E] of them, where known.
        """
        if self.balance_group is not None and self.global_counts is None:
            return routed_share(expert, self.n_experts, requested, self.balance_group)
        if counts is None:
            ones = torch.ones_like(expert, dtype=torch.float32) if requested is None else requested.float()
            counts = ones.new_zeros(self.n_experts).scatter_add_(0, expert.reshape(-1), ones.reshape(-1))
        # Not only with gradient: reentrant checkpointing runs the forward that counts without.
        if self.global_counts is not None and self.training:
            if not in_backward():
                self.global_counts += counts
            return as_share(self.global_counts.clone())
        return as_share(counts, expert.numel() if requested is None else None)


def in_backward() -> bool:
    """Whether this forward is run by a backward pass: activation checkpointing repeats what was counted already."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage] - as torch.utils.checkpoint asks


def linear_gate(d_model: int, n_experts: int, std: float = 0.02) -> nn.Linear:
    """The usual router: one row of weights per expert, no bias, normal init."""
    gate = nn.Linear(d_model, n_experts, bias=False)
    nn.init.normal_(gate.weight, std=std)
    return gate


def full_precision(gate: nn.Linear, x: Tensor) -> Tensor:
    """gate(x) in float32 (or more) even under autocast: routers are the one place where half precision is known to hurt (Switch, 2.4)."""
    if autocasts(x):
        with without_autocast(x):
            return full_precision(gate, x)
    weight = precise(gate.weight)
    # Experts first: reductions over the short axis E are several times faster when tokens are the contiguous axis.
    return torch.mm(weight, precise(x).to(weight.dtype).t()).t()


def softmax(logits: Tensor) -> Tensor:
    """Softmax over the last axis, taken with tokens contiguous: many times faster on CPU for an axis as short as E."""
    return logits.movedim(-1, 0).softmax(0).movedim(0, -1)


def top_k(scores: Tensor, k: int) -> Tensor:
    """Indices [T, k] of the k highest scores [T, E], best first; ties go to the lowest index on every device. Not differentiable."""
    scores = scores.detach()
    if k > 4:
        return scores.argsort(dim=-1, descending=True, stable=True)[:, :k]
    # For small k repeated maxima are several times faster than torch.topk, whose order among ties is not defined either.
    chosen = [scores.max(-1, keepdim=True).indices]
    for _ in range(k - 1):
        scores = scores.scatter(1, chosen[-1], -torch.inf)
        chosen.append(scores.max(-1, keepdim=True).indices)
    return chosen[0] if k == 1 else torch.cat(chosen, 1)


@dataclass
class Choice:
    """What is known so far while a token-choice router works; each step may read what the steps before it left here.

    x [T, D], token_ids [T] | None, logits [T, E] (of routers with scores), probs [T, E] with gradient, ranking [T, E] detached scores by which experts are preferred,
    expert [T, K], requested [T, K] bool | None (= all), counts [E] float routes asked for, norm [T, 1] and counted [T, K] | None as in `finish`,
    share [E] or [G, E] as in `charged`, info: for display (goes into `Routing.info`),
    extra: whatever a subclass wants to hand from one of its steps to another.
    """

    x: Tensor
    token_ids: Tensor | None
    group_size: int
    logits: Tensor = field(init=False)
    probs: Tensor = field(init=False)
    ranking: Tensor = field(init=False)
    expert: Tensor = field(init=False)
    requested: Tensor | None = None
    counts: Tensor = field(init=False)
    norm: Tensor | None = None
    counted: Tensor | None = None
    share: Tensor = field(init=False)
    info: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


class TokenChoiceRouter(Router):
    """Each token picks its K experts; buffers of limited capacity may then drop some of these routes.

    As it stands this is plain softmax top-k with a linear gate. Override the steps that differ; they run in this order.
    Options that the declaration does not have (`noise`, `capacity_factor`, ...) count as switched off.

    one_gradient: all that is differentiable after `probabilities` is as it stands here, so that its gradient is the one step of gates.py.
    A subclass that overrides such a step loses that, and autograd follows its steps instead.
    """

    options: TokenChoice
    one_gradient: bool = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        steps = ("weights", "finish", "norm", "aux_terms")
        if "one_gradient" not in cls.__dict__:
            cls.one_gradient = all(getattr(cls, step) is getattr(TokenChoiceRouter, step) for step in steps)

    def __init__(self, d_model: int, n_experts: int, options: RouterOptions):
        super().__init__(d_model, n_experts, options)
        self.gate = linear_gate(d_model, n_experts)

    # -- the steps ---------------------------------------------------------------------------------------------------------

    def scores(self, c: Choice) -> Tensor | None:
        """Raw logits [T, E] of c.x, in float32 or more (`full_precision`). None for routers without scores, which then override all below."""
        return full_precision(self.gate, c.x)

    def probabilities(self, c: Choice) -> Tensor:
        """Full distribution [T, E] with gradient; rows sum to 1. Balance is charged on it."""
        return softmax(c.logits)

    def ranking(self, c: Choice) -> Tensor:
        """Scores [T, E] by which experts are preferred (noise or a bias enters here, and nowhere else). Not differentiated."""
        ranking, noise = c.logits.detach(), self.option("noise", 0.0)
        return ranking + noise * torch.randn_like(ranking) if noise and self.training else ranking

    def select(self, c: Choice) -> tuple[Tensor, Tensor | None]:
        """Experts [T, K], best first, and which of them are really wanted, [T, K] bool (None: all). Capacity comes later."""
        return top_k(c.ranking, self.options.k), None

    def weights(self, c: Choice, expert: Tensor) -> Tensor:
        """Gates [T, K] of these experts, with gradient, before any renormalisation. `expert` may differ from c.expert after a re-route."""
        return c.probs.gather(1, expert)

    def finish(self, c: Choice, gates: Tensor, kept: Tensor | None) -> Tensor:
        """Combine weights [T, K] from gates: renormalised as the options say; kept [T, K], None: all of them.

        Weights of routes not kept are set to 0 afterwards.
        """
        c.norm = c.counted = None
        if self.option("renormalize", "never") == "never":
            return gates
        c.counted = self.counted(c, kept)
        norm = c.norm = self.norm(gates if c.counted is None else gates.masked_fill(~c.counted, 0))
        return gates / norm

    def counted(self, c: Choice, kept: Tensor | None) -> Tensor | None:
        """Which gates [T, K] are renormalised to sum to 1, None: all that were chosen."""
        return kept if self.options.renormalize == "after_drop" and kept is not None else c.requested

    def norm(self, gates: Tensor) -> Tensor:
        """What renormalised gates are divided by, [T, 1]. gates [T, K], 0 where they do not count."""
        # Added rather than clamped: it vanishes beside any real sum, and costs no operation on the way back.
        return gates.sum(-1, keepdim=True) + 1e-20

    def charged(self, c: Choice) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The routes whose shares the balancing loss counts: the arguments of `share`."""
        return c.expert, c.requested, c.counts

    def aux_terms(self, c: Choice) -> dict[str, Tensor]:
        """Unweighted loss terms by name."""
        c.share = self.share(*self.charged(c))
        return {"balance": balance_loss(c.probs, c.share), "z": z_loss(c.logits)}

    # -- what is the same for all ------------------------------------------------------------------------------------------

    def route(self, x: Tensor, token_ids: Tensor | None, group_size: int) -> SparseRouting:
        c = Choice(x, token_ids, group_size)
        logits = self.scores(c)
        if logits is not None:
            c.logits = logits
        probs = c.probs = self.probabilities(c)
        joined = logits if self.one_gradient and probs.requires_grad and not has_no_data(x) else None
        if joined is not None:
            c.logits, c.probs = joined.detach(), probs.detach()
        with torch.no_grad():
            c.ranking = self.ranking(c)
        if self.on_choice is not None:
            self.on_choice(c)
        c.expert, c.requested = self.select(c)
        limit, slots = self._slots(c)
        c.counts = (slots.counts[0] if len(slots.counts) == 1 else slots.counts.sum(0)).to(c.probs.dtype)
        gates = self.weights(c, slots.expert)
        asked = None if limit is None else self.finish(c, gates.detach(), None).reshape(-1)
        weight = self.finish(c, gates, slots.kept)
        if slots.kept is not None:
            weight = weight.masked_fill(~slots.kept, 0)
        weight, aux = weight.reshape(-1), self.aux_terms(c)
        if joined is not None:
            values = weight, aux["balance"], aux["z"], slots.expert, slots.kept, c.norm, c.counted, c.share
            weight, aux["balance"], aux["z"] = with_gradient(joined, probs, GateValues(*values))
        n_tokens, k = c.expert.shape
        n_groups = n_tokens // group_size
        if n_groups > 1:
            c.info |= {"groups": n_groups, "group_capacity": limit}
        known: dict[str, Any] = {
            "logits": logits,
            "probs": probs,
            "route_token": tokens_of_routes(n_tokens, k, x.device),
            "route_expert": slots.expert.reshape(-1),
            "route_weight": weight,
            "capacity": None if limit is None else limit * max(1, n_groups),
            "pre_counts": c.counts,
            "post_counts": self._post_counts(c, slots, limit),
            "aux": aux,
            "info": c.info,
            "per_token": k,
            "asked_weight": asked,
        }
        if slots.order is not None:
            return CompleteRouting(**known, route_order=slots.order)
        assert slots.slot is not None and slots.kept is not None
        requested = torch.ones_like(slots.kept) if c.requested is None else c.requested
        known |= {"route_slot": slots.slot.reshape(-1), "requested": requested.reshape(-1)}
        return ListedRouting(**known, kept=slots.kept.reshape(-1))

    def _post_counts(self, c: Choice, slots: Slots, limit: int | None) -> Tensor:
        if limit is None:
            return c.counts
        if self.option("drop_policy", "") != "reroute":
            return slots.counts.clamp(max=limit).sum(0).to(c.counts.dtype)
        assert slots.kept is not None
        kept = slots.kept.reshape(-1).to(c.counts.dtype)
        return torch.zeros_like(c.counts).scatter_add_(0, slots.expert.reshape(-1), kept)

    def _slots(self, c: Choice) -> tuple[int | None, Slots]:
        k, n_groups = c.expert.shape[1], max(1, c.x.shape[0] // c.group_size)
        limit = self.group_capacity(c.group_size, k)
        policy = self.option("drop_policy", "position")
        if limit is not None and policy == "reroute":
            return limit, reroute_slots(c.ranking, k, limit, n_groups, c.expert, c.requested)
        gates = self.weights(c, c.expert).detach() if limit is not None and policy != "position" else c.probs
        return limit, assign_slots(c.expert, gates, self.n_experts, limit, policy, c.requested, n_groups)

    def group_capacity(self, n_tokens: int, k: int) -> int | None:
        """Slots of one expert for a group of this many tokens; None where dropless."""
        o = self.options
        factor = self.option("capacity_factor", None)
        if factor is None:
            return None
        return capacity(n_tokens, self.n_experts, k, factor, o.capacity_rounding, o.min_capacity)

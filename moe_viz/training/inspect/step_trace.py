"""Dissecting one training step: a copy of the run makes its next step, watched at one layer, and one token's numbers are read off.

The run itself is not touched, and the step that it will make later is this very one. What was watched comes to the host in one copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moe_viz.moe import MoELayer, Routing, SoftRouting, SparseRouting
from moe_viz.moe.experts import ACTIVATIONS
from moe_viz.moe.routers.second_expert import budget_loss
from moe_viz.records.step_story import Route, RowStory, StepStory
from moe_viz.spec.knobs import N_
from moe_viz.tasks import Batch
from moe_viz.training.inspect.copies import twin_of
from moe_viz.training.inspect.hooks import LayerPass, losses_again, watching
from moe_viz.training.objective import coefficient
from moe_viz.training.run import Run
from moe_viz.training.step import CLIP_NORM
from moe_viz.training.transfer import to_host


def dissect(run: Run, token: int, layer: int) -> StepStory:
    """The story of one token (of the next training batch) in one layer. Raises ValueError where there is no such token or layer, or no
    one pass to tell of (THOR's agreement)."""
    n_layers = len(run.model.moe_layers)
    if not 0 <= layer < n_layers:
        raise ValueError(f"layer = {layer} must be 0 to {n_layers - 1}")
    run.collect()
    if run.state == "diverged":
        raise ValueError("this run has diverged: it has no next step")
    if getattr(run.config.router, "consistency", 0.0):
        raise ValueError(N_("With agreement every token passes twice in one step. Set it to 0 to take a step apart."))
    copy = twin_of(run)
    ours, moe = run.model.moe_layers[layer], copy.model.moe_layers[layer]
    with watching(copy, moe) as watched:
        copy.step()
        sizes = [len(seen.x) for seen in watched]
        if not 0 <= token < sum(sizes):
            raise ValueError(f"token = {token} must be 0 to {sum(sizes) - 1}")
        after = losses_again(copy, run.step_number, watched)
    for seen in watched:
        seen.keep_gradients()
    own, gate = _gate(ours), _gate(moe)
    moments = {} if own is None else dict(run.optimizer.state.get(own, {}))
    learned = None if gate is None or gate.grad is None else (gate, gate.grad)
    watched, after, before, moments, learned = to_host((watched, after, dict(ours.state_dict()), moments, learned))
    norm = float(copy.statistics.read().grad_norm[-1])
    index = int(np.searchsorted(np.cumsum(sizes), token, side="right"))
    reader = _StoryReader(copy, run, moe, before, moments, learned, norm)
    return reader.read(watched, index, token - sum(sizes[:index]), token, layer, after)


def _gate(moe: MoELayer) -> nn.Parameter | None:
    """[E, D] the router's rows where its logits are a linear map of what it sees, else None."""
    weight = getattr(getattr(moe.router, "gate", None), "weight", None)
    return weight if isinstance(weight, nn.Parameter) and weight.shape[0] == moe.experts.n_experts else None


class _StoryReader:
    """Reads one token's numbers off what was watched, all of it on the host. learned: the gate's weight after the step and its gradient."""

    def __init__(
        self, copy: Run, run: Run, moe: MoELayer, before: dict[str, Tensor], moments: Any, learned: Any, norm: float
    ):
        self.copy, self.run, self.moe = copy, run, moe
        self.before, self.moments, self.learned = before, moments, learned
        self.clip = min(1.0, CLIP_NORM / (norm + 1e-6))

    def read(
        self, parts: list[LayerPass], index: int, local: int, token: int, layer: int, after: list[Tensor]
    ) -> StepStory:
        seen, config = parts[index], self.run.config
        routing, choice = seen.routing, seen.choice
        share = len(seen.x) / sum(len(part.x) for part in parts)
        linear = None if _gate(self.moe) is None or routing.logits is None else self.before["router.gate.weight"]
        sees = seen.x[local] if seen.shift is None else seen.x[local] + seen.shift
        routes = self._routes(seen, local)
        logits, ranking = _row(routing.logits, local), None if choice is None else _row(choice.ranking, local)
        score = None if choice is None else _row(choice.extra.get("score", choice.extra.get("sigmoid")), local)
        probs = _np(routing.probs[local])
        grad = _row(seen.grads.get("logits"), local)
        groups = max(1, routing.soft_groups if isinstance(routing, SoftRouting) else int(routing.info.get("groups", 1)))
        names, first, dropped = self._overview(parts)
        if linear is not None and (logits is None or not self._is_linear(linear, sees, logits)):
            linear = None
        return StepStory(
            step=self.run.step_number,
            layer=layer,
            token=token,
            config=config.flat(),
            names=names,
            first_expert=first,
            dropped=dropped,
            x=_np(seen.x[local]),
            seen=_np(sees),
            row=_np(linear[routes[0].expert]) if linear is not None and routes else None,
            logits=logits,
            ranking=ranking,
            score=score,
            bias=_np(self.before["router.bias"]) if "router.bias" in self.before else None,
            noisy=bool(config.flat().get("noise")) and "noise" in config.flat(),
            plan=config.router.name == "sinkhorn",
            softmax=logits is not None and bool(np.allclose(_softmax(logits), probs, atol=1e-4)),
            probs=probs,
            routes=routes,
            capacity=None if routing.capacity is None else routing.capacity // groups,
            group_size=len(seen.x) // groups,
            mix=None if routing.residual_mix is None else _np(routing.residual_mix[local]).reshape(-1),
            y=_np(seen.y[local]),
            loss_before=float(seen.per_token[local]),
            loss_after=float(after[index][local]),
            batch_before=float(seen.per_token.mean()),
            batch_after=float(after[index].mean()),
            aux=self._aux(seen.routings),
            dy=np.zeros(len(seen.x[local])) if "y" not in seen.grads else _np(seen.grads["y"][local]),
            dlogits=grad,
            dlogits_aux={name: share * _np(part[local]) for name, part in seen.aux_grads.items()},
            router_row=None if linear is None or grad is None or not routes else self._row_story(sees, grad, routes[0]),
            part=share,
        )

    def _aux(self, routings: list[Routing]) -> dict[str, tuple[float, float]]:
        """Term -> (its mean over the layers, its weight), as `objective.auxiliary_loss` adds them up."""
        config, terms_by_name = self.copy.config, {}
        terms = [{name: float(term.detach()) for name, term in routing.aux.items()} for routing in routings]
        for name in dict.fromkeys(name for layer in terms for name in layer):
            value = sum(layer.get(name, 0.0) for layer in terms) / len(terms)
            if name == "cmr":
                gates = [routing.residual_mix.detach() for routing in routings if routing.residual_mix is not None]
                value = float(budget_loss(gates, config.router.budget))
            terms_by_name[name] = (value, coefficient(name, config))
        return terms_by_name

    def _is_linear(self, rows: Tensor, sees: Tensor, logits: np.ndarray) -> bool:
        """Not where the router adds to its scores or disturbs what it sees (jitter)."""
        return bool(np.allclose(_np(rows @ sees), logits, rtol=1e-3, atol=1e-4))

    def _overview(self, parts: list[LayerPass]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        names, first, dropped = [], [], []
        for seen in parts:
            names.append(_names(self.copy, seen.batch))
            best = torch.full((len(seen.x),), -1)
            if isinstance(seen.routing, SparseRouting):
                order = seen.routing.route_weight.detach().argsort(stable=True)
                asked = order[seen.routing.requested[order]]
                for_token = seen.routing.route_token[asked]
                best[for_token] = seen.routing.route_expert[asked]
            first.append(best.numpy())
            dropped.append(seen.routing.dropped.numpy())
        return np.concatenate(names), np.concatenate(first), np.concatenate(dropped)

    def _routes(self, seen: LayerPass, local: int) -> list[Route]:
        routing = seen.routing
        if not isinstance(routing, SparseRouting):
            return []
        asked = routing.route_weight if routing.asked_weight is None else routing.asked_weight
        asked, used, probs = asked.detach(), routing.route_weight.detach(), routing.probs.detach()
        mine = ((routing.route_token == local) & routing.requested).nonzero().squeeze(-1)
        grads = seen.grads.get("weight")
        groups = max(1, int(routing.info.get("groups", 1)))
        routes = []
        for m in mine.tolist():
            expert, slot = int(routing.route_expert[m]), int(routing.route_slot[m])
            x = seen.x[local] if routing.route_in_weight is None else seen.x[local] * routing.route_in_weight[m]
            hidden, output = self._run_expert(x.detach(), expert)
            place = slot
            if groups > 1 and routing.capacity is not None:
                size = routing.capacity // groups
                group = local // (len(seen.x) // groups)
                place = slot - (group if routing.kept[m] else groups - 1) * size
            routes.append(
                Route(
                    expert=expert,
                    gate=float(probs[local, expert]),
                    asked=float(asked[m]),
                    weight=float(used[m]) if routing.kept[m] else 0.0,
                    place=place,
                    asked_of=self._asked_of(routing, expert, local, groups),
                    kept=bool(routing.kept[m]),
                    active=int((hidden != 0).sum()),
                    hidden=len(hidden),
                    output=_np(output),
                    gradient=None if grads is None else float(grads[m]),
                )
            )
        return sorted(routes, key=lambda route: -route.asked)

    def _asked_of(self, routing: SparseRouting, expert: int, local: int, groups: int) -> int:
        """Routes asked of an expert, in the token's group."""
        size = routing.n_tokens // groups
        same = (routing.route_expert == expert) & routing.requested & (routing.route_token // size == local // size)
        return int(same.sum())

    def _run_expert(self, x: Tensor, expert: int) -> tuple[Tensor, Tensor]:
        """Hidden units and output of one expert on one token, with the weights from before the step."""
        w, b1, b2 = self.before, self.before.get("experts.b1"), self.before.get("experts.b2")
        h = x @ w["experts.w1"][expert]
        h = ACTIVATIONS[self.moe.experts.activation](h if b1 is None else h + b1[expert])
        out = h @ w["experts.w2"][expert]
        return h, out if b2 is None else out + b2[expert]

    def _row_story(self, sees: Tensor, grad: np.ndarray, route: Route) -> RowStory | None:
        if self.learned is None:
            return None
        gate, gradient = self.learned
        x, e = _np(sees), route.expert
        d = int(np.argmax(np.abs(x)))
        group: dict[str, Any] = self.copy.optimizer.param_groups[0]
        moments = {n: float(self.moments[n][e, d]) if self.moments else 0.0 for n in ("exp_avg", "exp_avg_sq")}
        return RowStory(
            expert=e,
            component=d,
            x=float(x[d]),
            dlogit=float(grad[e]),
            part=float(grad[e] * x[d]),
            gradient=float(gradient[e, d]) / self.clip,
            clip=self.clip,
            mean=moments["exp_avg"],
            square=moments["exp_avg_sq"],
            t=int(self.moments["step"]) + 1 if self.moments else 1,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            before=float(self.before["router.gate.weight"][e, d]),
            after=float(gate[e, d]),
        )


def _names(copy: Run, batch: Batch) -> np.ndarray:
    """[T] how the tokens of a training batch are called: pieces of text, or what their ids stand for."""
    task: Any = copy.task
    if task.is_text:
        return task.labels(batch).tokens
    ids = batch.token_ids.numpy()
    if copy.config.task.name == "clusters":
        return np.array([f"{chr(ord('A') + i)}{n}" for n, i in enumerate(ids)])
    return np.array([f"{n // batch.group_size}:{i}" for n, i in enumerate(ids)])


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max())
    return e / e.sum()


def _np(tensor: Tensor) -> np.ndarray:
    return tensor.double().numpy()


def _row(tensor: Tensor | None, index: int) -> np.ndarray | None:
    return None if tensor is None else _np(tensor[index])

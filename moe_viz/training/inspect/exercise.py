"""What an exercise of the course measures on a run: columns looked at on demand, and the run under other knobs without a step.

Nothing here changes the run but its history, whose newest row gets the columns that were looked at. Layers and experts count from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from moe_viz.moe import SparseRouting
from moe_viz.records.metrics import dropped_token_rate, experts_touched
from moe_viz.records.specialisation import (
    domain_information,
    domain_information_null,
    domain_specialisation,
    place_information,
    routes_changed_before,
    share_to,
)
from moe_viz.records.token_identity import predictability
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import change, needs_restart
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused
from moe_viz.tasks import Batch
from moe_viz.training.devices import random_stream
from moe_viz.training.inspect.analysis import Analyser
from moe_viz.training.inspect.own_input import route_text
from moe_viz.training.inspect.probe import route, traces_of
from moe_viz.training.run import Run
from moe_viz.training.transfer import to_host

GROUPS = (1, 4, 16, 64)
"""Tokens that are answered together, of `experts_touched`."""
MOST_SETTINGS = 16
RANDOM_ASSIGNMENTS = 500


class Look:
    """One look at a run: traces are made once, and only where a column needs them."""

    def __init__(self, run: Run):
        self.run = run
        self._probe: list[RoutingTrace] | None = None
        self._analysed: list[RoutingTrace] | None = None
        self._null: list[np.ndarray] | None = None

    @property
    def probe(self) -> list[RoutingTrace]:
        if self._probe is None:
            run = self.run
            routings = route(run.model, run.task.probe, run.config, run.step_number, run.device)
            self._probe = traces_of(routings, run.task.probe_labels, run.config, run.step_number)
        return self._probe

    @property
    def analysed(self) -> list[RoutingTrace]:
        """Of the larger held-out batch, from which domains and tokens are counted."""
        if self._analysed is None:
            self._analysed = Analyser(self.run).analysis.traces
        return self._analysed

    @property
    def null(self) -> list[np.ndarray]:
        if self._null is None:
            self._null = [domain_information_null(trace) for trace in self.analysed]
        return self._null


LOOKED_AT: dict[str, Callable[[Look], Any]] = {
    "task_metric": lambda look: look.run.snapshot().metrics["task_metric"],
    "unserved": lambda look: float(np.mean([dropped_token_rate(trace) for trace in look.probe])),
    "experts_touched": lambda look: {str(b): experts_touched(look.probe[-1], b) for b in GROUPS},
    "domain_information": lambda look: [domain_information(trace) for trace in look.analysed],
    "domain_null": lambda look: [float(null.max()) for null in look.null],
    "domain_null_mean": lambda look: [float(null.mean()) for null in look.null],
    "place_information": lambda look: [place_information(trace) for trace in look.analysed],
    "token_predictability": lambda look: [predictability(trace).by_token for trace in look.analysed],
    "router_task_gradient": lambda look: router_task_gradient(look.run),
}
"""Column of a check that is measured on demand -> how; per layer as lists, `experts_touched` by the size of a group."""


def look(run: Run, names: Sequence[str]) -> dict[str, Any]:
    """These columns as they are now, by name; None for what is not defined. The history's newest row gets them, too. ValueError for others."""
    unknown = [name for name in names if name not in LOOKED_AT]
    if unknown:
        raise ValueError(f"{unknown[0]!r} cannot be looked at; what can: {', '.join(LOOKED_AT)}")
    run.collect()
    one = Look(run)
    found = {name: _plain(LOOKED_AT[name](one)) for name in names}
    columns = {key: value for name in names if name != "task_metric" for key, value in _columns(name, found[name])}
    if columns and run.history.last == (run.epoch, run.step_number):
        run.history.amend(list(columns), list(columns.values()))
    return found


def _columns(name: str, value: Any) -> list[tuple[str, float]]:
    """The history's columns of one looked-at quantity."""
    if isinstance(value, dict):
        return [column for key, item in value.items() for column in _columns(f"{name}.{key}", item)]
    if isinstance(value, list):
        return [column for key, item in enumerate(value) for column in _columns(f"{name}.{key}", item)]
    return [(name, math.nan if value is None else value)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is not None and math.isfinite(value) else None


def router_task_gradient(run: Run) -> list[float | None]:
    """Per layer the largest |dL_task / dlogit| over the probe tokens, no auxiliary term; None for a router without scores."""
    model = _copy(run).model.eval()
    with random_stream(run.device, "look", run.config.seed, run.step_number), torch.enable_grad():
        outputs = model(run.task.probe)
        logits = [routing.logits for routing in model.routings]
        graded = [one for one in logits if one is not None and one.requires_grad]
        loss = run.task.loss(outputs, run.task.probe)[0]
        grads = torch.autograd.grad(loss, graded, allow_unused=True) if graded and loss.requires_grad else []
    largest = iter([0.0 if grad is None else float(grad.abs().max()) for grad in grads])
    return [None if one is None else next(largest, 0.0) if one.requires_grad else 0.0 for one in logits]


# -- under other knobs -----------------------------------------------------------------------------------------------------


def _copy(run: Run) -> Run:
    """A run that stands where this one does, to be turned and thrown away."""
    return Run.of(run.moment(history=False))


def under(run: Run, knobs: Mapping[str, Any]) -> Run:
    """A copy of the run with these knobs (flat words) turned, no step made. Refuses what would have to start again from step 0."""
    config = change(run.config, **knobs)
    restart = needs_restart(run.config, config)
    if restart:
        raise Refused(_RESTART, words=", ".join(sorted(restart)))
    twin = _copy(run)
    if knobs:
        twin.set(**knobs)
    return twin


def paused(run: Run, settings: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Looked-at columns under each setting (name -> flat words), without a step and without leaving a knob turned. Raises ValueError."""
    _refuse_too_many(settings)
    return {name: look(under(run, knobs), columns) for name, knobs in settings.items()}


def edited(run: Run, settings: Mapping[str, Mapping[str, Any]], text: str, after: str) -> dict[str, dict[str, Any]]:
    """`routes_changed_before` of an edit under each setting. Raises ValueError where the two texts have not equally many tokens, or are equal."""
    _refuse_too_many(settings)
    task: Any = run.task
    if not task.is_text:
        raise ValueError(f"task = {run.config.task.name!r} is not text: it has no edit")
    one, other = task.encode(text), task.encode(after)
    if len(one) != len(other):
        raise Refused(_LENGTHS, before=len(one), after=len(other))
    differs = torch.nonzero(one != other)
    if not len(differs):
        raise Refused(_NO_EDIT)
    place = int(differs[0])
    found = {}
    for name, knobs in settings.items():
        twin = under(run, knobs)
        changed = routes_changed_before(route_text(twin, text), route_text(twin, after), place)
        found[name] = {"routes_changed_before": changed}
    return found


def expert_of(run: Run, group: str, layer: int) -> int:
    """The expert that the table of domains by experts calls by this domain: the one that most of its tokens choose."""
    return int(domain_specialisation(Look(run).analysed[layer])[group].to_numpy().argmax())


def shares(run: Run, group: str, layer: int, texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`share_to` of each text (by its name) for the expert called by `group`. Raises ValueError as `route_text` does."""
    expert = expert_of(run, group, layer)
    return {name: {"share_to": share_to(route_text(run, text)[layer], expert)} for name, text in texts.items()}


def switched_off(run: Run, layer: int) -> tuple[int, dict[str, float]]:
    """The expert of a layer whose silence harms one domain most, and how much the loss of each domain rises without it (nats)."""
    analyser = Analyser(run)
    whole, labels = analyser.losses(layer, None), analyser.labels
    first = np.unique(labels.sequence, return_index=True)[1]
    groups = labels.group[first]
    rises = []
    for expert in range(run.config.n_experts):
        without = analyser.losses(layer, expert)
        rises.append(
            {
                str(g): float((without - whole[: len(without)])[groups[: len(without)] == g].mean())
                for g in dict.fromkeys(groups)
            }
        )
    marked = max(range(len(rises)), key=lambda expert: max(rises[expert].values()))
    return marked, rises[marked]


def table_names(run: Run, layer: int, expert: int) -> str:
    """The domain whose tokens choose the expert most often, as the table says."""
    return str(domain_specialisation(Look(run).analysed[layer]).loc[expert].idxmax())


# -- the gate by hand ------------------------------------------------------------------------------------------------------


def by_hand(run: Run) -> dict[str, Any]:
    """The next batch's routing to be worked out on paper: `logits` [T][E], `capacity`, `marked` three tokens, and `truth`, see below.

    truth: six rows [expert, weight, place, kept], first and second choice of each marked token; expert and place in its queue from 1.
    marked: the first token, one whose second choice waits behind others, one that overflows.
    """
    batch = run.task.train_batch(run.step_number, run.config.seed)
    routing = to_host(route(run.model, batch, run.config, run.step_number, run.device))[0]
    if not isinstance(routing, SparseRouting) or routing.logits is None or routing.per_token != 2:
        raise ValueError("this exercise needs a gate with scores that sends each token to two experts")
    rows = [queue_row(routing, token) for token in range(routing.n_tokens)]
    waits = max(range(1, len(rows)), key=lambda t: (rows[t][0][3] and rows[t][1][3], rows[t][1][2]))
    lost = next((t for t in range(1, len(rows)) if t != waits and not (rows[t][0][3] and rows[t][1][3])), len(rows) - 1)
    marked = [0, waits, lost]
    logits = [[round(float(x), 3) for x in row] for row in routing.logits]
    return {
        "logits": logits,
        "capacity": routing.capacity,
        "marked": marked,
        "truth": [row for t in marked for row in rows[t]],
    }


def queue_row(routing: SparseRouting, token: int) -> list[list[Any]]:
    """Of a token's two routes: [expert from 1, weight, place in the expert's queue from 1, kept]; first choices stand before all second ones."""
    chosen = routing.probs.topk(2).indices.tolist()
    weight = routing.route_weight if routing.asked_weight is None else routing.asked_weight
    weights = {(int(t), int(e)): float(w) for t, e, w in zip(routing.route_token, routing.route_expert, weight)}
    found = []
    for choice in (0, 1):
        expert = chosen[token][choice]
        before = sum(row[0] == expert for row in (chosen if choice else chosen[:token]))
        before += sum(row[1] == expert for row in chosen[:token]) if choice else 0
        kept = routing.capacity is None or before < routing.capacity
        found.append([expert + 1, weights[token, expert], before + 1, kept])
    return found


def loss_matrix(run: Run, tokens: int) -> np.ndarray:
    """[T, E + 1] loss of each held-out token through each expert alone with that expert's gate; last column: through none.

    Exact for the points task with one layer, where the loss adds over tokens. Raises ValueError elsewhere.
    """
    if run.config.task.name != "clusters" or run.config.n_layers != 1:
        raise ValueError("the loss of an assignment adds over tokens in the points task with one layer only")
    held = run.task.held_out
    batch = Batch(held.inputs[:tokens], held.targets[:tokens], held.token_ids[:tokens], tokens)
    layer = run.model.moe_layers[0]
    shared = run.model.shared_vector
    with torch.no_grad():
        x = batch.inputs if shared is None else batch.inputs + shared
        probs = route(run.model, batch, run.config, run.step_number, run.device)[0].probs.to(x.device)
        answers = layer.experts(x[None].expand(run.config.n_experts, -1, -1))
        outputs = torch.cat([probs.t()[:, :, None] * answers, torch.zeros_like(x)[None]])
        return (outputs - batch.targets).square().mean(-1).t().double().cpu().numpy()


def assignments(run: Run, answer: Sequence[int], tokens: int, slots: int) -> dict[str, dict[str, Any]]:
    """`loss` of the student's assignment (expert from 1, 0 = left out), of random full ones (mean), and of the best possible one.

    Raises ValueError for an answer that is none: another length, no such expert, or more tokens than slots.
    """
    matrix = loss_matrix(run, tokens)
    n_experts = matrix.shape[1] - 1
    chosen = np.array([int(one) for one in answer])
    if len(chosen) != tokens or chosen.min() < 0 or chosen.max() > n_experts:
        raise Refused(_ASSIGNMENT, tokens=tokens, experts=n_experts)
    if (np.bincount(chosen, minlength=n_experts + 1)[1:] > slots).any():
        raise Refused(_SLOTS, slots=slots)
    random = [assignment_loss(matrix, one) for one in random_assignments(tokens, n_experts, slots)]
    return {
        "mine": {"loss": assignment_loss(matrix, chosen)},
        "random": {"loss": float(np.mean(random))},
        "best": {"loss": assignment_loss(matrix, best_assignment(matrix, slots))},
    }


def assignment_loss(matrix: np.ndarray, chosen: np.ndarray) -> float:
    """Mean loss of an assignment: chosen [T], expert from 1, 0 = left out;  matrix [T, E + 1] as `loss_matrix` has it."""
    return float(matrix[np.arange(len(chosen)), np.asarray(chosen) - 1].mean())


def random_assignments(tokens: int, n_experts: int, slots: int, count: int = RANDOM_ASSIGNMENTS) -> list[np.ndarray]:
    """Full random assignments, always the same ones: each token has a slot where there are enough."""
    rng = np.random.default_rng(0)
    places = np.repeat(np.arange(1, n_experts + 1), slots)
    return [rng.permutation(places)[:tokens] for _ in range(count)]


def best_assignment(matrix: np.ndarray, slots: int) -> np.ndarray:
    """[T] the assignment of least loss, expert from 1, 0 = left out, by the Hungarian method."""
    from scipy.optimize import linear_sum_assignment

    tokens, n_experts = len(matrix), matrix.shape[1] - 1
    cost = np.concatenate([np.repeat(matrix[:, :-1], slots, axis=1), np.repeat(matrix[:, -1:], tokens, axis=1)], 1)
    place = linear_sum_assignment(cost)[1]
    return np.where(place < n_experts * slots, place // slots + 1, 0)


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "knobs": paused,
    "edit": edited,
    "texts": shares,
    "slots": assignments,
    "by_hand": by_hand,
    "switched_off": lambda run, layer: dict(zip(("marked", "rises"), switched_off(run, layer))),
    "matrix": lambda run, tokens: {"loss": loss_matrix(run, tokens).tolist()},
}
"""Kind of a measurement -> how; each takes the run and what the exercise names."""


def measured(run: Run, kind: str, **wanted: Any) -> dict[str, Any]:
    """One of `MEASURES` on the run as it stands. Raises ValueError for another kind, other words, or what the measurement refuses."""
    if kind not in MEASURES:
        raise ValueError(f"{kind!r} is no measurement; there are: {', '.join(MEASURES)}")
    try:
        return MEASURES[kind](run, **wanted)
    except TypeError as error:
        raise ValueError(f"{kind}: {error}") from error


def _refuse_too_many(settings: Mapping[str, Any]) -> None:
    if len(settings) > MOST_SETTINGS:
        raise Refused(_MANY, most=MOST_SETTINGS)


_RESTART = N_("“{words}” cannot be turned without a new start: it cannot be measured on a paused run")
_LENGTHS = N_(
    "the edited text has {after} tokens, the other one {before}: they must be equally long, because capacity depends on it"
)
_NO_EDIT = N_("the two texts are the same: change something")
_ASSIGNMENT = N_("{tokens} places are needed, each an expert from 1 to {experts}, or 0 for left out")
_SLOTS = N_("an expert has {slots} slots; more tokens were put to one")
_MANY = N_("more than {most} settings cannot be measured at once")

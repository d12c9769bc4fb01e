"""Random sessions: what a reader may do with a run, in any order, between steps and looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS
from moe_viz.training import Trainer
from tests.training.conftest import small

REFUSED: list[dict[str, Any]] = [
    {"lr": 99.0},
    {"nonsense": 1},
    {"n_experts": 1000},
    {"router": "nope"},
    {"lr": float("nan")},
]
LIVE: dict[str, list[Any]] = {
    "lr": [0.001, 0.003, 0.02],
    "balance_coef": [0.0, 0.01, 0.3],
    "z_coef": [0.0, 0.001],
    "batch_tokens": [64, 96, 160],
    "shared_vector": [0.0, 4.0],
    "balance_scope": ["batch", "sequence", "global"],
    "micro_batches": [1, 2],
    "freeze_router": [False, True],
    "grad_ledger": [False, True],
    "speed": [0, 5, "full"],
    "k": [1, 2],
}
RESTARTING: dict[str, list[Any]] = {"n_experts": [4, 8], "seed": [1, 2], "d_hidden": [16, 24], "n_layers": [1, 2]}


@dataclass
class Session:
    """A run as a reader has left it. seen: (epoch, step) -> what was on screen, where nothing was turned before the next step"""

    trainer: Trainer
    seen: dict[tuple[int, int], list[RoutingTrace]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)


def play(number: int, actions: int = 12) -> Session:
    """The session of this number: all tasks and all routers come up in turn."""
    draw = np.random.default_rng(number)
    tasks, routers = list(TASK_OPTIONS), list(ROUTER_OPTIONS)
    config = small(tasks[number % len(tasks)], router=routers[number % len(routers)], n_experts=8)
    session, other = Session(Trainer(config)), Trainer(small(seed=number))

    def one(values: list[Any]) -> Any:
        return values[int(draw.integers(len(values)))]

    def turn(**knobs: Any) -> str:
        try:
            session.trainer.set(**knobs)
        except ValueError:
            return f"refused {knobs}"
        return f"set {knobs}"

    def act(kind: str) -> str:
        trainer = session.trainer
        if kind == "live":
            word = one(list(LIVE))
            return turn(**{word: one(LIVE[word])})
        if kind == "two":
            words = draw.choice(list(LIVE), 2, replace=False)
            return turn(**{str(word): one(LIVE[str(word)]) for word in words})
        if kind == "restart":
            word = one(list(RESTARTING))
            return turn(**{word: one(RESTARTING[word])})
        if kind == "router":
            return turn(router=one(routers))
        if kind == "task":
            return turn(task=one(tasks), batch_tokens=64, d_model=16, d_hidden=16, n_layers=1)
        if kind == "refused":
            return turn(**one(REFUSED))
        if kind == "reset":
            trainer.reset()
        elif kind == "step_once":
            trainer.note("step_once")
            trainer.step()
        elif kind == "reopen":  # a checkpoint and a new process, as far as the run can tell
            session.trainer = Trainer.from_bytes(trainer.checkpoint())
        elif kind == "other":
            other.run(2)
        return kind

    weights = {"live": 6, "two": 2, "restart": 1, "router": 3, "task": 0.5, "refused": 1, "reset": 1, "step_once": 1}
    weights |= {"reopen": 1, "other": 1}
    chances = np.array(list(weights.values())) / sum(weights.values())
    for _ in range(actions):
        for _ in range(int(draw.integers(0, 5))):
            session.trainer.step()
            if draw.random() < 0.4:
                look(session)
        session.done.append(act(str(draw.choice(list(weights), p=chances))))
    session.trainer.run(2)
    return session


def look(session: Session) -> None:
    trainer = session.trainer
    session.seen[trainer.epoch, trainer.step_number] = trainer.snapshot().traces

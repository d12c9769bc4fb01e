"""The contract's example and the scene it tells: a shared direction collapses the routing, the balancing loss brings it back."""

from __future__ import annotations

import pytest

from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

METRICS = {
    "loss", "task_metric", "balance_loss", "z_loss", "load", "importance", "max_load", "load_entropy", "token_entropy",
    "dead_experts", "drop_rate", "cv", "tokens_per_second",
}  # fmt: skip


def collapsing(seed: int) -> RunConfig:
    task = {"name": "clusters", "shared_vector": 8.0, "balanced_start": True}
    return RunConfig(task=task, router={"name": "switch", "k": 1}, n_experts=8, balance_coef=0.0, seed=seed)


def test_contract_example():
    trainer = Trainer(collapsing(0))
    start = trainer.snapshot()
    assert set(start.metrics) == METRICS
    assert start.metrics["loss"] is None, "nothing was trained yet: undefined, not 0"
    assert start.metrics["dead_experts"] == [None]
    trainer.run(100)
    trainer.set(balance_coef=0.1)
    metrics = trainer.snapshot().metrics
    assert set(metrics) == METRICS
    assert isinstance(metrics["dead_experts"], list) and isinstance(metrics["dead_experts"][0], int)
    assert len(metrics["load"]) == 1 and len(metrics["load"][0]) == 8
    assert sum(metrics["load"][0]) == pytest.approx(1)
    assert sum(metrics["importance"][0]) == pytest.approx(1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_collapse_and_rescue(seed):
    trainer = Trainer(collapsing(seed))
    trainer.run(1)
    start = trainer.snapshot().metrics
    assert start["max_load"][0] < 0.4 and start["balance_loss"][0] < 1.1, (
        "the collapse is learned, not there at the start"
    )
    trainer.run(99)
    collapsed = trainer.snapshot().metrics
    assert collapsed["dead_experts"][0] >= 4
    assert collapsed["balance_loss"][0] > 1.3
    trainer.set(balance_coef=0.1)
    trainer.run(60)
    rescued = trainer.snapshot().metrics
    assert rescued["dead_experts"][0] == 0
    assert rescued["load_entropy"][0] > collapsed["load_entropy"][0] + 0.3


def test_learns_real_text():
    trainer = Trainer(RunConfig(task="domains", device="cpu"))
    first = trainer.snapshot().metrics["task_metric"]
    trainer.run(60)
    assert trainer.snapshot().metrics["task_metric"] < first - 1.5
    assert [len(trace.tokens) for trace in trainer.snapshot().traces] == [256, 256]

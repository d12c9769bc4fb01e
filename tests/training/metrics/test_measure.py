"""Metrics against cases small enough for a pocket calculator, and against the definitions in records/metrics.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.records import metrics as definitions
from moe_viz.training import Trainer
from moe_viz.training.metrics.measure import WINDOW, as_matrix, columns_of, measure, newest
from moe_viz.training.metrics.statistics import Statistics, StepRows
from tests.records.traces import trace_metrics
from tests.training.conftest import small


def rows(asked: list[list[float]], tokens: int = 4, **more: list) -> StepRows:
    """Steps of one layer; gates and probabilities follow the routes unless given."""
    asked = np.array(asked, float)[:, None, :]
    n = len(asked)
    given = {name: np.array(values, float)[:, None, :] for name, values in more.items()}
    ones = np.ones((n, 1)) * tokens
    return StepRows(
        step=np.arange(1, n + 1), tokens=np.full(n, tokens), loss=np.ones(n), grad_norm=np.ones(n), asked=asked,
        kept=given.get("kept", asked), mass=given.get("mass", asked), gates=given.get("gates", asked),
        token_entropy=ones * math.log(2), z=ones * 9.0,
    )  # fmt: skip


def test_hand_computed_step():
    found = newest(
        measure(rows([[3, 1, 0, 0]], kept=[[2, 1, 0, 0]], mass=[[2, 1, 0.5, 0.5]], gates=[[1.5, 0.5, 0, 0]]), 1)
    )
    assert found["load"] == [[0.75, 0.25, 0, 0]]
    assert found["importance"] == [[0.75, 0.25, 0, 0]]
    assert found["max_load"] == [0.75]
    assert found["drop_rate"] == [0.25]
    assert found["dead_experts"] == [2]
    assert found["balance_loss"] == [pytest.approx(4 * (0.75 * 0.5 + 0.25 * 0.25))]
    assert found["load_entropy"] == [pytest.approx((0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(4))]
    assert found["token_entropy"] == [pytest.approx(math.log(2))]
    assert found["z_loss"] == [9.0]
    assert found["cv"] == [pytest.approx(np.std([3, 1, 0, 0]) / 1)]


def test_balanced_is_one_for_every_k():
    for k in (1, 2, 4):
        found = newest(measure(rows([[k, k, k, k]], mass=[[1, 1, 1, 1]]), 1))
        assert found["balance_loss"] == [1.0] and found["load_entropy"] == [1.0] and found["cv"] == [0.0]


def test_one_expert_is_defined():
    found = newest(measure(rows([[4]]), 1))
    assert (found["load_entropy"], found["dead_experts"], found["cv"], found["balance_loss"]) == (
        [1.0],
        [0],
        [0.0],
        [1.0],
    )


def test_dead_is_over_a_moving_window():
    busy, idle = [1, 1, 1, 1], [2, 2, 0, 0]
    assert newest(measure(rows([busy] + [idle] * (WINDOW - 1)), 1))["dead_experts"] == [0]
    assert newest(measure(rows([busy] + [idle] * WINDOW), 1))["dead_experts"] == [2]


def test_undefined_is_none_never_zero():
    trainer = Trainer(small(router="hash"))
    trainer.run(3)
    found = trainer.snapshot().metrics
    assert found["balance_loss"] == found["z_loss"] == found["token_entropy"] == [None]
    assert all(value is not None for value in found["load"][0])
    column = trainer.history.rows()["balance_loss.0"]
    assert column.isna().all()


def test_portions_do_not_matter():
    """The history is the same whether steps are read one by one or all at once."""
    one, many = Trainer(small(router="noisy_topk")), Trainer(small(router="noisy_topk"))
    for _ in range(25):
        one.step()
        one.collect()
        many.step()
    many.collect()
    assert one.history.rows(limit=None).equals(many.history.rows(limit=None))
    assert one._metrics == many._metrics


def test_agrees_with_the_definitions_on_a_trace():
    """One step's statistics of a batch give what records/metrics.py computes from that batch's trace."""
    torch.manual_seed(0)
    router = make_router("topk", d_model=8, n_experts=4, k=2, capacity_factor=0.75, renormalize="before_drop")
    torch.nn.init.normal_(router.gate.weight)
    routing = router(torch.randn(64, 8))
    statistics = Statistics(1, 4, torch.device("cpu"))
    statistics.add(torch.tensor(1.0), [routing])
    statistics.commit(1, 64, torch.tensor(1.0))
    found = newest(measure(statistics.read(), 1))

    from moe_viz.tasks.base import rows_labels
    from moe_viz.training.inspect.traces import trace_of

    trace = trace_of(routing, rows_labels(["a"] * 64, ["g"] * 64, 1), step=1, layer=0, router="topk")
    for name, value in trace_metrics(trace).items():
        if name in found:
            assert found[name] == [pytest.approx(value, rel=1e-5)], name
    assert found["load"][0] == pytest.approx(definitions.load(trace).tolist())
    assert found["importance"][0] == pytest.approx(definitions.importance(trace).tolist(), rel=1e-5)
    assert found["drop_rate"][0] > 0


def test_columns_fit_the_matrix():
    matrix = as_matrix(measure(rows([[3, 1], [1, 3]]), 2))
    names = columns_of(1, 2)
    assert matrix.shape == (2, len(names)) and matrix.dtype == np.float32
    assert matrix[1, names.index("load.0.1")] == 0.5


def test_ring_wraps_and_reads_in_order():
    statistics = Statistics(1, 2, torch.device("cpu"), rows=4)
    routing = make_router("topk", d_model=4, n_experts=2, k=1)(torch.randn(3, 4))
    for step in range(1, 4):
        statistics.add(torch.tensor(float(step)), [routing])
        statistics.commit(step, 3, torch.tensor(0.5))
    assert statistics.read().loss.tolist() == [1, 2, 3]
    for step in range(4, 8):
        assert not statistics.full
        statistics.add(torch.tensor(float(step)), [routing])
        statistics.commit(step, 3, torch.tensor(0.5))
    assert statistics.full
    assert statistics.read().loss.tolist() == [4, 5, 6, 7]
    assert len(statistics) == 0


def test_no_step_is_lost_without_a_reader():
    trainer = Trainer(small(batch_tokens=16))
    trainer.statistics = Statistics(1, 8, trainer.device, rows=8)
    for _ in range(30):
        trainer.step()
    trainer.collect()
    assert trainer.history.rows(limit=None)["step"].tolist() == list(range(1, 31))

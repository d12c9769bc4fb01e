"""The balancing loss's push against torch's own gradient, and the ledger's table."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.records.collapse import balance_push, ledger
from moe_viz.tasks.base import rows_labels
from moe_viz.training.inspect.traces import trace_of


def traced(n_tokens=40, n_experts=5):
    torch.manual_seed(3)
    router = make_router("switch", d_model=n_experts, n_experts=n_experts)
    with torch.no_grad():
        router.gate.weight.copy_(torch.eye(n_experts))
    shift = torch.zeros(n_experts, requires_grad=True)
    routing = router(torch.randn(n_tokens, n_experts) + torch.linspace(2, -2, n_experts) + shift)
    labels = rows_labels(["x"] * n_tokens, ["g"] * n_tokens, 1)
    return routing, shift, trace_of(routing, labels, step=0, layer=0, router="switch")


def test_push_is_minus_the_gradient_of_the_loss_by_a_shift_of_all_scores():
    routing, shift, trace = traced()
    (gradient,) = torch.autograd.grad(routing.aux["balance"], shift)
    table = balance_push(trace)
    assert table["push"].to_numpy() == pytest.approx(-gradient.numpy(), abs=1e-6)
    assert table["term"].sum() == pytest.approx(routing.aux["balance"].item(), abs=1e-5)


def test_busy_experts_are_pushed_down_and_the_pushes_cancel():
    table = balance_push(traced()[2])
    assert table["push"].sum() == pytest.approx(0, abs=1e-6)
    assert table["push"][0] < 0 < table["push"].max()
    assert (table["slope"] >= 0).all()


def test_hand_computed():
    _, _, trace = traced(4, 2)
    trace = type(trace)(**(vars(trace) | {"expert": np.array([[0], [0], [0], [1]], np.int16), "probs": np.array([[0.75, 0.25]] * 4, np.float32)}))  # fmt: skip
    table = balance_push(trace)
    # E f = (1.5, .5); sum p E f = 1.25; push_0 = -.75 (1.5 - 1.25)
    assert table["slope"].tolist() == [1.5, 0.5]
    assert table["push"].tolist() == pytest.approx([-0.1875, 0.1875])


def test_ledger_has_blanks_where_nothing_was_recorded():
    table = ledger({"load": [[0.75, 0.25]], "grad_share": [[0.9, 0.1]]}, 0)
    assert table["tokens"].tolist() == [0.75, 0.25] and table["expert_gradient"].tolist() == [0.9, 0.1]
    assert table["row_gradient"].isna().all()

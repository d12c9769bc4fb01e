"""NLLB's budget in training: one ratio over all layers, weighted by the router's own coefficient."""

import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.spec import RunConfig
from moe_viz.training.objective import auxiliary_loss


def _routing(gate: float):
    torch.manual_seed(0)
    router = make_router("nllb", d_model=8, n_experts=4, budget=0.8)
    with torch.no_grad():
        router.share_gate.weight.zero_()
        router.share_gate.bias.fill_(torch.tensor(gate).logit().item())
    return router(torch.randn(20, 8))


@pytest.mark.parametrize("gates, distance", [((0.9, 0.7), 0.0), ((0.9, 0.9), 0.1), ((0.5, 0.7), 0.2), ((0.6,), 0.2)])
def test_budget_is_charged_once_for_all_layers(gates, distance):
    config = RunConfig(
        router={"name": "nllb", "budget": 0.8, "cmr_coef": 0.3}, n_experts=4, balance_coef=0.0, z_coef=0.0
    )
    total = auxiliary_loss([_routing(gate) for gate in gates], config)
    assert float(total.detach()) == pytest.approx(0.3 * distance, abs=1e-6)

"""Fine-grained experts (DeepSeekMoE): m times as many experts of 1/m the width, m times as many chosen."""

import pytest
import torch

from moe_viz.moe import Experts, MoELayer, make_router
from moe_viz.spec import RunConfig, coarse_grained, fine_grained, needs_restart


@pytest.mark.parametrize("m", [1, 2, 4])
def test_weights_and_work_stay_the_same(m):
    coarse = RunConfig(task="clusters", router={"name": "topk", "k": 2}, n_experts=8, d_hidden=64)
    fine = fine_grained(coarse, m)
    assert (fine.n_experts, fine.router.k, fine.d_hidden) == (8 * m, 2 * m, 64 // m)
    assert fine.n_experts * fine.d_hidden == coarse.n_experts * coarse.d_hidden, "as many weights"
    assert fine.router.k * fine.d_hidden == coarse.router.k * coarse.d_hidden, "as much work for a token"
    assert needs_restart(coarse, fine) == ({"n_experts", "d_hidden"} if m > 1 else set())
    assert RunConfig.from_flat(fine.flat()) == fine and coarse_grained(fine, m) == coarse
    size = [sum(p.numel() for p in Experts(c.n_experts, c.d_model, c.d_hidden).parameters()) for c in (coarse, fine)]
    assert size[0] == size[1]


def test_an_expert_is_the_sum_of_its_parts():
    """With an expert's hidden units shared out among m small ones that are chosen together, the layer computes the same."""
    torch.manual_seed(0)
    coarse = MoELayer(make_router("topk", 8, 4, k=2, renormalize="never"), Experts(4, 8, 12)).double()
    fine = MoELayer(make_router("topk", 8, 8, k=4, renormalize="never"), Experts(8, 8, 6)).double()
    with torch.no_grad():
        fine.router.gate.weight.copy_(coarse.router.gate.weight.repeat_interleave(2, 0))
        fine.experts.w1.copy_(coarse.experts.w1.view(4, 8, 2, 6).transpose(1, 2).reshape(8, 8, 6))
        fine.experts.w2.copy_(coarse.experts.w2.view(8, 6, 8))
    x = torch.randn(32, 8, dtype=torch.float64)
    # Each small expert has half of its parent's gate, since softmax now shares out among twice as many.
    torch.testing.assert_close(2 * fine(x)[0], coarse(x)[0])


def test_what_cannot_be_split_is_named():
    config = RunConfig(task="clusters", router={"name": "topk", "k": 2}, n_experts=16, d_hidden=64)
    with pytest.raises(ValueError, match="d_hidden = 64 cannot be split into 3"):
        fine_grained(config, 3)
    with pytest.raises(ValueError, match="n_experts"):
        fine_grained(config, 8)
    with pytest.raises(ValueError, match="'dense' has no k"):
        fine_grained(RunConfig(task="clusters", router="dense"), 2)
    with pytest.raises(ValueError, match="k = 2 cannot be divided by 4"):
        coarse_grained(config, 4)
    with pytest.raises(ValueError, match="n_experts = 16 cannot be divided by 3"):
        coarse_grained(config, 3)
    with pytest.raises(ValueError, match="'dense' has no k"):
        coarse_grained(RunConfig(task="clusters", router="dense"), 2)
    with pytest.raises(ValueError, match="d_hidden"):
        coarse_grained(RunConfig(task="clusters", router={"name": "topk", "k": 2}, n_experts=16, d_hidden=2048), 2)

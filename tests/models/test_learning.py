"""That the effects are real: the three tasks are learned, and the shared vector makes the controlled layer collapse and recover."""

import pytest
import torch

from moe_viz.models import build_model
from moe_viz.spec import RunConfig
from moe_viz.tasks import make_task

N_EXPERTS, WINDOW = 8, 10


def train(config: RunConfig, steps: int, rescue_at: int | None = None):
    """A plain AdamW loop; the task's metric at the end and the number of dead experts after each step, per layer."""
    torch.set_num_threads(1)
    task = make_task(config, torch.device("cpu"))
    model = build_model(config, task).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.98), fused=True)
    loads, dead, balance = [], [], config.balance_coef
    for step in range(steps):
        balance = 0.1 if step == rescue_at else balance
        batch = task.train_batch(step, config.seed)
        loss, _ = task.loss(model(batch), batch)
        loss = loss + balance * sum(routing.aux["balance"] for routing in model.routings) / len(model.routings)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        counts = torch.stack([routing.pre_counts for routing in model.routings])
        loads.append(counts / counts.sum(-1, keepdim=True))
        recent = torch.stack(loads[-WINDOW:]).mean(0)
        dead.append((recent < 0.1 / N_EXPERTS).sum(-1).tolist())
    return task.evaluate(model), dead


@pytest.mark.parametrize("router", [{"name": "switch"}, {"name": "topk", "k": 1}], ids=["switch", "topk"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shared_vector_collapses_and_balancing_rescues(router, seed):
    task = {"name": "clusters", "shared_vector": 8.0, "balanced_start": True}
    config = RunConfig(task=task, router=router, balance_coef=0.0, seed=seed)
    _, dead = train(config, 160, rescue_at=120)
    assert max(dead[WINDOW + i][0] for i in range(50)) >= 4
    assert dead[119][0] >= 4
    assert dead[-1][0] == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_the_shared_vector_nothing_collapses(seed):
    config = RunConfig(task="clusters", balance_coef=0.0, seed=seed)
    _, dead = train(config, 150)
    assert max(count for (count,) in dead[WINDOW:]) < 4


def test_the_language_model_learns_real_text():
    loss, dead = train(RunConfig(), 200)
    assert loss < 2.45
    assert dead[-1] == [0, 0]


def test_the_vision_model_reads_digits():
    accuracy, _ = train(RunConfig(task="digits"), 300)
    assert accuracy > 0.9


def test_the_vision_model_knows_parts_of_photographs_it_never_saw():
    accuracy, dead = train(RunConfig(task="photo"), 300)
    assert accuracy > 0.7
    assert sum(dead[-1]) <= 1  # which of 16 experts stay alive hangs on the last digit of the first steps

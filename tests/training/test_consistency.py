"""THOR's consistency loss: a second pass of every batch through other experts, and both outputs pulled together."""

import numpy as np
import pytest
import torch

from moe_viz.moe import make_router
from moe_viz.tasks import make_task
from moe_viz.training import Trainer
from tests.training.conftest import small

TASKS = ("clusters", "digits", "domains", "plane")


def thor(consistency, task="clusters", **knobs):
    return small(task, router={"name": "random", "k": 1, "consistency": consistency}, **knobs)


def two_passes(trainer):
    """Outputs of one batch through two independent draws."""
    batch = trainer.task.train_batch(0, 0)
    with torch.no_grad():
        torch.manual_seed(0)
        return trainer.model(batch), trainer.model(batch)


def test_disagreement_of_classes_by_hand():
    task = make_task(small("digits"), torch.device("cpu"))
    one, other = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[np.log(3.0), 0.0]])  # 1/4, 3/4 and 3/4, 1/4
    forth = 0.25 * np.log(0.25 / 0.75) + 0.75 * np.log(0.75 / 0.25)
    assert task.disagreement(one, other).item() == pytest.approx(forth, rel=1e-6)
    assert task.disagreement(one, other + 5.0).item() == pytest.approx(forth, rel=1e-6), "logits up to a constant"
    assert task.disagreement(one, one).item() == 0


def test_disagreement_of_vectors_by_hand():
    task = make_task(small(), torch.device("cpu"))
    assert task.disagreement(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 5.0]])).item() == pytest.approx(9 / 4)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("per", ["token", "batch"])
def test_the_second_draw_is_of_other_experts_as_long_as_there_are_some(per, k):
    router = make_router("random", d_model=4, n_experts=4, k=k, per=per)
    x = torch.zeros(300, 4)
    first = router(x).route_expert.view(-1, k)
    router.apart_from = first
    second = router(x).route_expert.view(-1, k)
    both = (first[:, :, None] == second[:, None, :]).any(-1).sum(-1)
    assert both.tolist() == [max(0, 2 * k - 4)] * 300
    if per == "batch":
        assert len(second.unique(dim=0)) == 1
    elif k == 1:
        others = torch.bincount((second - first).view(-1) % 4, minlength=4)
        assert others[0] == 0 and others[1:].min() > 60, "all others alike"


@pytest.mark.parametrize("task", TASKS)
def test_experts_that_are_all_the_same_agree(task):
    """Then the step is the plain one on twice the task's loss, however much agreement is asked for."""
    runs = [Trainer(thor(weight, task)) for weight in (1e-12, 100.0)]
    for run in runs:
        with torch.no_grad():
            for layer in run.model.moe_layers:
                for weights in (layer.experts.w1, layer.experts.w2):
                    weights.copy_(weights[:1].expand_as(weights))
        run.step()
    for one, other in zip(runs[0].model.parameters(), runs[1].model.parameters()):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_it_pulls_the_experts_together(task):
    apart = []
    for weight in (0.0, 20.0):
        run = Trainer(thor(weight, task))
        run.run(120)
        apart.append(run.task.disagreement(*two_passes(run)).item())
    assert apart[1] < 0.6 * apart[0]


def test_without_it_nothing_is_done_twice():
    one, other = Trainer(thor(0.0)), Trainer(small(router={"name": "random", "k": 1}))
    calls = []
    one.model.register_forward_hook(lambda *_: calls.append(1))
    for run in (one, other):
        run.run(3)
    assert len(calls) == 3
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters()))


def test_figures_are_those_of_the_first_pass():
    runs = [Trainer(thor(5.0, micro_batches=2)) for _ in range(2)]
    for run in runs:
        run.run(4)
        assert all(layer.router.apart_from is None for layer in run.model.moe_layers)
    assert runs[0].history.rows().equals(runs[1].history.rows()), "and the same run again"
    assert np.sum(runs[0].snapshot().metrics["load"]) == pytest.approx(1.0)


def test_such_a_step_is_not_taken_apart():
    run = Trainer(thor(5.0))
    run.run(1)
    with pytest.raises(ValueError, match="passes twice"):
        run.dissect(0, 0)
    run.set(consistency=0.0)
    assert run.dissect(0, 0).step == 1

"""Same config, seed and device: the same run. Whatever else happens in the process: the same run."""

from __future__ import annotations

import pytest
import torch

from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.training import Trainer
from tests.training.conftest import small

NOISY = {"name": "noisy_topk", "k": 2}


def fingerprint(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("task", ["clusters", "digits", "photo", "domains"])
def test_same_run_twice(task):
    runs = [Trainer(small(task, router=NOISY)) for _ in range(2)]
    for run in runs:
        run.run(8)
    assert_same(*(fingerprint(run) for run in runs))
    metrics = [run.snapshot().metrics for run in runs]
    for name in metrics[0].keys() - {"tokens_per_second"}:
        assert metrics[0][name] == metrics[1][name], name


def test_seed_matters():
    runs = [Trainer(small(seed=seed)) for seed in (0, 1)]
    assert not torch.equal(runs[0].model.moe_layers[0].experts.w1, runs[1].model.moe_layers[0].experts.w1)


def test_interleaved_runs_do_not_disturb_one_another():
    alone = Trainer(small(router=NOISY))
    alone.run(12)
    together = [Trainer(small(router=NOISY)), Trainer(small(seed=7, router="random")), Trainer(small(router="gshard"))]
    for _ in range(12):
        for run in together:
            torch.randn(3)  # somebody else draws from the process's stream
            run.step()
    together[0].collect()
    assert_same(fingerprint(alone), fingerprint(together[0]))


def test_the_process_stream_is_left_alone():
    trainer = Trainer(small(router=NOISY))
    torch.manual_seed(5)
    expected = torch.randn(4)
    torch.manual_seed(5)
    trainer.step()
    trainer.snapshot()
    assert torch.equal(torch.randn(4), expected)


@pytest.mark.parametrize("router", [NOISY, "deepseek_v3", "remoe", "kmeans"])
def test_watching_changes_nothing(router):
    watched, unwatched = Trainer(small(router=router)), Trainer(small(router=router))
    for _ in range(8):
        watched.step()
        watched.snapshot()
        unwatched.step()
    assert_same(fingerprint(watched), fingerprint(unwatched))


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
def test_resumes_bit_for_bit(router):
    straight, first = Trainer(small(router=router)), Trainer(small(router=router))
    straight.run(10)
    first.run(5)
    second = Trainer.from_bytes(first.checkpoint())
    assert second.step_number == 5
    second.run(5)
    assert_same(fingerprint(straight), fingerprint(second))
    assert second.history.rows()["loss"].tolist() == straight.history.rows()["loss"].tolist()

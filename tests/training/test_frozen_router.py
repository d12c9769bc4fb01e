"""A frozen router keeps its weights and its bias to the bit, whatever its kind, while everything around it learns the same data."""

import pytest
import torch

from moe_viz.training import Trainer
from tests.training.conftest import small


def router_state(trainer):
    return {name: t.clone() for name, t in trainer.model.state_dict().items() if ".router." in name}


@pytest.mark.parametrize("router", ["topk", "deepseek_v3", "noisy_topk", "soft", "cosine", "nllb", "reinforce"])
def test_only_the_router_stands_still(router):
    trainer = Trainer(small("digits", router=router, freeze_router=True))
    before = {name: t.clone() for name, t in trainer.model.state_dict().items()}
    trainer.run(4)
    after = trainer.model.state_dict()
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if ".router." in name} <= still
    experts = {name for name in before if ".experts." in name}
    assert experts and not experts & still
    assert trainer.state == "running"


def test_it_starts_like_its_learning_twin_and_sees_the_same_data():
    learned, frozen = (Trainer(small("digits", router="deepseek_v3", freeze_router=flag)) for flag in (False, True))
    assert all(torch.equal(a, b) for a, b in zip(router_state(learned).values(), router_state(frozen).values()))
    learned.step(), frozen.step()
    learned.collect(), frozen.collect()
    first = [trainer.history.rows(limit=None)["loss"].iloc[0] for trainer in (learned, frozen)]
    assert first[0] == first[1], "the first loss is computed before anything has moved"
    learned.run(3), frozen.run(3)
    changed = [name for name, t in router_state(learned).items() if not torch.equal(t, router_state(frozen)[name])]
    assert any("gate" in name for name in changed) and any("bias" in name for name in changed)


def test_frozen_and_released_while_training():
    trainer = Trainer(small("digits", router="topk"))
    trainer.run(2)
    trainer.set(freeze_router=True)
    held = router_state(trainer)
    trainer.run(2)
    assert all(torch.equal(held[name], t) for name, t in router_state(trainer).items())
    trainer.set(freeze_router=False)
    trainer.run(1)
    assert not all(torch.equal(held[name], t) for name, t in router_state(trainer).items())

"""Losses of assignments on a trained model: those of its own forward pass, and what the course says of its rivals."""

import numpy as np
import pytest
import torch

from moe_viz.records.assignment import NONE
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch
from moe_viz.training import Trainer
from moe_viz.training.inspect.assignment import TOKENS, assignment_losses

CONFIG = {"task": "clusters", "router": "switch", "n_experts": 4, "balance_coef": 0.1}


@pytest.fixture(scope="module")
def trained():
    trainer = Trainer(RunConfig.from_flat(CONFIG))
    trainer.run(200)
    return trainer


def test_each_column_is_what_the_model_loses_through_that_expert_and_the_last_what_it_loses_without(trained):
    before, random = trained.script.end, torch.get_rng_state()
    game = assignment_losses(trained, 3)
    assert trained.script.end == before and before.parameters is not None
    assert torch.equal(torch.get_rng_state(), random) and trained.model.training
    rows = slice(36, 48)
    held_out = trained.task.held_out
    batch = Batch(held_out.inputs[rows], held_out.targets[rows], held_out.token_ids[rows], TOKENS)
    with torch.no_grad():
        trained.model.eval()
        own = trained.task.loss(trained.model(batch), batch)[1].numpy()
    trained.model.train()
    chosen = game.probs.argmax(-1)
    np.testing.assert_allclose(game.losses[np.arange(TOKENS), chosen], own, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(game.losses[:, NONE], batch.targets.square().mean(-1).numpy(), rtol=1e-5)
    np.testing.assert_allclose(game.probs.sum(-1), 1, rtol=1e-5)


def test_the_rivals_stand_as_measured(trained):
    game = assignment_losses(trained, 0)
    scores = {name: game.score(experts) for name, experts in game.rivals().items()}
    assert scores["best"] == 1 and scores["by_gate"] > 0.8 and scores["model"] > 0.4
    assert scores["untrained"] < scores["model"], "what was learned is worth something"


def test_the_untrained_gates_are_those_of_step_0(trained):
    fresh = assignment_losses(Trainer(RunConfig.from_flat(CONFIG)), 0)
    game = assignment_losses(trained, 0)
    np.testing.assert_array_equal(game.untrained, fresh.probs)
    assert not np.allclose(game.probs, fresh.probs, atol=0.05)


@pytest.mark.parametrize(
    ("other", "why"),
    [({"task": "digits"}, "points task"), ({"n_layers": 2}, "one layer"), ({"n_experts": 8}, "twelve"), ({"router": "topk", "k": 2}, "one expert")],
)  # fmt: skip
def test_other_runs_are_refused_in_words(other, why):
    with pytest.raises(ValueError, match=why):
        assignment_losses(Trainer(RunConfig.from_flat(CONFIG | other)), 0)


def test_a_deal_beyond_the_held_out_points_is_refused(trained):
    for deal in (-1, 171):
        with pytest.raises(ValueError, match="deal"):
            assignment_losses(trained, deal)

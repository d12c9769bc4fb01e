"""Rows of an exercise: each with the settings that made it, counted over restarts."""

import numpy as np
import pytest

from moe_viz.lessons import solved
from moe_viz.lessons.rows import rows_of
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

SMALL = {"task": "clusters", "router": "switch", "n_experts": 2, "batch_tokens": 32, "d_model": 8, "d_hidden": 8}


@pytest.fixture(scope="module")
def trainer():
    """Three steps, another weight, two steps, a restart with four experts, two steps, a reset, one step."""
    trainer = Trainer(RunConfig.from_flat(SMALL))
    trainer.run(3)
    trainer.set(balance_coef=0.5)
    trainer.run(2)
    trainer.set(n_experts=4)
    trainer.run(2)
    trainer.reset()
    trainer.run(1)
    return trainer


def rows(trainer, **more):
    return rows_of(trainer.history.rows(limit=None), trainer.script, **more)


def test_every_step_is_counted_over_restarts_and_has_the_settings_that_made_it(trainer):
    found = rows(trainer)
    assert found["steps"].tolist() == list(range(1, 9))
    assert found["step"].tolist() == [1, 2, 3, 4, 5, 1, 2, 1]
    assert found["knob.n_experts"].tolist() == [2] * 5 + [4] * 3
    assert found["knob.balance_coef"].tolist() == [0.1] * 3 + [0.5] * 5
    assert found["knob.router"].tolist() == ["switch"] * 8
    assert found["loss"].notna().all() and np.isfinite(found["load.0.0"]).all()


def test_what_was_trained_before_the_exercise_does_not_count(trainer):
    found = rows(trainer, begin=(0, 4))
    assert found["steps"].tolist() == [1, 2, 3, 4]
    assert found["knob.n_experts"].tolist() == [2, 4, 4, 4]


def test_before_the_first_step_there_is_one_row_with_the_settings_in_force():
    trainer = Trainer(RunConfig.from_flat(SMALL))
    trainer.set(balance_coef=0.25)
    found = rows(trainer)
    assert found["steps"].tolist() == [0] and found["knob.balance_coef"].tolist() == [0.25]
    assert solved("steps == 0 and knob.balance_coef == 0.25", found, None, 0) == 0


def test_a_gates_own_knob_is_unknown_where_the_gate_had_none(trainer):
    other = Trainer(RunConfig.from_flat(SMALL))
    other.run(1)
    other.set(router="dense")
    other.run(1)
    assert rows(other)["knob.k"].tolist() == [1, None]

"""One step in slow motion: the numbers told are those of the step that the run then makes, and telling them changes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from moe_viz.records.step_story import is_right, questions, read_number
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.training import Trainer
from tests.training.conftest import small


def trained(steps: int = 5, **config) -> Trainer:
    trainer = Trainer(small(**config))
    trainer.run(steps)
    return trainer


@pytest.mark.parametrize("router", list(ROUTER_OPTIONS))
def test_every_router_has_a_story_and_the_run_goes_on_bit_for_bit(router):
    watched, untouched = trained(router=router), trained(router=router)
    story = watched.dissect(7, 0)
    assert (story.step, story.token, story.n_tokens, story.n_experts) == (5, 7, 128, 8)
    assert story.probs.sum() == pytest.approx(1, abs=1e-5)
    for trainer in (watched, untouched):
        trainer.run(3)
    ours, theirs = watched.model.state_dict(), untouched.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert watched.history.rows(limit=None).equals(untouched.history.rows(limit=None))
    for question in questions(story):
        assert is_right(question, question.answer) and not is_right(question, question.answer * 1.1 + 1)


@pytest.mark.parametrize("config", [
    {"router": {"name": "switch", "capacity_factor": 1.0}, "balance_coef": 0.1},
    {"router": {"name": "topk", "k": 2, "noise": 0.5}, "n_layers": 2},
    {"router": {"name": "topk", "k": 3, "score": "sigmoid"}, "z_coef": 0.01},
    {"router": {"name": "deepseek_v3", "k": 2}, "task": {"name": "clusters", "shared_vector": 4.0}},
    {"router": {"name": "topk", "k": 2, "capacity_factor": 1.0}, "micro_batches": 2},
    {"task": "domains", "d_model": 16, "router": {"name": "topk", "k": 2}},
], ids=["switch", "noise", "sigmoid", "bias", "micro", "text"])  # fmt: skip
def test_the_story_is_the_step(config):
    trainer = trained(**config)
    layer = trainer.config.n_layers - 1
    story = trainer.dissect(100, layer)
    trainer.step()
    moe, row = trainer.model.moe_layers[layer], story.router_row
    assert row.after == pytest.approx(moe.router.gate.weight[row.expert, row.component].item(), abs=0)
    assert row.before - row.decay - row.move == pytest.approx(row.after, abs=2e-7), "AdamW by hand"
    trainer.collect()
    loss = float(trainer.history.rows(limit=None)["loss"].iloc[-1])
    if trainer.config.micro_batches == 1:
        assert story.batch_before == pytest.approx(loss, rel=1e-5)
        assert story.batch_after < story.batch_before


def test_layer_output_is_the_weighted_sum_of_the_routes():
    story = trained(router={"name": "topk", "k": 3}).dissect(3, 0)
    assert story.y == pytest.approx(sum(route.weight * route.output for route in story.routes), abs=1e-5)
    assert sum(route.weight for route in story.routes) == pytest.approx(1, abs=1e-5)
    for route in story.routes:
        assert route.gradient == pytest.approx(story.dy @ route.output, abs=1e-6)
    assert story.logits[story.routes[0].expert] == pytest.approx(story.row @ story.seen, abs=1e-5)


def test_gradient_by_the_logits_by_hand():
    """Switch: dL/dl_i = dL/dw * p_e (1[i=e] - p_i), and the balancing loss adds coef * E/T * p_i (f_i - sum_j f_j p_j)."""
    trainer = trained(router="switch", balance_coef=0.1)
    story = trainer.dissect(11, 0)
    (route,), p = story.routes, story.probs
    chosen = np.eye(8)[route.expert]
    assert story.dlogits_task == pytest.approx(route.gradient * route.gate * (chosen - p), abs=1e-8)
    f = np.bincount(story.first_expert, minlength=8) / story.n_tokens
    balance = 0.1 * 8 / story.n_tokens * p * (f - f @ p)
    assert story.dlogits_aux["balance"] == pytest.approx(balance, abs=1e-8)
    assert story.total == pytest.approx(story.batch_before + 0.1 * story.aux["balance"][0])


def test_places_in_the_queue_and_capacity():
    trainer = trained(router={"name": "switch", "capacity_factor": 0.5}, steps=0)
    stories = [trainer.dissect(token, 0) for token in range(0, 128, 8)]
    first = stories[0].first_expert
    for story in stories:
        (route,) = story.routes
        assert story.capacity == math.ceil(0.5 * 128 / 8)
        assert route.place == (first[: story.token] == route.expert).sum()
        assert route.kept == (route.place < story.capacity)
        assert story.dropped[story.token] == (not route.kept)
        assert route.asked_of == (first == route.expert).sum()
        if not route.kept:
            assert not story.y.any() and route.weight == 0
    assert not all(story.routes[0].kept for story in stories)


def test_image_tokens_in_groups():
    story = trained(task="digits", router={"name": "topk", "k": 2, "capacity_factor": 1.0}).dissect(40, 1)
    assert story.group_size == story.n_tokens
    assert story.loss_before > 0 and len(story.names) == story.n_tokens


def test_no_logits_no_row():
    story = trained(router="hash").dissect(0, 0)
    assert story.logits is None and story.dlogits is None and story.router_row is None
    assert [route.weight for route in story.routes] == [1.0]


@pytest.mark.parametrize("token, layer", [(-1, 0), (128, 0), (0, 1), (0, -1)])
def test_what_is_not_there_is_refused(token, layer):
    with pytest.raises(ValueError, match="must be 0 to"):
        trained(0).dissect(token, layer)


@pytest.mark.parametrize("text", ["1_0", "１", "٣", "nan", "1e400", "0x1", "1__0", "--1", "1e", "\ud800"])
def test_what_only_python_reads_as_a_number_is_none(text):
    assert read_number(text) is None


def test_numbers_as_people_type_them():
    assert [read_number(text) for text in ("+3", "2·10⁻⁵", "2.5×10^3", ".5", "7.")] == [3, 2e-5, 2500, 0.5, 7]
    assert [read_number(text) for text in ("0.5", " 0,5 ", "−1e-3", "", "two", "inf")] == [0.5, 0.5, -1e-3, None, None, None]  # fmt: skip

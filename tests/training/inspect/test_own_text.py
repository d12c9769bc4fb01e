"""The reader's own text: what fills its last row takes no slot and counts in nothing, whatever the router."""

import dataclasses

import numpy as np
import pytest
import torch

from moe_viz.moe import ROUTERS
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.tasks import Batch
from moe_viz.training import Trainer
from moe_viz.training.inspect.probe import route
from tests.training.sessions import small

TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps in the sun."[:65]
"""65 bytes in rows of at most 32 are 3 rows of 22, the last of them one short."""


def trainer(name, **options):
    known = {key: value for key, value in options.items() if key in ROUTER_OPTIONS[name].model_fields}
    task = {"name": "domains", "block": 32}
    return Trainer(small(task, router={"name": name, **known}, n_experts=4))


@pytest.mark.parametrize("name", list(ROUTERS))
def test_another_filling_changes_nothing_of_the_readers_text(name, monkeypatch):
    """Seen in use: line breaks that nobody sees held slots while the reader's own tokens were dropped."""
    run = trainer(name, capacity_factor=0.5, drop_policy="probability")
    plain = run.route_text(TEXT)
    assert all(trace.n_tokens == 65 for trace in plain)
    monkeypatch.setattr(type(run.task), "_line_break", property(lambda task: ord("e")))
    for trace, other in zip(plain, run.route_text(TEXT), strict=True):
        for field in dataclasses.fields(trace):
            one, two = getattr(trace, field.name), getattr(other, field.name)
            assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two, field.name


def test_buffers_of_a_readers_text_are_sized_by_its_own_tokens():
    run = trainer("switch", capacity_factor=0.8)
    for trace in run.route_text(TEXT):
        assert trace.capacity == 13  # 0.8 * 65 / 4; the filling would make it 14
        slots = trace.slot[trace.kept]
        experts = trace.expert[trace.kept]
        assert len(set(zip(experts.tolist(), slots.tolist(), strict=True))) == len(slots)
        for expert in range(4):
            assert sorted(slots[experts == expert]) == list(range((experts == expert).sum()))


@pytest.mark.parametrize("name", [name for name in ROUTERS if ROUTER_OPTIONS[name].facts.per_sequence])
def test_a_short_last_row_is_a_group_of_its_own(name):
    """As each row routed alone, its slots after those of the rows before it."""
    run = trainer(name)
    traces = run.route_text(TEXT)
    ids = run.task.encode(TEXT)
    begin, room = 0, 0
    for size in (22, 22, 21):
        row = ids[begin : begin + size]
        batch = Batch(row[None], row[None], row, size)
        routings = route(run.model, batch, run.config, run.step_number, run.device)
        part = slice(begin, begin + size)
        torch.testing.assert_close(torch.from_numpy(traces[0].probs[part]), routings[0].probs.float())
        held = traces[0].slot[part][traces[0].slot[part] >= 0]
        assert held.min() >= room and held.max() < room + routings[0].capacity
        begin, room = begin + size, room + routings[0].capacity
    assert traces[0].capacity == room and traces[0].sequence.tolist() == [0] * 22 + [1] * 22 + [2] * 21


def test_the_loss_of_a_padded_batch_is_that_of_its_real_tokens():
    run = trainer("topk")
    batch = run.task.ids_batch(run.task.encode(TEXT))
    outputs = torch.randn(66, run.task.vocab_size)
    loss, per_token = run.task.loss(outputs, batch)
    expected = torch.nn.functional.cross_entropy(outputs[:65], batch.targets.flatten()[:65])
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(run.task.metric(outputs, batch), expected)
    assert per_token.shape == (66,) and per_token[65] == 0
    parts = batch.split(3)
    assert [int(part.mask.sum()) for part in parts] == [22, 22, 21] and batch.split(1)[0].mask is batch.mask
    assert run.task.ids_batch(run.task.encode(TEXT[:64])).mask is None


def test_images_with_a_mask_are_refused_in_words():
    run = Trainer(small("digits"))
    batch = dataclasses.replace(run.task.probe, mask=torch.ones(len(run.task.probe.token_ids), dtype=torch.bool))
    with pytest.raises(ValueError, match="images have no padding"):
        run.model(batch)

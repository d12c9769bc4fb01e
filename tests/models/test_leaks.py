"""Who leaks: a language model must not see its own future, and some routers show it to it.

The second half of a sequence is exchanged; if the outputs of its first half change, the router looked ahead. Measured in float64,
in training and in evaluation mode, with the same random numbers both times.
"""

import copy

import pytest
import torch

from moe_viz.models import build_model
from moe_viz.moe import ROUTERS
from moe_viz.spec import ROUTER_OPTIONS, RunConfig, causality, causality_of, router_options
from moe_viz.tasks import Batch, make_task
from moe_viz.training import Trainer

EXACT, LEAK = 1e-9, 1e-7


def look_ahead(router: dict) -> float:
    """Largest change in the outputs of the earlier half over modes and tries."""
    config = RunConfig(task={"name": "domains", "block": 32}, router=router, batch_tokens=256, d_model=16, d_hidden=32)
    task = make_task(config, torch.device("cpu"))
    start = build_model(config, task).double()
    # Routers that take their first centres from the first batch they see have done so before anything is compared.
    start.train()(task.train_batch(999, 0))
    start.routings = []
    largest = 0.0
    for attempt in range(3):
        batch, other = task.train_batch(attempt, 0), task.train_batch(attempt + 100, 0)
        ids = batch.inputs.clone()
        ids[:, 16:] = other.inputs[:, 16:]
        changed = Batch(ids, batch.targets, ids.reshape(-1), batch.group_size)
        for training in (True, False):
            outputs = []
            for version in (batch, changed):
                model = copy.deepcopy(start).train(training)
                torch.manual_seed(attempt)
                outputs.append(model(version).detach().view(8, 32, -1)[:, :16])
            largest = max(largest, float((outputs[0] - outputs[1]).abs().max()))
    return largest


@pytest.mark.parametrize("name", ROUTERS)
def test_the_card_says_who_looks_ahead(name):
    for factor in (None, 0.5) if _can_be_dropless(name) else ("as it is",):
        router = {"name": name} if factor == "as it is" else {"name": name, "capacity_factor": factor}
        difference = look_ahead(router)
        assert difference < EXACT if causality(router_options(**router), 8) else difference > LEAK


def _can_be_dropless(name: str) -> bool:
    field = ROUTER_OPTIONS[name].model_fields.get("capacity_factor")
    return field is not None and type(None) in getattr(field.annotation, "__args__", ())


@pytest.mark.parametrize(
    "options, leaks",
    [
        # Rows of a batch stand one after another, so "later" tokens of one row come before the next row's early ones.
        ({"name": "topk", "k": 1, "capacity_factor": 0.5, "drop_policy": "position"}, True),
        ({"name": "topk", "k": 1, "capacity_factor": 0.5, "drop_policy": "batch_priority"}, True),
        ({"name": "topk", "k": 2, "capacity_factor": 0.5, "drop_policy": "position"}, True),
        ({"name": "topk", "k": 2, "capacity_factor": None}, False),
    ],
)
def test_buffers_that_overflow_leak_too(options, leaks):
    assert (look_ahead(options) > LEAK) == leaks


@pytest.mark.parametrize("policy", ["position", "probability", "batch_priority"])
def test_another_second_half_moves_earlier_tokens_of_a_text_where_the_setting_is_not_causal(policy):
    """Seen in use: with k = 2 and finite buffers up to a quarter of the earlier tokens changed their routes under a card that said "causal"."""
    text, other = (
        "the cat sat on the mat and then " * 4,
        "the cat sat on the mat and then " * 2 + "0123456789=+-*/%" * 4,
    )
    for factor in (0.75, None):
        router = {"name": "topk", "k": 2, "capacity_factor": factor, "drop_policy": policy}
        config = RunConfig(task={"name": "domains", "block": 128}, router=router, d_model=16, d_hidden=16, device="cpu")
        run = Trainer(config)
        one, two = (run.route_text(text)[0] for text in (text, other))
        moved = (one.kept[:64] != two.kept[:64]).any() or (one.expert[:64] != two.expert[:64]).any()
        assert moved == (not causality_of(config))

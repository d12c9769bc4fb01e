"""Looks at a run on an accelerator: what they tell is what the host's run tells, and what they need comes in one copy."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from moe_viz.moe import ROUTERS
from moe_viz.training import Trainer
from moe_viz.training.inspect import step_trace
from moe_viz.training.transfer import to_host
from tests.accelerator.conftest import REAL
from tests.accelerator.test_steps import both
from tests.training.conftest import small

FINITE = {"name": "topk", "k": 2, "capacity_factor": 2.0}
"""With finite buffers the model's own forward passes wait for nothing, so that every wait is the look's."""


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (24, 24), "teal").save(data, "png")
    return data.getvalue()


LOOKS: dict[str, tuple[str, int, Callable[[Trainer], Any]]] = {
    "snapshot": ("domains", 1, lambda run: run.snapshot().metrics["task_metric"]),
    "checkpoint": ("domains", 1, lambda run: len(run.checkpoint())),
    "parameters": ("domains", 1, lambda run: len(run.script.end.parameters or "")),
    "dissect": ("domains", 2, lambda run: run.dissect(7, 1).batch_after),
    "analyse": ("domains", 1, lambda run: run.analyse().traces[0].weight.sum()),
    "gate_map": ("plane", 1, lambda run: run.gate_map(0, 16).probs.mean()),
    "route_text": ("domains", 1, lambda run: run.route_text("to be or not to be")[0].weight.sum()),
    "route_image": ("digits", 1, lambda run: run.route_image(picture())[0][0].weight.sum()),
    "continue_text": ("domains", 2 * 3 + 3, lambda run: run.continue_text("to be", 3, 0.0).traces[0].n_tokens),
    "script": ("clusters", 1, lambda run: len(run.script_with_figures.events)),
    "export": ("clusters", 3, lambda run: len(run.exported(10_000_000))),
}
"""Look -> a task for it, most copies, and a number that it tells."""


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_tells_what_the_host_tells_and_copies_once(look, accelerator):
    task, copies, ask = LOOKS[look]
    runs = both(task, router=FINITE)
    for run in runs:
        run.run(2)
        if look == "analyse":
            run.task.analysis  # noqa: B018 - made once a run, not at each look
    here = ask(runs[0])
    with accelerator.waits_at_most(copies):
        there = ask(runs[1])
    assert there == pytest.approx(here, rel=1e-3)


def test_switching_off_asks_for_one_copy_each_time(accelerator):
    runs = both("clusters", router=FINITE)
    for run in runs:
        run.run(2)
        run.analyse()
    with accelerator.waits_at_most(1 + 1):  # and which experts are alive goes there
        there = runs[1].switch_off(2, 0, 3)
    np.testing.assert_allclose(there, runs[0].switch_off(2, 0, 3), rtol=1e-3)


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_is_looked_at_alike(name):
    runs = both(router=name, n_layers=1)
    for run in runs:
        run.run(2)
    stories, snapshots = zip(*((run.dissect(5, 0), run.snapshot()) for run in runs))
    if not REAL:
        np.testing.assert_allclose(stories[1].probs, stories[0].probs, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(*(each.traces[0].weight for each in snapshots), rtol=1e-3, atol=1e-5)
    assert stories[1].loss_after == pytest.approx(stories[0].loss_after, rel=1e-2) or REAL


def test_a_dissected_copy_is_freed_at_once(monkeypatch):
    """A reference cycle would stay on the device until Python happens to look for cycles."""
    copies, twin_of = [], step_trace.twin_of

    def seen(run: Trainer) -> Any:
        twin = twin_of(run)
        copies.append(weakref.ref(twin.model))
        return twin

    monkeypatch.setattr(step_trace, "twin_of", seen)
    trainer = Trainer(small(device="cuda"))
    trainer.run(2)
    gc.collect()
    gc.disable()
    try:
        trainer.dissect(3, 0)
        assert copies[0]() is None
    finally:
        gc.enable()


def test_a_run_goes_on_where_it_was_on_the_other_device():
    runs = both()
    for run in runs:
        run.run(3)
    back = Trainer.from_bytes(runs[1].checkpoint(), device="cpu")
    there = Trainer.from_bytes(runs[0].checkpoint(), device="cuda")
    for run in (back, there):
        assert run.step_number == 3 and run.script.events[-1].what == "moved"
        run.run(2)
    losses = [run.history.rows()["loss"].to_numpy() for run in (back, there)]
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_a_script_is_played_again_to_the_same_parameters():
    trainer = Trainer(small(device="cuda", router="topk"))
    trainer.run(2)
    trainer.set(lr=0.01)
    trainer.run(2)
    again = Trainer.replay(trainer.script)
    assert again.device.type == "cuda" and again.script.end == trainer.script.end


def test_tensors_of_every_type_come_to_the_host_in_one_copy(accelerator):
    made = [torch.arange(5), torch.rand(3, 2), torch.tensor(True), torch.rand(2).double(), torch.empty(0, 3)]
    there = {"a": [t.to("cuda") for t in made], "b": (made[1].to("cuda").t(), torch.ones(2), None, "word")}
    with accelerator.waits_at_most(1):
        here = to_host(there)
    assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(here["a"], made))
    assert torch.equal(here["b"][0], made[1].t()) and here["b"][2:] == (None, "word")

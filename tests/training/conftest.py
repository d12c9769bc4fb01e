"""Small runs that the tests of this folder share."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from moe_viz.spec import RunConfig


@pytest.fixture(autouse=True)
def one_thread():
    """Bit-for-bit comparisons should not depend on how many cores the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(task: str = "clusters", **knobs: Any) -> RunConfig:
    """A run of which a step takes a millisecond or two."""
    sizes = {"batch_tokens": 128, "d_model": 16, "d_hidden": 16, "device": "cpu"}
    return RunConfig(**{"task": task, **sizes, **knobs})

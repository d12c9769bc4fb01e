"""The device that these tests run on: a real CUDA device where there is one (`make gpu-check`), else the pretended one."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, get_args

import pytest
import torch

from moe_viz.spec import RunConfig, change
from moe_viz.spec.knobs import declared, is_live
from tests.accelerator.pretended import DEVICE, pretending, register

REAL = torch.cuda.is_available()
if not REAL:
    register()  # now, while tests are collected: the first backward pass of a process starts one thread for each device that is known then


class Accelerator:
    """real: whether it is one."""

    real = REAL

    @contextmanager
    def waits_at_most(self, most: int) -> Iterator[None]:
        """The host reads the device's data at most so many times in the block."""
        if self.real:
            with _sync_debug("warn" if most else "error") as waits:
                yield
            assert len(waits) <= most, waits
            return
        DEVICE.clear()
        yield
        assert sum(DEVICE.waits.values()) <= most, dict(DEVICE.waits)

    @property
    def kernels(self) -> int | None:
        """Launches since the last `waits_at_most` began; None where they cannot be counted."""
        return None if self.real else sum(DEVICE.kernels.values())

    @property
    def unordered(self) -> dict[str, int]:
        """Sums of floats since then whose order, and so whose last bits, the device leaves open; {} where that cannot be seen."""
        return {} if self.real else dict(DEVICE.unordered)


@contextmanager
def _sync_debug(mode: str) -> Iterator[list[str]]:
    waits: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode(mode)
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode("default")
            waits += [str(each.message) for each in caught if "synchroniz" in str(each.message)]


@pytest.fixture(autouse=True)
def accelerator() -> Iterator[Accelerator]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with nullcontext() if REAL else pretending():
        yield Accelerator()
    torch.set_num_threads(before)


def turns(config: RunConfig, part: Any, known: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Knobs to turn one after another: each live one of a declared thing to each value of its list, or the ends of its range, and back.

    known: words that are tried elsewhere.
    """
    for word, field in type(part).model_fields.items():
        if word in ("name", "task", "router", "speed", *known) or not is_live(field):
            continue
        now, stops = config.flat()[word], declared(field).get("stops")
        values = [True, False] if field.annotation is bool else list(get_args(field.annotation))
        if stops:
            values = [stops[0], stops[-1]] if word != "batch_tokens" else [64, 256]
        elif field.annotation is float:
            values = [0.5]
        elif not all(isinstance(value, str | bool) for value in values):
            values = []
        others = [value for value in values if value != now and _allowed(config, word, value)]
        yield from ({word: value} for value in [*others, *([now] if others else [])])


def _allowed(config: RunConfig, word: str, value: Any) -> bool:
    try:
        return bool(change(config, **{word: value}))
    except ValueError:
        return False

"""Where a run trains, and whose random numbers it draws.

Every step and every snapshot runs on its own random stream, seeded by (seed, purpose, step): a run can be resumed at any
step without storing generator states, and trainers that take turns in one process never disturb one another.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch

from moe_viz.spec import Config, RunConfig

_auto = "auto"
_confined = False
_pays_from = 0.0
_before: str | None = None


def confine_to_cpu() -> None:
    """This process has no accelerator from now on, whatever the machine has: another one owns it."""
    global _confined
    _confined = True


def here(name: str) -> str:
    """The device of a stored run, or "auto" where this process has no such device."""
    try:
        resolve_device(name)
    except ValueError:
        return "auto"
    return name


def choose_auto(name: str) -> None:
    """What "auto" means in this process from now on: "cpu", "cuda", "mps", or "auto" for the best present. Raises ValueError as below."""
    global _auto
    resolve_device(name)
    _auto = name


def resolve_device(name: str) -> torch.device:
    """The device of a name: "auto" (see `choose_auto`), "cpu", "cuda" or "mps". Raises ValueError for one that is absent."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    present = {kind: there and not (_confined and kind != "cpu") for kind, there in present.items()}
    name = _auto if name == "auto" else name
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if not present.get(name, False):
        offered = ", ".join(["auto", *(kind for kind, there in present.items() if there)])
        raise ValueError(f"device = {name!r} is not available on this machine; it can be: {offered}")
    return torch.device(name, torch.cuda.current_device()) if name == "cuda" else torch.device(name)


def device_of(config: Config) -> torch.device:
    """Where a run of this config computes: with "auto", on an accelerator only where that pays (see `weigh`), but where it did before."""
    if config.device != "auto" or _auto != "auto":
        return resolve_device(config.device)
    if _before is not None and here(_before) == _before:
        return resolve_device(_before)
    return resolve_device("auto" if work_of(cast("RunConfig", config)) >= _pays_from else "cpu")


def work_of(config: RunConfig) -> float:
    """Multiply-adds of a step's experts, about: what a processor's time grows with, and an accelerator's hardly does."""
    chosen = getattr(config.router, "k", 1)
    return float(config.batch_tokens * config.n_layers * chosen * config.d_model * config.d_hidden)


def weigh(step_seconds: Callable[[str], float], config: RunConfig) -> float:
    """From which `work_of` on the accelerator pays, from the time of a step of this config on "cpu" and on "auto". A power of two, so that
    it is the same at every start."""
    global _pays_from
    _pays_from = 0.0
    if resolve_device("auto").type != "cpu":
        ratio = step_seconds(resolve_device("auto").type) / step_seconds("cpu")
        _pays_from = 2.0 ** math.ceil(math.log2(work_of(config) * ratio))
    return _pays_from


@contextmanager
def as_before(device: str | None) -> Iterator[None]:
    """What "auto" chooses in the block for a run that has trained on this kind of device already: the same again, where it is here."""
    global _before
    _before, kept = device, _before
    try:
        yield
    finally:
        _before = kept


def stream_seed(*key: int | str) -> int:
    """A 63-bit seed that depends on every part of `key`."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _generators(device: torch.device) -> list[torch.Generator]:
    generators = [torch.default_generator]
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    return generators


@contextmanager
def random_stream(device: torch.device, *key: int | str) -> Iterator[None]:
    """Run a block on the random stream of `key`, then put the process's own streams back where they were.

    The generators are set directly: `torch.manual_seed` would also walk over every accelerator and format a stack trace.
    """
    generators = _generators(device)
    before = [generator.get_state() for generator in generators]
    seed = stream_seed(*key)
    for generator in generators:
        generator.manual_seed(seed)
    try:
        yield
    finally:
        for generator, state in zip(generators, before):
            generator.set_state(state)

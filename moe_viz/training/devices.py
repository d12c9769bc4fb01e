"""Where a run trains, and whose random numbers it draws.

Every step and every snapshot runs on its own random stream, seeded by (seed, purpose, step): a run can be resumed at any
step without storing generator states, and trainers that take turns in one process never disturb one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_auto = "auto"


def choose_auto(name: str) -> None:
    """What "auto" means in this process from now on: "cpu", "cuda", "mps", or "auto" for the best present. Raises ValueError as below."""
    global _auto
    resolve_device(name)
    _auto = name


def resolve_device(name: str) -> torch.device:
    """The device of a name: "auto" (see `choose_auto`), "cpu", "cuda" or "mps". Raises ValueError for one that is absent."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    name = _auto if name == "auto" else name
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if not present.get(name, False):
        offered = ", ".join(["auto", *(kind for kind, there in present.items() if there)])
        raise ValueError(f"device = {name!r} is not available on this machine; it can be: {offered}")
    return torch.device(name, torch.cuda.current_device()) if name == "cuda" else torch.device(name)


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
